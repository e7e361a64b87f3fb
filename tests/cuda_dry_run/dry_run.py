"""Runs the cases and prints one line of JSON for each: ``python dry_run.py FOLDER [CASE ...]``."""

import json
import os
import sys
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(folder: Path, names: list[str]) -> int:
    """Run the cases; the number of those that failed."""
    os.environ["FRBIAS_HOME"] = str(folder / "home")
    sys.path[:0] = [str(HERE), str(HERE.parent / "core" / "training"), str(HERE.parent / "common")]
    import conftest
    from backend import register
    from cases import CASES, prepare

    register()  # before the first backward pass, at which torch counts its devices
    prepare(folder, conftest.make_people)
    failed = 0
    for name in names or CASES:
        began = time.process_time()
        try:
            line = {"case": name, "counted": CASES[name](folder)}
        except Exception:
            failed += 1
            line = {"case": name, "error": traceback.format_exc(limit=-6)}
        sys.stdout.write(json.dumps({**line, "seconds": round(time.process_time() - began, 2)}) + "\n")
        sys.stdout.flush()
    return failed


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
