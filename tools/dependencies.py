"""What frbias is installed with: a software bill of materials, and what is publicly known against it.

Used by ``make dependencies``. Writes ``sbom.json`` (CycloneDX) of the environment and asks the package index for known
vulnerabilities. Ends with 1 when there are some, and with 2 when the index could not be asked about a single package:
silence is no good news. With ``--where-possible`` that is said in a sentence and is no failure. The tools live in an
environment of their own, ``.dependencies``.
"""

import argparse
import json
import subprocess
import sys
import tomllib
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OWN = ROOT / ".dependencies"


def main() -> int:
    """Write the bill, ask, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, required=True, help="interpreter of the environment")
    parser.add_argument("--sbom", type=Path, default=Path("sbom.json"), help="file to write")
    parser.add_argument("--where-possible", action="store_true", help="without a package index: say so, and end well")
    given = parser.parse_args()
    try:
        _ready()
    except subprocess.CalledProcessError:
        return without_an_index("its tools could not be installed", given.where_possible)
    bill = [OWN / "bin" / "cyclonedx-py", "environment", given.python, "--of", "JSON", "-o", given.sbom]
    subprocess.run([str(part) for part in bill], check=True)
    print(f"{given.sbom} lists what {given.python} has.")
    code = judged(_asked(given.python))
    return without_an_index("no package could be asked about", given.where_possible) if code == 2 else code


def without_an_index(why: str, where_possible: bool) -> int:
    """Say that nothing was looked up; returns the exit code."""
    print(f"Known vulnerabilities were not looked up: {why} (is there a network?).", file=sys.stderr)
    return 0 if where_possible else 2


def judged(answer: dict[str, Any]) -> int:
    """Exit code for an answer of pip-audit: 0 nothing known, 1 something known, 2 nothing could be asked."""
    packages = answer["dependencies"]
    asked = [one for one in packages if "vulns" in one]
    for one in asked:
        for known in one["vulns"]:
            fixed = ", ".join(known.get("fix_versions") or []) or "none yet"
            print(f"{one['name']} {one['version']}: {known['id']} (mended in: {fixed})")
    print(f"{len(asked)} of {len(packages)} packages could be asked about.")
    if not asked:
        return 2
    return int(any(one["vulns"] for one in asked))


def _ready() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = wanted["project"]["optional-dependencies"]["dependencies"]
    ready = OWN / ".ready"
    if ready.is_file() and ready.read_text(encoding="utf-8").splitlines() == packages:
        return
    venv.create(OWN, with_pip=True, clear=True)
    pip = [str(OWN / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "-q", "install"]
    subprocess.run([*pip, *packages], check=True)
    ready.write_text("\n".join(packages) + "\n", encoding="utf-8")


def _asked(python: Path) -> dict[str, Any]:
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = subprocess.run([str(python), "-c", where], check=True, capture_output=True, text=True).stdout.strip()
    command = [str(OWN / "bin" / "pip-audit"), "--path", packages, "--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if not done.stdout.strip():
        print((done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1], file=sys.stderr)
        return {"dependencies": []}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    sys.exit(main())
