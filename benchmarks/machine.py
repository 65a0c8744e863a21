"""Where and with what the benchmark runs."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

from benchmarks.results import Machine

_OURS = ("dagster", "duckdb", "pyarrow", "asyncpg", "psycopg2-binary", "tpchgen-cli")
_PEERS = Path(__file__).with_name("peers")

# Runs in any environment, with nothing but the standard library.
_ASK = """
import json, platform, sys
from importlib.metadata import version
print(json.dumps({"Python": platform.python_version(), **{name: version(name) for name in sys.argv[1:]}}))
"""


def this_machine() -> Machine:
    """The processor, how many cores this process may use, and the memory."""
    models = re.findall(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return Machine(
        cpu=models[0] if models else platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        system=f"{platform.system()} {platform.release().partition('-')[0]} {platform.machine()}",
    )


def versions(environments: Path, postgresql: str) -> dict[str, dict[str, str]]:
    """The versions of Python and of the packages that are asked for, by environment."""
    found = {"this program": {"PostgreSQL": postgresql, **_ask(sys.executable, _OURS)}}
    for file in sorted(_PEERS.glob("requirements-*.txt")):
        name = file.stem.removeprefix("requirements-")
        python = environments / name / "bin" / "python"
        if python.exists():
            packages = re.findall(r"^([\w-]+)", file.read_text(), re.MULTILINE)
            found[name] = _ask(str(python), packages)
    return found


def commit(project: Path) -> str:
    """The commit of the project; "unknown" outside of a repository."""
    answer = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607 - git is where the user has it
        cwd=project,
        capture_output=True,
        check=False,
        text=True,
    )
    return answer.stdout.strip() or "unknown"


def _ask(python: str, packages: tuple[str, ...] | list[str]) -> dict[str, str]:
    answer = subprocess.run([python, "-c", _ASK, *packages], capture_output=True, check=True, text=True)
    found: dict[str, str] = json.loads(answer.stdout)
    return found
