"""What a server loads is little, and what plans and draws is not among it."""

from __future__ import annotations

import subprocess
import sys


def test_the_server_is_loaded_without_what_others_do_for_it() -> None:
    code = "import sys, plg.server.main; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"plotly", "lark", "jsonschema", "sqlalchemy", "casbin", "fastapi", "numpy", "plg.session"} & set(loaded)
