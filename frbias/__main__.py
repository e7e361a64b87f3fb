"""Entry point of ``frbias`` and ``python -m frbias``."""

from frbias.cli.app import main

if __name__ == "__main__":
    main()
