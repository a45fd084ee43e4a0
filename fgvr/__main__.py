"""``python -m fgvr``: the same as the ``fgvr`` command."""

import sys

from fgvr.cli import main

if __name__ == "__main__":
    sys.exit(main())
