"""The stand-in as an executable that a test can name."""

from __future__ import annotations

import base64
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from migration_assets.resources.sources.bulk_utilities import BULK_UTILITIES, BulkReader, BulkUtility
from migration_assets.resources.sources.bulk_utilities.choice import parse_options
from migration_assets.resources.sources.sqlserver_login import SQLServerLogin
from migration_assets_tests.resources.bulk_copy import wire

ROOT = Path(__file__).parents[3]

PASSWORD = "c4n4ry \x03\x04\x15 pässword"
"""With keys that a terminal takes for itself."""


@dataclass(frozen=True)
class Program:
    """An executable that plays a script."""

    path: Path
    script: Path

    @classmethod
    def playing(cls, folder: Path, rows: bytes | None = None, **play: Any) -> Program:
        """Writes it into a folder. `stand_in` has the words of a script."""
        script = folder / "script.json"
        texts = {"password": PASSWORD, **play}
        if rows is not None:
            texts["rows"] = base64.b64encode(rows).decode()
        # Without a recorded answer, the server is asked.
        texts.setdefault("sample", base64.b64encode(wire.written([wire.RECORDED_SAMPLE])).decode())
        script.write_text(json.dumps(texts))
        path = folder / "bcp"
        module = "migration_assets_tests.resources.bulk_copy.stand_in"
        path.write_text(
            f"#!/bin/sh\ncd {ROOT}\nexec {sys.executable} -c "
            f'"import sys; from pathlib import Path; from {module} import main; '
            f'sys.exit(main(Path(\'{script}\'), sys.argv[1:]))" "$@"\n'
        )
        path.chmod(0o755)
        return cls(path, script)

    @property
    def seen(self) -> list[dict[str, Any]]:
        """What every run saw of itself."""
        file = self.script.with_suffix(".seen")
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def utility(self, login: SQLServerLogin | None = None, **options: str) -> BulkUtility:
        """bcp by this executable."""
        texts = {"path": str(self.path), "directory": str(self.path.parent), **options}
        bcp = BULK_UTILITIES["bcp"]
        return bcp(parse_options(bcp, "sqlserver", texts), login or sql_login())

    def reader(self, login: SQLServerLogin | None = None, **options: str) -> BulkReader:
        """A reader with it."""
        return BulkReader(self.utility(login, **options))


def sql_login(**settings: Any) -> SQLServerLogin:
    """A login by password."""
    usual: dict[str, Any] = {
        "host": "db.example",
        "port": 1433,
        "instance": "",
        "username": "reader",
        "password": PASSWORD,
        "database": "shop",
        "authentication": "sql",
        "encrypt": "yes",
        "trust_server_certificate": False,
        "application_intent": "ReadWrite",
        "multi_subnet_failover": False,
        "timeout_seconds": 15,
    }
    return SQLServerLogin(**{**usual, **settings})
