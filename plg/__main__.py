"""``python -m plg``: the same program as the ``plg`` console script."""

import os
import sys

if sys.path and sys.path[0] in ("", os.path.realpath(os.curdir)):
    del sys.path[0]  # Python puts the working folder first for -m: what lies there is the user's, not plg's

from plg.cli.main import main  # only now is it safe to import

if __name__ == "__main__":
    sys.exit(main())
