"""When a workflow runs by itself: what counts as a cron expression, and as a time zone.

Readers of cron differ in what they add to it and in how they read it. Only what all of them share is accepted.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from zoneinfo import available_timezones

from cronsim import CronSim, CronSimError

# A number, the three letters of a month or weekday, or all; as a range, with a step, in a list.
_VALUE = r"([0-9]{1,2}|[A-Za-z]{3}|\*)"
_ITEM = rf"{_VALUE}(-{_VALUE})?(/[0-9]{{1,2}})?"
_FIELD = rf"{_ITEM}(,{_ITEM})*"
CRON_PATTERN = rf"^{_FIELD}( +{_FIELD}){{4}}$"

# How many values each field has: minutes, hours, days, months, weekdays.
_VALUES = (60, 24, 31, 12, 7)
_ANY_MOMENT = datetime(2000, 1, 1, tzinfo=timezone.utc)


def is_cron_expression(text: str) -> bool:
    """Whether a text that fits `CRON_PATTERN` has values that its fields can have, on a day that there is.

    The day must be in one of the months whatever the weekday: some readers look for it there and never end.
    A step over all of a field's values is refused, since `*/90` in minutes would mean every hour.
    """
    fields = text.split()
    for field, values in zip(fields, _VALUES, strict=True):
        if any(int(step) >= values for step in re.findall("/([0-9]+)", field)):
            return False
    try:
        CronSim(text, _ANY_MOMENT)
        CronSim(" ".join([*fields[:4], "*"]), _ANY_MOMENT)
    except CronSimError:
        return False
    return True


def is_time_zone(text: str) -> bool:
    """Whether a text is the name of a time zone, in the case that all machines know it by."""
    # "localtime" is whatever the machine at hand is set to.
    return text != "localtime" and text in available_timezones()
