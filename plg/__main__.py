"""``python -m plg``: the same program as the ``plg`` console script."""

import sys

from plg.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
