"""Results of validations as they come out of the engine, for the tests of what shows and keeps them."""

from __future__ import annotations

from datetime import datetime, timezone

from migration_assets.validation.results import (
    BucketFinding,
    Cause,
    CauseGroup,
    CellFinding,
    Coverage,
    Evidence,
    LevelResult,
    MetricFinding,
    RowFinding,
    RowKind,
    SchemaFinding,
    TableResult,
    Verdict,
    WorkflowResult,
)

STARTED = datetime(2026, 7, 1, 12, 30, tzinfo=timezone.utc)

HOSTILE = """<script>alert("x")</script> & 'quoted' \x00\x1b[31m\r\ud800\u202e\ufffe"""
"""What would break a page or a terminal: markup, quotes, controls, half a surrogate pair, a change of direction."""


def workflow(*tables: TableResult) -> WorkflowResult:
    return WorkflowResult(workflow="sales", file="workflows/sales.yaml", tables=tables)


def everything() -> WorkflowResult:
    """A workflow with one table of each kind."""
    return workflow(all_pass(), many_differences(), inconclusive(), waived(), no_key(), ended_with_error())


def all_pass() -> TableResult:
    return TableResult(
        workflow="sales",
        table="regions",
        source="public.regions",
        target="SALES.REGIONS",
        spec="4f1a",
        started_at=STARTED,
        seconds=1.25,
        levels=(
            LevelResult(level="schema", verdict=Verdict.PASS, summary="2 columns are as planned.", seconds=0.1),
            LevelResult(level="metrics", verdict=Verdict.PASS, summary="3 metrics are equal.", seconds=0.2),
            LevelResult(level="rows", verdict=Verdict.PASS, summary="All 25 rows are equal.", seconds=0.9),
        ),
        coverage=Coverage(
            compared=("ID", "NAME"),
            key=("ID",),
            source_rows=25,
            target_rows=25,
            buckets=1,
            source_snapshot="snapshot 00000003-0000001B-1",
            target_snapshot="2026-07-01 12:30:00 UTC",
        ),
        schema_findings=(
            SchemaFinding(column="ID", aspect="type", source="bigint", target="NUMBER(19, 0)", verdict=Verdict.PASS),
            SchemaFinding(column="NAME", aspect="type", source="text", target="VARCHAR", verdict=Verdict.PASS),
        ),
        metrics=(
            MetricFinding(column=None, metric="row_count", source=25, target=25, verdict=Verdict.PASS),
            MetricFinding(column="ID", metric="sum", source="325", target="325", verdict=Verdict.PASS),
            MetricFinding(column="NAME", metric="count", source=25, target=25, verdict=Verdict.PASS),
        ),
        evidence=(
            Evidence(
                step="fingerprint of all rows",
                side="source",
                sql='SELECT count(*) FROM "public"."regions"',
                query_id=None,
                seconds=0.4,
                rows=1,
                bytes=48,
                fingerprint="25:8123:-99",
            ),
            Evidence(
                step="fingerprint of all rows",
                side="target",
                sql='SELECT COUNT(*) FROM "SALES"."REGIONS"',
                query_id="01b2-77",
                seconds=0.5,
                rows=1,
                bytes=48,
                fingerprint="25:8123:-99",
            ),
        ),
    )


