"""Stands for bcp in tests. Run as a program: `stand_in.py SCRIPT.json ARGUMENTS…`.

It takes the arguments that bcp documents, asks for the password as the script says, writes recorded bytes (or what a
server answers, through the driver's own functions for bulk copy, which bcp is made of), and reports as bcp does.
What it saw of itself is written beside the script: its arguments and variables as the system shows them.
"""

# ruff: noqa: T201 - a program prints.

from __future__ import annotations

import argparse
import base64
import getpass
import json
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

from migration_assets_tests.resources.bulk_copy import wire

_LITERAL = re.compile(r"N'((?:[^']|'')*)' AS v5\b")
"""The characters of the query that reader and server must agree on."""


def parse(arguments: list[str]) -> argparse.Namespace:
    """The arguments of an export; anything else ends the program as bcp ends."""
    parser = argparse.ArgumentParser(prog="bcp", add_help=False)
    parser.add_argument("query")
    parser.add_argument("direction", choices=["queryout"])
    parser.add_argument("data_file")
    for flag in ("-w", "-q", "-T", "-G", "-D", "-u"):
        parser.add_argument(flag, action="store_true")
    for option in ("-t", "-r", "-S", "-d", "-U", "-P", "-l", "-a", "-K", "-m", "-Y"):
        parser.add_argument(option)
    return parser.parse_args(arguments)


def main(script: Path, arguments: list[str]) -> int:
    """Plays the script; returns the exit code."""
    play: dict[str, Any] = json.loads(script.read_text())
    options = parse(arguments)
    _tell(script, options)
    if play.get("usage"):
        print(
            f"bcp: unknown option {play['usage']}\n"
            "usage: bcp {dbtable | query} {in | out | queryout | format} datafile"
        )
        return 1
    if not options.T and not (options.G and options.U is None):
        password = _ask(play.get("prompt", "stdin"))
        if password != play.get("password", ""):
            print(
                "SQLState = 28000, NativeError = 18456\n"
                f"Error = [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]Login failed for user '{options.U}'."
                f"{' You typed ' + password if play.get('tells') else ''}"
            )
            return 1
    else:
        password = ""
    print("\nStarting copy...")
    is_sample = "AS v5" in options.query
    if "server" in play and not (is_sample and play["sample"]):
        return _export(play["server"], options, password)
    answer = base64.b64decode(play["sample"] if is_sample else play["rows"])
    if is_sample:
        answer = _with_characters(answer, options.query, play.get("replaces_characters", False))
    outcome = {} if is_sample else play
    rows = outcome.get("reports", answer.count(options.r.encode("utf-16-le")))
    _write(Path(options.data_file), answer * outcome.get("times", 1), outcome)
    if outcome.get("error"):
        print(outcome["error"])
    else:
        _report(rows * outcome.get("times", 1))
    sys.stdout.flush()
    if outcome.get("signal"):
        os.kill(os.getpid(), outcome["signal"])
    return int(outcome.get("code", 0))


def _tell(script: Path, options: argparse.Namespace) -> None:
    seen = {
        "arguments": Path("/proc/self/cmdline").read_bytes().decode().split("\0"),
        "variables": Path("/proc/self/environ").read_bytes().decode().split("\0"),
        "process": os.getpid(),
        "data_file": options.data_file,
    }
    with script.with_suffix(".seen").open("a") as file:
        file.write(json.dumps(seen) + "\n")


def _ask(prompt: str) -> str:
    match prompt:
        case "terminal":  # As getpass(3): from /dev/tty, without echo.
            return getpass.getpass("Password: ")
        case "stdin":
            print("Password: ", end="", flush=True)
            return sys.stdin.readline().rstrip("\n")
        case "late":  # The echo is turned off a while after the question; what was typed before is thrown away.
            import termios

            print("Password: ", end="", flush=True)
            time.sleep(0.3)
            attributes = termios.tcgetattr(0)
            attributes[3] &= ~termios.ECHO
            termios.tcsetattr(0, termios.TCSAFLUSH, attributes)
            return sys.stdin.readline().rstrip("\n")
        case "silent":
            time.sleep(3600)
    raise ValueError(prompt)


def _with_characters(answer: bytes, query: str, replaces: bool) -> bytes:
    match = _LITERAL.search(query)
    assert match is not None
    characters = match.group(1).replace("''", "'")
    if replaces:
        characters = "?" * len(characters)
    return answer.replace(wire.CHARACTERS.encode("utf-16-le"), characters.encode("utf-16-le"))


def _write(path: Path, answer: bytes, outcome: dict[str, Any]) -> None:
    with path.open("wb") as file:
        for byte in range(0, len(answer), 100_000):
            file.write(answer[byte : byte + 100_000])
        file.flush()
        if outcome.get("hangs"):
            signal.pause()


def _report(rows: int) -> None:
    for thousand in range(1000, min(rows, 20_000_000) + 1, 1000):
        print(f"1000 rows successfully bulk-copied to host-file. Total received: {thousand}")
    print(
        f"\n{rows} rows copied.\nNetwork packet size (bytes): 4096\n"
        f"Clock Time (ms.) Total     : 1      Average : ({rows * 1000.0:.2f} rows per sec.)"
    )


def _export(server: str, options: argparse.Namespace, password: str) -> int:
    # Imported here: the package takes longer than a recorded answer.
    from migration_assets_tests.resources.bulk_copy import driver

    connection = f"{server};Database={options.d};UID={options.U};PWD={password}"
    rows, messages = driver.export(connection, options.query, options.data_file, options.t, options.r)
    for state, number, text in messages:
        print(f"SQLState = {state}, NativeError = {number}\nError = {text}")
    if rows is None:
        return 1
    _report(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
