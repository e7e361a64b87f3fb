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
    assert text.split("\n")[:2] == ["210 210 []", "404 404 []"]  # with those that are kept


def test_a_picture_that_does_harm_is_kept_and_read_first(tmp_path: Path) -> None:
    text = run(
        "from pathlib import Path\nimport faults.corpus, faults.images\n"
        f"faults.corpus.FOLDER = Path({str(tmp_path)!r})\n"
        "faults.images.decode_image, sound = lambda data, name: 1 / 0, faults.images.decode_image\n"
        "print(faults.images.run_images(3, 5).lost[0])\n"
        "faults.images.decode_image = sound\n"
        "print(faults.images.run_images(3, 5).tried)"
    )
    assert text.split("\n")[:2] == ["RGB.png 0: ZeroDivisionError came through: division by zero", "7"]
    assert len(list((tmp_path / "images").iterdir())) == 1


def test_lying_servers() -> None:
    text = run(
        "from faults.servers import run_servers\nfound = run_servers(4, 8)\n"
        "print(found.tried, found.survived, list(found.lost))"
    )
    assert text.strip() == "16 16 []"


def test_an_import_killed_and_without_a_disk_and_run_again() -> None:
    text = run(
        "import tempfile\nfrom pathlib import Path\nfrom PIL import Image\n"
        "from faults.kills import kill_everywhere\nfrom faults.place import Place, make_ready\n"
        "from faults.stages import Case, Inputs\nfrom faults.surroundings import full_disk_at_an_operation\n"
        "def make_set(folder, *names):\n"
        "    folder.mkdir()\n"
        "    for name in names:\n"
        "        Image.new('RGB', (20, 24), (len(name), 90, 120)).save(folder / name)\n"
        "    rows = [f'{name},{name[0]},{name[1:-4]}' for name in names]\n"
        "    (folder / 'metadata.csv').write_text('\\n'.join(['file_name,subject,age', *rows, '']))\n"
        "    return ('data', 'import', 'mine', str(folder))\n"
        "with tempfile.TemporaryDirectory() as root:\n"
        "    place = Place(Path(root), Inputs(Path(root) / 'none', Path(root) / 'home'))\n"
        "    (Path(root) / 'tmp').mkdir()\n"
        "    (Path(root) / 'home' / 'embedded').mkdir(parents=True)\n"
        "    one = make_set(Path(root) / 'one', 'a8.png', 'a30.png')\n"
        "    two = make_set(Path(root) / 'two', 'a8.png', 'b5.png', 'b61.png')\n"
        "    ready = make_ready(place, Case('import', (*two, '--force'), (one,)))\n"
        "    found = kill_everywhere(ready, 3, 12)\n"
        "    print(ready.operations > 30, found.tried, found.survived, list(found.lost))\n"
        "    print([loss for _, loss in full_disk_at_an_operation(ready, 3, 3)])"
    )
    assert text.splitlines() == ["True 12 12 []", "['', '', '']"]


def test_a_fault_that_loses_something_is_noticed() -> None:
    text = run(
        "import tempfile\nfrom pathlib import Path\nfrom faults.killing import Ended, no_sentence\n"
        "from faults.place import Place, Ready\nfrom faults.stages import Case, Inputs\n"
        "from faults.tables import _loss\n"
        "print(no_sentence(Ended(1, 3, 'frbias: Unexpected KeyError: a')))\n"
        "print(no_sentence(Ended(-11, 3, '')))\n"
        "print(repr(no_sentence(Ended(2, 3, 'frbias: The disk is full; free some space.'))))\n"
        "print(_loss(lambda: {}['a']))\n"
        "with tempfile.TemporaryDirectory() as root:\n"
        "    place = Place(Path(root), Inputs(Path(root), Path(root) / 'home'))\n"
        "    ready = Ready(place, Case('help', ('recipes', '--quiet')), 0, {'out/a': '00'})\n"
        "    (Path(root) / 'home' / 'embedded').mkdir(parents=True)\n"
        "    place.fresh()\n"
        "    print(ready.again())"
    )
    said = text.splitlines()
    assert said[0].startswith("it said no sentence")
    assert said[1].startswith("it ended with -11")
    assert said[2] == "''"
    assert said[3].startswith("KeyError came through")
    assert said[-1].endswith(("left over", "missing"))


def test_a_loss_is_noticed() -> None:
    text = run(
        "from faults.killing import difference\nfrom faults.table import Outcome, table\n"
        "print(difference({'a': '1', 'b': '2'}, {'a': '1', 'b': '3', 'c': '4'}))\n"
        "print(table([Outcome('one').plus('x', ''), Outcome('two').plus('y', 'gone')]))"
    )
    assert text.splitlines()[0] == "b different"
    assert text.splitlines()[-1] == "| all | 2 | 1 | 1 |"