def many_differences(differences: int = 12_000, kept: int = 1_000) -> TableResult:
    """Trailing spaces in most rows; some cut off, rounded, replaced and decomposed text, and rows of one side only."""
    changed = tuple(
        RowFinding(
            row=number,
            kind=RowKind.CHANGED,
            key={"ID": str(7_000 + number)},
            source_rows=1,
            target_rows=1,
            columns=("NAME",) if number > 5 else ("NAME", "CITY"),
        )
        for number in range(1, kept - 1)
    )
    missing = RowFinding(row=kept - 1, kind=RowKind.MISSING, key={"ID": "99991"}, source_rows=1, target_rows=0)
    extra = RowFinding(row=kept, kind=RowKind.EXTRA, key={"ID": "-1"}, source_rows=0, target_rows=1)
    return TableResult(
        workflow="sales",
        table="customers",
        source="public.customers",
        target="SALES.CUSTOMERS",
        spec="77c0",
        started_at=STARTED,
        seconds=83.2,
        levels=(
            LevelResult(level="schema", verdict=Verdict.PASS, summary="5 columns are as planned.", seconds=0.2),
            LevelResult(level="metrics", verdict=Verdict.FAIL, summary="2 of 9 metrics differ.", seconds=2.0),
            LevelResult(
                level="rows", verdict=Verdict.FAIL, summary=f"{differences:,} of 100,000 rows differ.", seconds=81.0
            ),
        ),
        coverage=Coverage(
            compared=("ID", "NAME", "CITY", "BALANCE", "NOTE"),
            excluded=("LOADED_AT",),
            notes=("BALANCE is compared with 2 digits after the point.",),
            key=("ID",),
            source_rows=100_000,
            target_rows=100_000,
            buckets=64,
            different=14,
            source_snapshot="snapshot 00000003-0000001B-1",
            target_snapshot="2026-07-01 12:30:00 UTC",
        ),
        metrics=(
            MetricFinding(column=None, metric="row_count", source=100_000, target=100_000, verdict=Verdict.PASS),
            MetricFinding(
                column="NAME",
                metric="sum",
                source="1204311",
                target="1180311",
                verdict=Verdict.FAIL,
                difference="-24000",
                relative=-0.0199,
            ),
            MetricFinding(
                column="CITY", metric="count", source=99_998, target=100_000, verdict=Verdict.FAIL, difference="2"
            ),
        ),
        rows=(*changed, missing, extra),
        rows_different=differences,
        cells=(
            CellFinding(row=1, column="CITY", source="Köln", target="Ko\u0308ln", cause=Cause.UNICODE_FORM),
            CellFinding(
                row=2, column="CITY", source="Łódź Górna", target="??d? G?rna", cause=Cause.REPLACED_CHARACTERS
            ),
            CellFinding(row=3, column="CITY", source="", target=None, cause=Cause.EMPTY_TEXT_AND_NULL),
            CellFinding(row=4, column="CITY", source="NULL", target=None, cause=Cause.NULL_AND_VALUE),
            CellFinding(
                row=5,
                column="CITY",
                source="Llanfair " * 90 + "\tPwll\r\n",
                target="Llanfair " * 90 + "\tPwll\n",
                cause=Cause.LINE_ENDINGS,
                detail="CR LF against LF",
            ),
            *(
                CellFinding(
                    row=number,
                    column="NAME",
                    source=f"Customer {number}  ",
                    target=f"Customer {number}",
                    cause=Cause.TRAILING_SPACES,
                )
                for number in range(1, kept - 1)
            ),
        ),
        causes=(
            CauseGroup(
                column="NAME",
                cause=Cause.TRAILING_SPACES,
                detail="",
                cells=differences,
                of=differences,
                example_row=1,
            ),
            CauseGroup(column="CITY", cause=Cause.REPLACED_CHARACTERS, detail="?", cells=3_100, of=4_300),
            CauseGroup(column="CITY", cause=Cause.UNICODE_FORM, detail="NFD", cells=1_000, of=4_300, example_row=1),
            CauseGroup(column="CITY", cause=Cause.EMPTY_TEXT_AND_NULL, detail="", cells=200, of=4_300, example_row=3),
        ),
        buckets=tuple(
            BucketFinding(
                bucket=f"ID from {1_563 * number} to {1_563 * (number + 1)}",
                position=number / 64,
                source_rows=1_563 if number != 22 else 400,
                target_rows=1_563 if number != 22 else 401,
            )
            for number in (*range(10, 23), 60)
        ),
        evidence=(
            Evidence(
                step="fingerprints of 64 buckets",
                side="source",
                sql="SELECT bucket, count(*), sum(hash)\nFROM rows\nWHERE id < 100000 AND name <> ''\nGROUP BY bucket",
                query_id=None,
                seconds=12.5,
                rows=64,
                bytes=3_072,
                fingerprint="100000:11:22",
            ),
            Evidence(
                step="rows of 14 buckets",
                side="target",
                sql="SELECT * FROM rows",
                query_id="01b2-78",
                seconds=20.25,
                rows=21_882,
                bytes=4_200_000,
            ),
        ),
    )


def inconclusive() -> TableResult:
    return TableResult(
        workflow="sales",
        table="places",
        source="public.places",
        target="SALES.PLACES",
        spec="0b0b",
        started_at=STARTED,
        seconds=2.0,
        levels=(
            LevelResult(
                level="schema", verdict=Verdict.INCONCLUSIVE, summary="1 of 3 columns can't be compared.", seconds=0.1
            ),
            LevelResult(level="rows", verdict=Verdict.INCONCLUSIVE, summary="What was compared is equal.", seconds=1.9),
        ),
        coverage=Coverage(
            compared=("ID", "NAME"),
            skipped={"SHAPE": "geometry has no canonical text", "RANGE": "ranges are not supported"},
            key=("ID",),
            source_rows=10,
            target_rows=10,
            buckets=1,
        ),
    )


