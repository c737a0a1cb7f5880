"""``plg``: the entry of the program. It loads all else only once nothing can be loaded from the working folder and
signals are heard."""

import _signal  # type: ignore[import-not-found]  # typeshed leaves it out
import sys

from plg.import_path import leave_out_working_folder

_SHORT = {24: "too many open files (ulimit -n)", 23: "too many open files on this machine", 12: "no memory left"}
"""EMFILE, ENFILE and ENOMEM, in words."""
_SIGNALS = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP)


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; without ``arguments``, as the program that this process is."""
    if arguments is None:
        # A signal waits until there is something to take it. The module is built in: nothing has to be loaded for it.
        _signal.pthread_sigmask(_signal.SIG_BLOCK, _SIGNALS)
        leave_out_working_folder()
        try:
            return _as_program(sys.argv[1:])
        except (OSError, ImportError, MemoryError) as fault:
            return _not_loaded(fault)
    from plg.cli.program import run

    return run(arguments, as_program=False)


def _not_loaded(fault: Exception) -> int:
    """One line where the machine lets not even the program be loaded; else the fault, raised."""
    number = getattr(fault, "errno", None) or getattr(fault.__cause__ or fault.__context__, "errno", None)
    words = "no memory left" if isinstance(fault, MemoryError) else _SHORT.get(number or 0)
    if words is None:
        raise fault
    # Nothing can be loaded to say more with.
    sys.stderr.write(f"plg: the program could not be loaded: {words}\n")
    return 2


def _as_program(given: list[str]) -> int:
    from plg.runs.signals import Interruption, hear

    def interrupted(by: Interruption) -> int:
        """One line, and no green document of an earlier command where this one would have written."""
        from plg.cli.stale import redden

        redden(given, by.words())
        print(by.words(), file=sys.stderr, flush=True)
        return by.code

    # A check ends a run and writes what came of it; whatever else plg does, it is given up at once.
    interruption = hear(at_once=given[:1] != ["check"] and given[:2] != ["profile", "run"])
    try:
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, _SIGNALS)
        from plg.cli.program import run

        code = run(given, as_program=True)
        return interrupted(interruption) if interruption.broken_off() else code
    except KeyboardInterrupt:
        return interrupted(interruption)
    except Exception:
        # What was being loaded may make an error of its own of the interruption.
        if interruption.broken_off():
            return interrupted(interruption)
        raise
    finally:
        interruption.close()
