"""A slice of the fault campaigns with a fixed seed; ``make faults`` runs more of it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(code: str) -> str:
    """Run ``code`` with the campaigns importable, in a process of its own (they fork, and count memory)."""
    paths = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tools')!r}]\n"
    done = subprocess.run([sys.executable, "-c", paths + code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_damaged_tables_and_pictures() -> None:
    text = run(
        "from faults.tables import run_tables; from faults.images import run_images\n"
        "for found in (run_tables(11, 200), run_images(11, 400)):\n"
        "    print(found.tried, found.survived, list(found.lost))"
    )
    assert text.split("\n")[:2] == ["200 200 []", "401 401 []"]


def test_generate_killed_and_run_again() -> None:
    text = run(
        "import tempfile\nfrom pathlib import Path\n"
        "from faults.kills import Place, kill_everywhere, spread\nfrom faults.stages import Case, Inputs\n"
        "out = ('generate', '--subjects', '1', '--ages', '30', '--size', '64', '--workers', '1', '--out', 'out')\n"
        "with tempfile.TemporaryDirectory() as root:\n"
        "    place = Place(Path(root), Inputs(Path(root) / 'none', Path(root) / 'home'))\n"
        "    (Path(root) / 'tmp').mkdir()\n"
        "    (Path(root) / 'home' / 'embedded').mkdir(parents=True)\n"
        "    case = Case('generate --force', (*out, '--seed', '1', '--force'), (out,))\n"
        "    found = kill_everywhere(place, case, spread(3, 6))\n"
        "print(found.tried, found.survived, list(found.lost))"
    )
    assert text.strip() == "6 6 []"


def test_a_loss_is_noticed() -> None:
    text = run(
        "from faults.killing import difference\nfrom faults.table import Outcome, table\n"
        "print(difference({'a': '1', 'b': '2'}, {'a': '1', 'b': '3', 'c': '4'}))\n"
        "print(table([Outcome('one').plus('x', ''), Outcome('two').plus('y', 'gone')]))"
    )
    assert text.splitlines()[0] == "b different"
    assert text.splitlines()[-1] == "| all | 2 | 1 | 1 |"
