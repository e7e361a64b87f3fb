"""Make a virtual environment with frbias, pinned dependencies and the right build of torch.

Used by ``make setup``, and by ``make test-newest`` without the pins; needs only the standard library and pip. Torch comes as a CUDA build when
``nvidia-smi`` lists a device, else as a CPU build where one can be had (it is ten times smaller).
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def main() -> None:
    """Create the environment named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv")
    parser.add_argument(
        "--newest", action="store_true", help="the newest versions that the package allows, not the pinned"
    )
    given = parser.parse_args()
    folder = given.venv
    if sys.version_info < (3, 11):  # noqa: UP036 - run by whatever python3 is there
        sys.exit(f"frbias needs Python 3.11 or newer; this is {platform.python_version()}. Set PYTHON=python3.12, say.")
    python = folder.absolute() / "bin" / "python"
    if not python.exists():
        print(f"making {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True)
    print("installing torch and the other dependencies (a minute or two)", file=sys.stderr)
    if given.newest:
        # torch as it is pinned: its index has builds for CPU and CUDA, of which pip would take the largest
        install_torch(python)
        pip(
            python,
            *INSTALL,
            "--upgrade",
            "--upgrade-strategy=eager",
            "-c",
            str(torch_alone(folder)),
            "-e",
            f"{ROOT}[dev]",
        )
    else:
        install_torch(python)
        pip(python, *INSTALL, "-c", str(CONSTRAINTS), "-e", f"{ROOT}[dev]")
    compile_on_all_cores(python)


def compile_on_all_cores(python: Path) -> None:
    """Compile what was installed, which pip does on one core; not the tests that packages bring along."""
    asked = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    place = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    # what does not compile (templates, other versions' syntax) is left as it is: whoever imports it is told
    run(python, "-m", "compileall", "-q", "-j", "0", "-x", r"[/\\]tests[/\\]", ".", quiet=True, folder=place)


def torch_alone(folder: Path) -> Path:
    """A file of constraints in an environment that pins torch and nothing else."""
    place = folder / "torch.txt"
    place.write_text(f"torch=={pinned('torch')}\n", encoding="utf-8")
    return place


def install_torch(python: Path) -> None:
    """Install the pinned torch, preferring a CPU build on machines without an NVIDIA device."""
    version = pinned("torch")
    check = f"import torch; assert torch.__version__.split('+')[0] == {version!r}"
    if run(python, "-c", check, quiet=True):
        return
    if has_nvidia_device() or platform.system() != "Linux":
        pip(python, *INSTALL, f"torch=={version}")
        return
    cpu = f"torch=={version}+cpu"
    if run(python, *PIP, *INSTALL, "--only-binary=:all:", cpu, quiet=True):
        return
    if run(
        python, *PIP, *INSTALL, "--retries=0", "--timeout=10", f"--extra-index-url={TORCH_CPU_INDEX}", cpu, quiet=True
    ):
        return
    print("no CPU build of torch within reach; installing the default build (several GB)", file=sys.stderr)
    pip(python, *INSTALL, f"torch=={version}")


PIP = ("-m", "pip", "--disable-pip-version-check", "-q")
INSTALL = ("install", "--no-compile")


def pip(python: Path, *arguments: str) -> None:
    """Run pip in the environment; stop with its exit code when it fails."""
    if not run(python, *PIP, *arguments):
        sys.exit(f"pip {' '.join(arguments)} failed; see above.")


def run(python: Path, *arguments: str, quiet: bool = False, folder: str | None = None) -> bool:
    """Run the environment's Python; True when it succeeds."""
    sink = subprocess.DEVNULL if quiet else None
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([str(python), *arguments], stdout=sink, stderr=sink, env=environment, cwd=folder, check=False)
    return done.returncode == 0


def pinned(package: str) -> str:
    """Version of ``package`` in the constraints file."""
    for line in CONSTRAINTS.read_text().splitlines():
        name, _, version = line.strip().partition("==")
        if name == package:
            return version
    sys.exit(f"{CONSTRAINTS.name} does not pin {package}.")


def has_nvidia_device() -> bool:
    """True when nvidia-smi is there and lists a device."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return False
    listed = subprocess.run([tool, "-L"], capture_output=True, text=True, check=False)
    return listed.returncode == 0 and "GPU" in listed.stdout


if __name__ == "__main__":
    main()
