"""Entry point of ``frbias`` and ``python -m frbias``."""

import os

from frbias.core.foundation.memory import keep_freed_memory

# torch on Linux: large tensors in large memory pages, and freed memory kept; both spare most of the page faults,
# which otherwise take as long as the arithmetic on many machines
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
keep_freed_memory()

from frbias.cli.app import main  # noqa: E402 - what it imports should find the settings above

if __name__ == "__main__":
    main()
