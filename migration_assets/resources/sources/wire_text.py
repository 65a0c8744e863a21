"""Values of COPY (FORMAT binary) as text, for messages about those that have no place in their column's type."""

from __future__ import annotations

_MICROSECONDS = 1_000_000
_DAY = 86_400 * _MICROSECONDS
_DAYS_FROM_YEAR_1_TO_2000 = 730_119
"""From 0001-01-01 to 2000-01-01."""
_ERA_DAYS, _ERA_YEARS = 146_097, 400
_SPECIAL_NUMERICS = {0xC000: "NaN", 0xD000: "Infinity", 0xF000: "-Infinity"}


def integer_text(field: bytes, *, signed: bool) -> str:
    """An integer of any width."""
    return str(int.from_bytes(field, "big", signed=signed))


def numeric_text(field: bytes) -> str:
    """A numeric, with all its digits."""
    groups = int.from_bytes(field[:2], "big")
    weight = int.from_bytes(field[2:4], "big", signed=True)
    sign, places = int.from_bytes(field[4:6], "big"), int.from_bytes(field[6:8], "big")
    if sign in _SPECIAL_NUMERICS:
        return _SPECIAL_NUMERICS[sign]
    digits = [int.from_bytes(field[at : at + 2], "big") for at in range(8, 8 + 2 * groups, 2)]
    # Groups of four digits; those that PostgreSQL leaves out are zeros.
    point = max(weight + 1, 0)
    before = digits[:point] + [0] * (point - groups)
    after = [0] * (-weight - 1) + digits[point:]
    whole = "".join(f"{group:04}" for group in before).lstrip("0") or "0"
    fraction = "".join(f"{group:04}" for group in after).ljust(places, "0")[:places]
    return f"{'-' if sign else ''}{whole}{'.' if places else ''}{fraction}"


def date_text(field: bytes) -> str:
    """A date, as PostgreSQL prints it in ISO style."""
    days = int.from_bytes(field, "big", signed=True)
    return _infinity(field) or _with_era(*_year_and_day(days))


def timestamp_text(field: bytes) -> str:
    """A timestamp with or without time zone, in UTC."""
    days, time = divmod(int.from_bytes(field, "big", signed=True), _DAY)
    year, day = _year_and_day(days)
    return _infinity(field) or _with_era(year, f"{day} {_time(time)}")


def time_text(field: bytes) -> str:
    """A time of day, which may be its end, 24:00:00."""
    return _time(int.from_bytes(field, "big"))


def _infinity(field: bytes) -> str | None:
    value, end = int.from_bytes(field, "big", signed=True), 1 << 8 * len(field) - 1
    return {-end: "-infinity", end - 1: "infinity"}.get(value)


def _time(microseconds: int) -> str:
    seconds, fraction = divmod(microseconds, _MICROSECONDS)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{fraction:06}".rstrip("0") if fraction else text


def _year_and_day(days: int) -> tuple[int, str]:
    """The year (0 is 1 BC) and `-MM-DD` of a day that is counted from 2000-01-01, in the proleptic calendar."""
    # Years that begin in March have their leap day at the end; 306 days are from then to the end of the year.
    era, day = divmod(days + _DAYS_FROM_YEAR_1_TO_2000 + 306, _ERA_DAYS)
    year = (day - day // 1_460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    day -= (153 * month + 2) // 5
    month += 3
    return year + era * _ERA_YEARS + (month > 12), f"-{(month - 1) % 12 + 1:02}-{day + 1:02}"


def _with_era(year: int, rest: str) -> str:
    return f"{year:04}{rest}" if year > 0 else f"{1 - year:04}{rest} BC"
