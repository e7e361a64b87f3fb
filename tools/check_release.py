"""Build wheel and sdist, install each into an environment of its own, and use it: ``make release-check``.

The wheel is installed a second time without the libraries that evaluating scores and embeddings does not need.

Needs pip and a package registry; nothing else is fetched. With ``--constraints`` the pinned versions are installed,
without it the newest that the package allows.
"""

import argparse
import json
import os
import re
import runpy
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_SCORES = "score,mated,group\n" + "".join(
    f"{(k % 97) / 97 + 0.5 * (k % 4 == 0)},{int(k % 4 == 0)},{'old' if k % 3 else 'young'}\n" for k in range(4000)
)


def main() -> None:
    """Check what the command line names, and say what was done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--constraints", type=Path, help="file with pinned versions")
    parser.add_argument("--only", choices=("wheel", "sdist", "light"), help="check one of the three")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        built = build(ROOT, folder / "dist")
        for kind, path in built.items():
            if given.only in (None, kind):
                check(path, folder / kind, given.constraints)
                print(f"{path.name}: installed and used", flush=True)
        if given.only in (None, "light"):
            check_light(built["wheel"], folder / "light", given.constraints)
            print("without torch and the like: installed and used", flush=True)


def build(root: Path, dist: Path) -> dict[str, Path]:
    """Build both from a copy of what git tracks below ``root``, with the build backend that is installed here.

    Args:
        root: The repository.
        dist: New folder for wheel and sdist.
    """
    source = dist.parent / "source"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (root / name).is_file():
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((root / name).read_bytes())
    dist.mkdir(parents=True)
    for kind in ("wheel", "sdist"):
        program = f"from setuptools.build_meta import build_{kind} as build; build({str(dist)!r})"
        subprocess.run([sys.executable, "-c", program], cwd=source, check=True, capture_output=True)
    return {"wheel": next(dist.glob("*.whl")), "sdist": next(dist.glob("*.tar.gz"))}


def check(package: Path, folder: Path, constraints: Path | None) -> None:
    """Install a package into a new environment, away from the repository, and use it; torch as ``make setup`` does."""
    from setup_environment import install_torch

    venv.create(folder, with_pip=True)
    program = folder / "bin" / "python"
    install_torch(program)
    _install(program, constraints, str(package))
    use([str(folder / "bin" / "frbias")], folder / "use", {})


def check_light(package: Path, folder: Path, constraints: Path | None) -> None:
    """Install a package without what evaluating does not need, as docs/bring-your-own.md says, and use it."""
    heavy = set(runpy.run_path(str(ROOT / "frbias" / "core" / "foundation" / "light.py"))["HEAVY"].values())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    kept = [one for one in project["dependencies"] if re.split(r"[<>=!\[; ]", one)[0] not in heavy]
    venv.create(folder, with_pip=True)
    program = folder / "bin" / "python"
    _install(program, constraints, *kept)
    _install(program, None, "--no-deps", str(package))
    listed = json.loads(
        subprocess.run([*_pip(program), "list", "--format=json"], check=True, capture_output=True).stdout
    )
    if there := heavy & {one["name"] for one in listed}:
        sys.exit(f"the light installation brought {', '.join(sorted(there))}")
    use([str(folder / "bin" / "frbias")], folder / "use", {})


def _install(program: Path, constraints: Path | None, *what: str) -> None:
    pinned = ["-c", str(constraints.resolve())] if constraints else []
    subprocess.run([*_pip(program), "-q", "install", *pinned, *what], check=True, cwd=program.parent)


def _pip(program: Path) -> list[str]:
    return [str(program), "-m", "pip", "--disable-pip-version-check"]


def use(frbias: list[str], folder: Path, variables: dict[str, str]) -> None:
    """Run doctor and the evaluation of a score file.

    Args:
        frbias: How the command is called.
        folder: New folder to do it in.
        variables: Of the environment, beside those that are there.
    """
    folder.mkdir(parents=True)
    environment = {**os.environ, "FRBIAS_HOME": str(folder / "home"), **variables}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [*frbias, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"frbias {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")
        return done.stdout

    (folder / "scores.csv").write_text(_SCORES, encoding="utf-8")
    json.loads(run("doctor", "--json"))
    options = ("--at-fmr", "10%", "--bootstrap", "0", "--no-figures", "--out", "ev", "--json")
    found = json.loads(run("evaluate", "--scores", "scores.csv", *options))
    groups = [group["name"] for group in found["targets"][0]["groups"]]
    if sorted(groups) != ["old", "young"] or not (folder / "ev" / "evaluation.json").is_file():
        sys.exit(f"the evaluation of a score file has the groups {groups}")


if __name__ == "__main__":
    main()
