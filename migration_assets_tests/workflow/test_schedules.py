"""A workflow's schedule: what is accepted, Dagster accepts as well."""

from __future__ import annotations

import re

import pytest
from dagster import ScheduleDefinition
from hypothesis import given, settings
from hypothesis import strategies as st

from migration_assets.workflow.schedules import CRON_PATTERN, is_cron_expression
from migration_assets_tests.workflow.documents import parse, problems, workflow

SCHEDULES = [
    "* * * * *",
    "*/15 * * * *",
    "30 2 * * *",
    "05 02  1,15 * *",
    "0 6-22/4 * * MON-FRI",
    "0 0 1 jan,Jul *",
    "0 0 29 2 *",
    "0 0 * * 7",
    "59 23 31 12 0",
]

REFUSED = [
    *("", " ", "0 0 * *", "0 0 0 * * *", "0 0 * * * 2024", "@daily", "every night", "0 0 * * *\n", " 0 0 * * *"),
    *("60 * * * *", "0 24 * * *", "0 0 0 * *", "0 0 32 * *", "0 0 * 13 *", "0 0 * * 8", "0 0 * 0 *"),
    *("*/60 * * * *", "1-5/90 * * * *", "0 0-20,*/24 * * *"),
    *("*/0 * * * *", "5-1 * * * *", "0 0 * * FRI-MON", "1,,2 * * * *", "-1 * * * *", "0 0 * * xyz", "0 0 * * *-5"),
    # Beyond what all readers of cron share.
    *(
        "0 0 L * *",
        "0 0 LW * *",
        "0 0 * * 5L",
        "0 0 * * L5",
        "0 0 * * MON#1",
        "H H * * *",
        "0 0 ? * *",
        "\u0663 0 * * *",
    ),
    # Days that never come; with a weekday, Dagster would look for them without end.
    *("0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 31 9 5", "9" * 5000 + " 0 * * *"),
]


def dagsters(schedule: str, time_zone: str = "UTC") -> ScheduleDefinition:
    return ScheduleDefinition(name="x", job_name="x", cron_schedule=schedule, execution_timezone=time_zone)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("time_zone", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5"])
def test_a_schedule_is_one_for_dagster(schedule: str, time_zone: str) -> None:
    loaded = parse(workflow(schedule=schedule, scheduleTimeZone=time_zone))
    assert (loaded.schedule, loaded.schedule_time_zone) == (schedule, time_zone)
    assert loaded.schedule
    assert dagsters(loaded.schedule, loaded.schedule_time_zone).cron_schedule == schedule


numbers = st.integers(0, 60).map(str) | st.sampled_from(["*", "MON", "sun", "Feb", "DEC"])
items = st.builds("{}{}{}".format, numbers, st.just("") | numbers.map("-{}".format), st.sampled_from(["", "/2", "/60"]))
cron_fields = st.lists(items, min_size=1, max_size=2).map(",".join)


# Dagster warns of a step that is larger than its range, and takes "3-3" for one.
@pytest.mark.filterwarnings("ignore:Found a cron schedule with an interval")
@settings(max_examples=300, deadline=None)
@given(st.tuples(*[st.just("*") | cron_fields] * 5).map(" ".join))
def test_any_schedule_that_is_accepted_is_one_for_dagster(schedule: str) -> None:
    assert re.fullmatch(CRON_PATTERN, schedule)
    if is_cron_expression(schedule):
        dagsters(schedule)


@pytest.mark.parametrize("schedule", REFUSED)
def test_other_schedules_are_refused(schedule: str) -> None:
    assert [problem.path for problem in problems(workflow(schedule=schedule))] == ["$.schedule"]


@pytest.mark.parametrize(
    "zone", ["", "Berlin", "europe/berlin", "Europe", "../UTC", "/etc/localtime", "localtime", "+01:00"]
)
def test_a_time_zone_is_one_of_the_iana_database(zone: str) -> None:
    found = problems(workflow(schedule="0 0 * * *", scheduleTimeZone=zone))
    assert [problem.path for problem in found] == ["$.scheduleTimeZone"]


def test_a_workflow_without_a_schedule_waits_to_be_asked() -> None:
    loaded = parse(workflow())
    assert (loaded.schedule, loaded.schedule_time_zone) == (None, "UTC")
    assert parse(workflow(schedule="0 0 * * *")).schedule_time_zone == "UTC"
