"""Entry point of ``frbias`` and ``python -m frbias``."""

import os

# torch on Linux: large tensors in large memory pages, which spares most of the page faults of training on a CPU
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

from frbias.cli.app import main

if __name__ == "__main__":
    main()
