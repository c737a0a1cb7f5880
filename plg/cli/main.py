"""``plg``: the entry of the program. It loads all else only once nothing can be loaded from the working folder."""

import sys

from plg.import_path import leave_out_working_folder


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; without ``arguments``, as the program that this process is."""
    if arguments is None:
        leave_out_working_folder()
    from plg.cli.program import run

    return run(sys.argv[1:] if arguments is None else arguments, as_program=arguments is None)
