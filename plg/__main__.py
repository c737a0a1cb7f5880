"""``python -m plg``: the same program as the ``plg`` console script."""

import sys

from plg.import_path import leave_out_working_folder

leave_out_working_folder()

from plg.cli.main import main  # noqa: E402  # only now is it safe to import

if __name__ == "__main__":
    sys.exit(main())
