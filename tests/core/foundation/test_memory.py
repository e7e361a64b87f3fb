"""Keeping freed memory: it is this process' own setting, so it is tried in another one."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
from frbias.core.foundation.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
for _ in range(3):
    np.ones(8_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(8_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_memory_is_used_again_without_page_faults() -> None:
    assert page_faults("keep") * 10 < page_faults("plain")


def test_the_program_keeps_freed_memory_before_anything_is_imported() -> None:
    program = (
        "import sys, frbias.core.foundation.memory as memory\n"
        "seen = []\n"
        "memory.keep_freed_memory = lambda: seen.append('frbias.cli.app' in sys.modules)\n"
        "import frbias.__main__\n"
        "assert seen == [False], seen\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
