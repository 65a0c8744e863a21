"""Reading with bcp, of which a recorded executable takes the place: it has bcp's arguments, questions and reports.

What it writes was recorded from the driver's own functions for bulk copy; `test_bulk_copy_server` runs those.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from migration_assets.resources.sources.base import SourceError, TransientSourceError
from migration_assets.resources.sources.bulk_utilities import BulkReader
from migration_assets.resources.sources.bulk_utilities import reader as reading
from migration_assets_tests.resources.bulk_copy.columns import COLUMNS
from migration_assets_tests.resources.bulk_copy.program import PASSWORD, Program, sql_login
from migration_assets_tests.resources.bulk_copy.wire import ROW_END, written

QUERY = "SELECT [id], [name] FROM [dbo].[t]"
ROWS = written([["1", "_x"], ["2", None], ["3", "_"]])
READ = [{"id": 1, "name": "x"}, {"id": 2, "name": None}, {"id": 3, "name": ""}]


def rows_of(reader: BulkReader, query: str = QUERY) -> list[dict[str, Any]]:
    return [row for table in reader.read(query, COLUMNS) for row in table.to_pylist()]


def fails(program: Program) -> str:
    """What a failed read says."""
    with pytest.raises(SourceError) as caught:
        rows_of(program.reader())
    return str(caught.value)


@pytest.mark.parametrize("output", ["pipe", "file"])
def test_rows_are_read_and_counted(tmp_path: Path, output: str) -> None:
    program = Program.playing(tmp_path, ROWS)
    reader = program.reader(output=output)

    assert rows_of(reader) == READ
    assert reader.source_rows == 3
    assert list(tmp_path.glob("bcp-*")) == []


def test_every_read_has_a_state_of_its_own(tmp_path: Path) -> None:
    reader = Program.playing(tmp_path, ROWS).reader()
    states = {(rows_of(reader), reader.state)[1] for _ in range(2)}

    assert len(states) == 2
    assert all(state and state.startswith("bcp ") for state in states)


def test_the_program_is_proved_once_by_a_question_whose_answer_is_known(tmp_path: Path) -> None:
    program = Program.playing(tmp_path, ROWS)
    reader = program.reader()
    rows_of(reader)
    rows_of(reader)

    asked = ["NCHAR(65279)" in "".join(seen["arguments"]) for seen in program.seen]
    assert asked == [True, False, False]


@pytest.mark.parametrize("prompt", ["stdin", "terminal", "late"])
def test_the_password_is_typed_where_the_program_asks_for_it(tmp_path: Path, prompt: str) -> None:
    assert rows_of(Program.playing(tmp_path, ROWS, prompt=prompt).reader()) == READ


def test_the_password_is_in_no_argument_variable_or_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_SQLSERVER_PASSWORD", PASSWORD)
    program = Program.playing(tmp_path, ROWS)
    rows_of(program.reader())

    assert len(program.seen) == 2
    for seen in program.seen:
        assert not any(PASSWORD in text for text in (*seen["arguments"], *seen["variables"]))


def test_a_refused_login_is_not_tried_again_and_does_not_tell_the_password(tmp_path: Path) -> None:
    wrong = "wr0ng c4n4ry"
    program = Program.playing(tmp_path, ROWS, tells=True)
    with pytest.raises(SourceError) as caught:
        rows_of(program.reader(sql_login(password=wrong)))

    assert type(caught.value) is SourceError
    assert "Login failed for user 'reader'. You typed ***" in str(caught.value)
    assert wrong not in str(caught.value)


def test_without_a_password_nothing_is_typed(tmp_path: Path) -> None:
    assert rows_of(Program.playing(tmp_path, ROWS).reader(sql_login(authentication="windows"))) == READ


def test_a_program_that_never_asks_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PROMPT_SECONDS", 4.0)
    program = Program.playing(tmp_path, ROWS, prompt="silent")

    assert "bcp did not ask for its password within 4 seconds" in fails(program)
    assert _is_gone(program.seen[0]["process"])


def test_a_password_with_a_line_break_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"a line break"):
        rows_of(Program.playing(tmp_path, ROWS).reader(sql_login(password="a\nb")))


def test_characters_of_the_query_that_do_not_arrive_are_noticed_before_rows_are_read(tmp_path: Path) -> None:
    program = Program.playing(tmp_path, ROWS, replaces_characters=True)

    assert rows_of(program.reader()) == READ
    with pytest.raises(SourceError, match=r"does not hand on values.*came as \['\?\?\?'\].*_BCP_LOCALE"):
        rows_of(program.reader(), "SELECT [id], [name] FROM [dbo].[Größe😀]")


def test_characters_of_the_query_that_arrive_are_fine(tmp_path: Path) -> None:
    assert rows_of(Program.playing(tmp_path, ROWS).reader(), "SELECT [id], [name] FROM [dbo].[Größe😀]") == READ


def test_another_program_of_that_name_is_noticed(tmp_path: Path) -> None:
    told = fails(Program.playing(tmp_path, ROWS, usage="-w"))

    assert "bcp ended with exit code 1: bcp: unknown option -w" in told


def test_rows_that_bcp_counted_and_nobody_read_are_noticed(tmp_path: Path) -> None:
    assert "says that it wrote 4 rows, and 3 were read" in fails(Program.playing(tmp_path, ROWS, reports=4))


def test_the_end_of_a_row_in_a_text_is_noticed_by_the_count(tmp_path: Path) -> None:
    # The text goes on as if it were another row.
    data = written([["1", f"_a{ROW_END}2\x02\x1f_b"]])

    assert "says that it wrote 1 rows, and 2 were read" in fails(Program.playing(tmp_path, data, reports=1))


def test_a_report_without_a_count_is_refused(tmp_path: Path) -> None:
    assert "doesn't say how many rows" in fails(Program.playing(tmp_path, ROWS, error="0 Zeilen kopiert."))


def test_what_bcp_says_went_wrong_is_told(tmp_path: Path) -> None:
    error = "SQLState = 42S02, NativeError = 208\nError = [Microsoft][ODBC Driver 18]Invalid object name 't'."

    assert "Invalid object name 't'" in fails(Program.playing(tmp_path, b"", error=error, code=1))


def test_a_program_that_is_killed_may_be_tried_again(tmp_path: Path) -> None:
    program = Program.playing(tmp_path, ROWS, signal=signal.SIGKILL)
    with pytest.raises(TransientSourceError, match=r"ended by signal 9"):
        rows_of(program.reader())


def test_closing_from_another_thread_ends_the_program(tmp_path: Path) -> None:
    program = Program.playing(tmp_path, ROWS, hangs=True)
    reader = program.reader()
    caught: list[Exception] = []

    def read() -> None:
        try:
            rows_of(reader)
        except SourceError as error:
            caught.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    while len(program.seen) < 2:
        time.sleep(0.05)
    reader.close()
    thread.join(20)

    assert [type(error) for error in caught] == [TransientSourceError]
    assert _is_gone(program.seen[1]["process"])
    assert list(tmp_path.glob("bcp-*")) == []


def test_a_reader_that_is_closed_reads_no_more(tmp_path: Path) -> None:
    reader = Program.playing(tmp_path, ROWS).reader()
    reader.close()
    with pytest.raises(TransientSourceError, match=r"closed"):
        rows_of(reader)


def test_a_read_that_is_given_up_ends_the_program(tmp_path: Path) -> None:
    many = written([["1", "_" + "x" * 1000]], mark=b"")
    program = Program.playing(tmp_path, many, times=20_000)
    tables = program.reader().read(QUERY, COLUMNS)
    next(tables)
    tables.close()  # type: ignore[attr-defined]

    assert _is_gone(program.seen[1]["process"])


def test_many_rows_come_in_tables_of_bounded_size(tmp_path: Path) -> None:
    # Without its mark, so that the bytes can be repeated.
    one = written([["1", "_" + "x" * 1000]] * 100, mark=b"")
    reader = Program.playing(tmp_path, one, times=300).reader()
    sizes = [table.nbytes for table in reader.read(QUERY, COLUMNS)]

    assert reader.source_rows == 30_000
    assert len(sizes) > 3
    assert max(sizes) < 10_000_000


def test_a_value_that_the_plan_does_not_hold_names_the_column(tmp_path: Path) -> None:
    assert "column id: 'many' is not a integer" in fails(Program.playing(tmp_path, written([["many", "_x"]])))


def test_a_reader_of_a_missing_program_is_refused_before_anything_runs(tmp_path: Path) -> None:
    program = Program.playing(tmp_path, ROWS)
    program.path.unlink()
    with pytest.raises(SourceError, match=r"bcp was not found.*SOURCE_SQLSERVER_BCP_PATH"):
        program.reader()


def test_no_rows_are_an_empty_read(tmp_path: Path) -> None:
    reader = Program.playing(tmp_path, b"\xff\xfe").reader()

    assert pa.concat_tables([pa.table({}), *reader.read(QUERY, COLUMNS)]).num_rows == 0
    assert reader.source_rows == 0


def _is_gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return "zombie" in Path(f"/proc/{process}/status").read_text()