def waived() -> TableResult:
    reason = "ERP pads names; agreed with finance (DATA-12)"
    return TableResult(
        workflow="sales",
        table="products",
        source="public.products",
        target="SALES.PRODUCTS",
        spec="c3c3",
        started_at=STARTED,
        seconds=3.0,
        levels=(
            LevelResult(level="schema", verdict=Verdict.WAIVED, summary="1 difference is waived.", seconds=0.1),
            LevelResult(level="metrics", verdict=Verdict.PASS, summary="No metric was asked for.", ran=False),
            LevelResult(level="rows", verdict=Verdict.WAIVED, summary="2 differing rows are waived.", seconds=2.8),
        ),
        coverage=Coverage(compared=("ID", "NAME"), key=("ID",), source_rows=9, target_rows=9, buckets=1, different=1),
        schema_findings=(
            SchemaFinding(column="ID", aspect="type", source="bigint", target="NUMBER(19, 0)", verdict=Verdict.PASS),
            SchemaFinding(
                column="NAME",
                aspect="length",
                source="20",
                target="40",
                verdict=Verdict.WAIVED,
                message="the target is longer",
                waiver="VARCHAR is wider on purpose",
            ),
        ),
        rows=tuple(
            RowFinding(
                row=number,
                kind=RowKind.CHANGED,
                key={"ID": str(number)},
                source_rows=1,
                target_rows=1,
                columns=("NAME",),
                waiver=reason,
            )
            for number in (1, 2)
        ),
        rows_different=2,
        cells=tuple(
            CellFinding(row=number, column="NAME", source="A ", target="A", cause=Cause.TRAILING_SPACES)
            for number in (1, 2)
        ),
        causes=(
            CauseGroup(
                column="NAME", cause=Cause.TRAILING_SPACES, detail="", cells=2, of=2, example_row=1, waiver=reason
            ),
        ),
        buckets=(BucketFinding(bucket="all rows", position=0.0, source_rows=9, target_rows=9),),
    )


def no_key() -> TableResult:
    """Rows compared as a multiset: the key of a finding is the whole row."""
    return TableResult(
        workflow="sales",
        table="clicks",
        source="public.clicks",
        target="SALES.CLICKS",
        spec="d00d",
        started_at=STARTED,
        seconds=4.0,
        levels=(LevelResult(level="rows", verdict=Verdict.FAIL, summary="1 row is there twice.", seconds=4.0),),
        coverage=Coverage(
            compared=("A", "B"), source_rows=100, target_rows=101, buckets=256, different=1, located=False
        ),
        rows=(RowFinding(row=1, kind=RowKind.DUPLICATED, key={"A": "1", "B": None}, source_rows=1, target_rows=2),),
        rows_different=1,
        buckets=(BucketFinding(bucket="hash 3f", position=0.2, source_rows=1, target_rows=2),),
    )


def ended_with_error() -> TableResult:
    return TableResult(
        workflow="sales",
        table="orders",
        source="public.orders",
        target="SALES.ORDERS",
        spec="e4e4",
        started_at=STARTED,
        seconds=0.5,
        levels=(
            LevelResult(level="schema", verdict=Verdict.PASS, summary="All columns are as planned.", seconds=0.5),
            LevelResult(level="rows", verdict=Verdict.INCONCLUSIVE, summary="Ended with an error.", ran=False),
        ),
        error="could not connect to server:\nconnection refused",
    )


def hostile() -> TableResult:
    """Every text of it is `HOSTILE`."""
    return TableResult(
        workflow=HOSTILE,
        table=HOSTILE,
        source=HOSTILE,
        target=HOSTILE,
        spec=HOSTILE,
        started_at=STARTED,
        seconds=1.0,
        levels=(LevelResult(level="rows", verdict=Verdict.FAIL, summary=HOSTILE),),
        coverage=Coverage(
            compared=(HOSTILE,),
            excluded=(HOSTILE,),
            skipped={HOSTILE: HOSTILE},
            notes=(HOSTILE,),
            key=(HOSTILE,),
            source_rows=1,
            target_rows=1,
            buckets=1,
            different=1,
            source_snapshot=HOSTILE,
            target_snapshot=HOSTILE,
        ),
        schema_findings=(
            SchemaFinding(
                column=HOSTILE,
                aspect="type",
                source=HOSTILE,
                target=HOSTILE,
                verdict=Verdict.WAIVED,
                message=HOSTILE,
                waiver=HOSTILE,
            ),
        ),
        metrics=(
            MetricFinding(
                column=HOSTILE,
                metric=HOSTILE,
                source=HOSTILE,
                target=HOSTILE,
                verdict=Verdict.WAIVED,
                difference=HOSTILE,
                waiver=HOSTILE,
            ),
        ),
        rows=(
            RowFinding(
                row=1,
                kind=RowKind.CHANGED,
                key={HOSTILE: HOSTILE},
                source_rows=1,
                target_rows=1,
                columns=(HOSTILE,),
                waiver=HOSTILE,
            ),
        ),
        rows_different=1,
        cells=(
            CellFinding(row=1, column=HOSTILE, source=HOSTILE, target="", cause=Cause.OTHER, detail=HOSTILE),
            CellFinding(row=1, column=HOSTILE, source=None, target=HOSTILE, cause=Cause.OTHER),
        ),
        causes=(
            CauseGroup(column=HOSTILE, cause=Cause.OTHER, detail=HOSTILE, cells=1, of=1, example_row=1, waiver=HOSTILE),
        ),
        buckets=(BucketFinding(bucket=HOSTILE, position=1.0, source_rows=1, target_rows=1),),
        evidence=(
            Evidence(
                step=HOSTILE,
                side="source",
                sql=HOSTILE,
                query_id=HOSTILE,
                seconds=0.1,
                rows=1,
                bytes=1,
                fingerprint=HOSTILE,
            ),
        ),
        error=HOSTILE,
    )
