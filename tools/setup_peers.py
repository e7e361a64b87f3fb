"""Make an environment for every peer that the benchmarks run beside frbias: ``.peers/<extra>``.

Used by ``make bench``; needs only the standard library and pip. Each extra of ``pyproject.toml`` whose name begins
with ``peer`` gets an environment of its own, because peers pin old versions of what frbias uses.
"""

import subprocess
import sys
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / ".peers"


def main() -> int:
    """Make what is missing; a peer that cannot be installed is reported and left out."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for extra in sorted(name for name in extras if name.startswith("peer")):
        folder = PEERS / extra
        ready = folder / ".ready"
        if ready.is_file() and ready.read_text(encoding="utf-8").splitlines() == extras[extra]:
            continue
        print(f"making {folder.relative_to(ROOT)} ({', '.join(extras[extra])})", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "-q", "install"]
        if subprocess.run([*pip, *extras[extra]], check=False).returncode:
            print(f"could not install {extra}; the benchmark runs without it", file=sys.stderr)
            continue
        ready.write_text("\n".join(extras[extra]) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
