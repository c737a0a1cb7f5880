"""A process that saves versions of one profile, telling each that is kept: ``saver.py URL ID NAME COUNT``.

``LIMIT`` in its environment is the most bytes that a file of it may have: a disk that is full, to SQLite.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path

from support.stores import draft

from plg.store.errors import StoreError
from plg.store.open import open_store


def main() -> int:
    """Save until all is saved, or something cannot be."""
    url, id, name, count = sys.argv[1:]
    store = open_store(Path("unused"), url)
    if os.environ.get("LIMIT"):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(os.environ["LIMIT"]),) * 2)
    print("ready", flush=True)
    for number in range(int(count)):
        try:
            saved = store.save(id, draft(description=f"{name} {number}", files={"users.csv": "QUJD" * 2000}), name)
        except StoreError as error:
            print(f"refused {error.message}", flush=True)
            return 3
        print(f"saved {saved.version} {number}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
