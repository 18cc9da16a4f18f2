"""``python -m attnsci``: the command line."""

import sys

from attnsci.cli import main

if __name__ == "__main__":
    sys.exit(main())
