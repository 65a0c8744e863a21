"""The command `migrate`, also as `python -m migration_assets.cli`."""

from __future__ import annotations

import atexit
import os
import sys
from typing import NoReturn

from migration_assets.cli.main import main


def run() -> NoReturn:
    """Runs the command, and ends the process as soon as its work is done.

    What Python does at its end, freeing millions of Dagster's objects one by one, takes half a second.
    """
    try:
        main(prog_name="migrate")
    except SystemExit as end:
        if not isinstance(end.code, int):
            raise
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code)
    raise AssertionError("click ends with SystemExit")


if __name__ == "__main__":
    run()
