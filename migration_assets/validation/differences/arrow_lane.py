"""The worker's side of fingerprints: Arrow columns to canonical texts, tokens, row texts, hashes and their sums.

It is the same spec `v1` (`migration_assets.platforms.canonical`) that platforms follow in SQL, so that fingerprints of
rows that a database hashed and of rows that a worker read can be compared, and added. Arrow's own formatting does
nearly all values, column by column; the few that it would print otherwise go through Python one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from hashlib import md5
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from migration_assets.platforms.canonical import (
    HASH_MARK,
    LANE_BITS,
    LONGEST_TEXT,
    NULL_TOKEN,
    CanonicalKind,
    CanonicalType,
    Fingerprint,
)
from migration_assets.validation.differences.canonical_json import canonical_json

Lane: TypeAlias = npt.NDArray[np.uint64]
"""60 bits of every row's hash."""

Bucket: TypeAlias = int | str | None

_MOST_ROWS = 1 << 15
_MOST_BYTES = 1 << 29
"""Rows are hashed in slices that stay in the processor's caches, and in which no text column reaches 2 GiB."""

_SECONDS_PER_DAY = 86_400
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
"""0001-01-01 and 9999-12-31 as days since 1970-01-01: the years that Arrow prints as the spec wants them."""

_UNIT_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
_HEX = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), dtype=np.uint16)
_LANE_MASK = np.uint64((1 << LANE_BITS) - 1)
_HALF, _HALF_MASK = np.uint64(32), np.uint64(0xFFFF_FFFF)


def canonical_text(array: pa.Array | pa.ChunkedArray, canonical: CanonicalType) -> pa.Array:
    """The canonical texts of a column.

    Numbers may also come as text, which holds what Arrow decimals don't, such as NaN, and times, which hold 100 ns in
    every year as text (`ColumnType.is_staged_as_text`).

    Returns:
        An array of strings, NULL where `array` is.

    Raises:
        TypeError: columns of the Arrow type aren't compared as `canonical`.
        ValueError: a text is no number, no time, or not JSON.
    """
    plain = _plain(array)
    if pa.types.is_null(plain.type):
        return pa.nulls(len(plain), pa.string())
    text = _CANONICAL_TEXT[canonical.kind](plain, canonical.digits)
    if text is None:
        raise TypeError(f"Arrow columns of {plain.type} are not compared as {canonical}")
    return text


def tokens(texts: pa.Array, canonical: CanonicalType) -> pa.Array:
    r"""What stands for canonical texts in the row text: NULL as `\N`, texts escaped, long ones as their hash.

    Returns:
        An array of strings without NULL.
    """
    if canonical.kind in (CanonicalKind.TEXT, CanonicalKind.JSON):
        texts = _hashed_if_long(texts, _escaped(texts))
    elif canonical.kind is CanonicalKind.BINARY:
        texts = _hashed_if_long(texts, texts)
    return texts.fill_null(NULL_TOKEN) if texts.null_count else texts


def row_texts(columns: Sequence[pa.Array | pa.ChunkedArray], canonicals: Sequence[CanonicalType]) -> pa.Array:
    """The row texts of columns of one length.

    Raises:
        ValueError: no columns, or not one canonical type for each.
    """
    if not columns:
        raise ValueError("a row text needs at least one column")
    parts = [
        tokens(canonical_text(column, canonical), canonical)
        for column, canonical in zip(columns, canonicals, strict=True)
    ]
    return pc.binary_join_element_wise(*parts, "|")


def row_hashes(columns: Sequence[pa.Array | pa.ChunkedArray], canonicals: Sequence[CanonicalType]) -> tuple[Lane, Lane]:
    """The lanes `high` and `low` of every row."""
    return text_hashes(row_texts(columns, canonicals))


def text_hashes(texts: pa.Array) -> tuple[Lane, Lane]:
    """The lanes `high` and `low` of row texts' md5: the low 60 bits of its upper and of its lower 64 bits."""
    digests = b"".join([md5(text, usedforsecurity=False).digest() for text in texts.cast(pa.binary()).to_pylist()])
    halves = np.frombuffer(digests, dtype=">u8").astype(np.uint64).reshape(-1, 2) & _LANE_MASK
    return halves[:, 0], halves[:, 1]


def fingerprint(table: pa.Table | pa.RecordBatch, canonicals: Mapping[str, CanonicalType]) -> Fingerprint:
    """The fingerprint of all rows.

    Args:
        canonicals: the columns of the row text by name, in its order; other columns of the table don't matter.

    Raises:
        KeyError: a column isn't in the table.
    """
    total = Fingerprint.ZERO
    for rows in _slices(_selected(table, canonicals)):
        high, low = row_hashes(rows.columns, list(canonicals.values()))
        total += Fingerprint(len(high), _sum(high), _sum(low))
    return total


def text_fingerprint(texts: pa.Array | pa.ChunkedArray) -> Fingerprint:
    """The fingerprint of rows whose row texts these are."""
    total = Fingerprint.ZERO
    for start in range(0, len(texts), _MOST_ROWS):
        high, low = text_hashes(_one_chunk(texts.slice(start, _MOST_ROWS)))
        total += Fingerprint(len(high), _sum(high), _sum(low))
    return total


def fingerprints_by(
    table: pa.Table | pa.RecordBatch, canonicals: Mapping[str, CanonicalType], bucket: pa.Array | pa.ChunkedArray
) -> dict[Bucket, Fingerprint]:
    """The fingerprint of every bucket.

    Args:
        canonicals: the columns of the row text by name, in its order.
        bucket: the bucket of every row; NULL is one, too.

    Raises:
        KeyError: a column isn't in the table.
        ValueError: `bucket` isn't as long as the table.
    """
    if len(bucket) != table.num_rows:
        raise ValueError(f"{len(bucket)} buckets for {table.num_rows} rows")
    encoded = _one_chunk(bucket).dictionary_encode(null_encoding="encode")
    names: list[Bucket] = encoded.dictionary.to_pylist()
    codes = encoded.indices.to_numpy()
    sums = [_BucketSums.zero(len(names)) for _lane in ("high", "low")]
    position = 0
    for rows in _slices(_selected(table, canonicals)):
        lanes = row_hashes(rows.columns, list(canonicals.values()))
        for lane, lane_sums in zip(lanes, sums, strict=True):
            lane_sums.add(codes[position : position + rows.num_rows], lane)
        position += rows.num_rows
    counts = np.bincount(codes, minlength=len(names)).tolist()
    return {
        name: Fingerprint(count, high, low)
        for name, count, high, low in zip(names, counts, sums[0].exact(), sums[1].exact(), strict=True)
    }


@dataclass(frozen=True)
class _BucketSums:
    """The sum of a lane in every bucket, as sums of its upper and lower bits: 64 bits don't hold 17 hashes.

    They hold the halves of 2**32 rows.
    """

    upper: Lane
    lower: Lane

    @classmethod
    def zero(cls, buckets: int) -> _BucketSums:
        return cls(np.zeros(buckets, np.uint64), np.zeros(buckets, np.uint64))

    def add(self, buckets: npt.NDArray[np.integer], lane: Lane) -> None:
        np.add.at(self.upper, buckets, lane >> _HALF)
        np.add.at(self.lower, buckets, lane & _HALF_MASK)

    def exact(self) -> list[int]:
        return [(upper << 32) + lower for upper, lower in zip(self.upper.tolist(), self.lower.tolist(), strict=True)]


def _sum(lane: Lane) -> int:
    """The exact sum: two halves, as `_BucketSums`."""
    return (int((lane >> _HALF).sum()) << 32) + int((lane & _HALF_MASK).sum())


def _selected(table: pa.Table | pa.RecordBatch, canonicals: Mapping[str, CanonicalType]) -> pa.Table:
    return pa.table([table.column(name) for name in canonicals], names=list(canonicals))


def _slices(table: pa.Table) -> Iterator[pa.Table]:
    """The rows of a table in pieces whose texts and row texts fit Arrow strings."""
    longest_row = table.num_columns * (2 * LONGEST_TEXT + 1)
    rows = max(1, min(_MOST_ROWS, (1 << 30) // longest_row))
    for start in range(0, table.num_rows, rows):
        yield from _halved(table.slice(start, rows))


def _halved(table: pa.Table) -> Iterator[pa.Table]:
    """`table`, cut in halves as long as it has too many bytes."""
    if table.num_rows <= 1 or table.nbytes <= _MOST_BYTES:
        yield table
        return
    half = table.num_rows // 2
    yield from _halved(table.slice(0, half))
    yield from _halved(table.slice(half))


# Tokens.


def _escaped(texts: pa.Array) -> pa.Array:
    r"""`\` and `|` escaped. Most columns have neither, which a look at all their bytes at once tells."""
    for character, escape in (("\\", r"\\"), ("|", r"\p")):
        if _has_byte(texts, ord(character)):
            texts = pc.replace_substring(texts, character, escape)
    return texts


def _has_byte(texts: pa.Array, byte: int) -> bool:
    _, offsets, data = texts.buffers()
    if data is None or not len(texts):
        return False
    first, last = np.frombuffer(offsets, np.int32)[[texts.offset, texts.offset + len(texts)]]
    return bool((np.frombuffer(data, np.uint8)[first:last] == byte).any())


def _hashed_if_long(texts: pa.Array, short: pa.Array) -> pa.Array:
    """`short`, but the hash of every one of `texts` of more than `LONGEST_TEXT` bytes."""
    lengths = pc.binary_length(texts)
    if (pc.max(lengths).as_py() or 0) <= LONGEST_TEXT:
        return short
    is_long = pc.greater(lengths, LONGEST_TEXT).fill_null(False)
    long = texts.filter(is_long).cast(pa.binary()).to_pylist()
    return _replaced(short, is_long, [HASH_MARK + md5(text, usedforsecurity=False).hexdigest() for text in long])


# Canonical texts: functions of an array and a number of digits; None when the Arrow type isn't of the kind.


def _number(array: pa.Array, scale: int) -> pa.Array | None:
    arrow_type = array.type
    if pa.types.is_boolean(arrow_type) or pa.types.is_integer(arrow_type):
        text = (array.cast(pa.int8()) if pa.types.is_boolean(arrow_type) else array).cast(pa.string())
        return pc.binary_join_element_wise(text, "0" * scale, ".") if scale else text
    if pa.types.is_decimal(arrow_type):
        return _decimal(array, scale)
    if _is_text(arrow_type):
        return pa.array(
            [None if text is None else _decimal_text(_decimal_of(text), scale) for text in array.to_pylist()],
            pa.string(),
        )
    return None


def _decimal(array: pa.Array, scale: int) -> pa.Array:
    needed = array.type.precision + max(0, scale - array.type.scale)
    if max(needed, scale) > 76:
        values = array.to_pylist()
        return pa.array([None if value is None else _decimal_text(value, scale) for value in values], pa.string())
    wide = pa.decimal128(38, scale) if max(needed, scale) <= 38 else pa.decimal256(76, scale)
    rescaled = array.cast(wide, safe=False)
    text = rescaled.cast(pa.string()) if scale <= 6 else _pointed(rescaled, scale)
    if scale < array.type.scale:
        has_more = pc.not_equal(rescaled.cast(array.type, safe=False), array).fill_null(False)
        text = _replaced(text, has_more, [_decimal_text(value, scale) for value in array.filter(has_more).to_pylist()])
    return text


def _pointed(decimals: pa.Array, scale: int) -> pa.Array:
    """Decimals of one scale as text. Arrow prints those under 1e-6 with an exponent; whole numbers it never does."""
    whole = pa.decimal128(38, 0) if pa.types.is_decimal128(decimals.type) else pa.decimal256(76, 0)
    text = decimals.view(whole).cast(pa.string())
    padded = pc.ascii_lpad(pc.ascii_ltrim(text, characters="-"), width=scale + 1, padding="0")
    pointed = pc.utf8_replace_slice(padded, start=-scale, stop=-scale, replacement=".")
    return pc.if_else(pc.starts_with(text, "-"), pc.binary_join_element_wise("-", pointed, ""), pointed)


def _decimal_of(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(f"a text of {len(text)} characters is no number") from None


def _decimal_text(value: Decimal, scale: int) -> str:
    if not value.is_finite():
        return "NaN" if value.is_nan() else "-Infinity" if value.is_signed() else "Infinity"
    whole, _, fraction = f"{value.copy_abs() if value.is_zero() else value:f}".partition(".")
    fraction = fraction.rstrip("0").ljust(scale, "0")
    return f"{whole}.{fraction}" if fraction else whole


def _float(array: pa.Array, _digits: int) -> pa.Array | None:
    if not pa.types.is_floating(array.type):
        return None
    values = array.cast(pa.float64()).fill_null(0.0).to_numpy()
    special = ~np.isfinite(values) | (values == 0)
    fractions, exponents = np.frexp(np.where(special, 1.0, values))
    mantissas = np.ldexp(fractions, 53).astype(np.int64)
    text = pc.binary_join_element_wise(
        pa.array(mantissas).cast(pa.string()), pa.array(exponents - 53).cast(pa.string()), "p"
    )
    if special.any():
        text = _replaced(text, pa.array(special), [_special_float_text(value) for value in values[special].tolist()])
    return _with_nulls_of(array, text)


def _special_float_text(value: float) -> str:
    if value == 0:
        return "0"
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def _text(array: pa.Array, _digits: int) -> pa.Array | None:
    return array.cast(pa.string()) if _is_text(array.type) else None


def _binary(array: pa.Array, _digits: int) -> pa.Array | None:
    arrow_type = array.type
    if not (
        pa.types.is_binary(arrow_type)
        or pa.types.is_large_binary(arrow_type)
        or pa.types.is_fixed_size_binary(arrow_type)
        or str(arrow_type) == "binary_view"
    ):
        return None
    large = array.cast(pa.large_binary())
    _, offsets_buffer, data = large.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int64, count=len(large) + 1, offset=8 * large.offset)
    bytes_ = np.frombuffer(data if data is not None else b"", np.uint8)[offsets[0] : offsets[-1]]
    text = pa.LargeStringArray.from_buffers(
        len(large), pa.py_buffer(2 * (offsets - offsets[0])), pa.py_buffer(_HEX[bytes_])
    )
    return _with_nulls_of(array, text.cast(pa.string()))


def _date(array: pa.Array, _digits: int) -> pa.Array | None:
    if not pa.types.is_date(array.type):
        return None
    dates = array.cast(pa.date32())
    days = _whole_numbers(dates)
    unusual = (days < _FIRST_DAY) | (days > _LAST_DAY)
    return _replaced(dates.cast(pa.string()), pa.array(unusual), ["".join(_calendar(day)) for day in days[unusual]])


def _time(array: pa.Array, _digits: int) -> pa.Array | None:
    if _is_text(array.type):
        return _without_zeros(array.cast(pa.string()))
    if not pa.types.is_time(array.type):
        return None
    values = _whole_numbers(array)
    unusual = values >= _SECONDS_PER_DAY * 10 ** _UNIT_DIGITS[array.type.unit]  # 24:00:00
    return _with_short_fraction(array, values, unusual, lambda seconds, fraction: _clock(seconds) + fraction)


def _timestamp(array: pa.Array, _digits: int) -> pa.Array | None:
    if pa.types.is_date(array.type):
        array = array.cast(pa.date32()).cast(pa.timestamp("s"))
    if _is_text(array.type):
        return _without_zeros(_in_utc(array.cast(pa.string())))
    if not pa.types.is_timestamp(array.type):
        return None
    per_day = _SECONDS_PER_DAY * 10 ** _UNIT_DIGITS[array.type.unit]
    utc = array.view(pa.timestamp(array.type.unit))
    values = _whole_numbers(utc)
    days = values // per_day
    return _with_short_fraction(utc, values, (days < _FIRST_DAY) | (days > _LAST_DAY), _moment)


_TO_THE_SECOND = len("YYYY-MM-DD HH:MM:SS")
_OFFSET = len("+HH:MM")


def _in_utc(texts: pa.Array) -> pa.Array:
    """Texts of wall times as they are, and of instants in UTC and without their offset."""
    with_offset = pc.match_substring_regex(texts, r" [+-]\d\d:\d\d$").fill_null(False)
    if not pc.any(with_offset).as_py():
        return texts
    instants = texts.filter(with_offset)
    offsets = pc.utf8_slice_codeunits(instants, -_OFFSET)
    hours, minutes = (pc.utf8_slice_codeunits(offsets, at, at + 2).cast(pa.int64()).to_numpy() for at in (1, 4))
    signs = np.where(pc.starts_with(offsets, "-").to_numpy(zero_copy_only=False), -1, 1)
    wall_times = pc.utf8_slice_codeunits(instants, 0, _TO_THE_SECOND).cast(pa.timestamp("s"))
    seconds = _whole_numbers(wall_times) - signs * (hours * 3600 + minutes * 60)
    # No source has instants beyond the years 1 to 9999 in UTC, which Arrow prints.
    whole = pa.array(seconds).cast(pa.timestamp("s")).cast(pa.string())
    fractions = pc.utf8_slice_codeunits(instants, _TO_THE_SECOND, -_OFFSET - 1)
    return pc.replace_with_mask(texts, with_offset, pc.binary_join_element_wise(whole, fractions, ""))


def _without_zeros(texts: pa.Array) -> pa.Array:
    """Texts of times without zeros at the end of the fraction, if they have one."""
    short = pc.ascii_rtrim(pc.ascii_rtrim(texts, characters="0"), characters=".")
    return pc.if_else(pc.match_substring(texts, "."), short, texts)


def _with_short_fraction(
    array: pa.Array,
    values: npt.NDArray[np.int64],
    unusual: npt.NDArray[np.bool_],
    unusual_text: Callable[[int, str], str],
) -> pa.Array:
    """Times as Arrow prints them, but fractions without zeros at their end.

    Args:
        values: the same as numbers of the unit.
        unusual: what Arrow can't print.
        unusual_text: the text for whole seconds and a fraction with its point.
    """
    unit_digits = _UNIT_DIGITS[array.type.unit]
    text = array.cast(pa.string())
    if unit_digits:
        text = pc.ascii_rtrim(pc.ascii_rtrim(text, characters="0"), characters=".")

    def exact(value: int) -> str:
        seconds, rest = divmod(value, 10**unit_digits)
        return unusual_text(seconds, f".{rest:0{unit_digits}}".rstrip("0") if rest else "")

    return _replaced(text, pa.array(unusual), [exact(value) for value in values[unusual].tolist()])


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _moment(seconds: int, fraction: str) -> str:
    days, of_day = divmod(seconds, _SECONDS_PER_DAY)
    day, era = _calendar(days)
    return f"{day} {_clock(of_day)}{fraction}{era}"


def _calendar(days: int) -> tuple[str, str]:
    """The day, that many days after 1970-01-01, in the Gregorian calendar of all times, and ` BC` or nothing.

    The algorithm is `civil_from_days` of https://howardhinnant.github.io/date_algorithms.html.
    """
    era, day_of_era = divmod(int(days) + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_from_march = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month_from_march + 2) // 5 + 1
    month = (month_from_march + 2) % 12 + 1
    year = era * 400 + year_of_era + (month <= 2)
    return f"{year if year > 0 else 1 - year:04}-{month:02}-{day:02}", "" if year > 0 else " BC"


def _json(array: pa.Array, _digits: int) -> pa.Array | None:
    if not _is_text(array.type):
        return None
    return pa.array([None if text is None else canonical_json(text) for text in array.to_pylist()], pa.string())


_CANONICAL_TEXT: dict[CanonicalKind, Callable[[pa.Array, int], pa.Array | None]] = {
    CanonicalKind.NUMBER: _number,
    CanonicalKind.FLOAT: _float,
    CanonicalKind.TEXT: _text,
    CanonicalKind.BINARY: _binary,
    CanonicalKind.DATE: _date,
    CanonicalKind.TIME: _time,
    CanonicalKind.TIMESTAMP: _timestamp,
    CanonicalKind.JSON: _json,
}


# Arrow arrays.


def _one_chunk(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    if not isinstance(array, pa.ChunkedArray):
        return array
    return array.chunk(0) if array.num_chunks == 1 else pa.concat_arrays(array.chunks or [pa.array([], array.type)])


def _plain(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One array of values, without a dictionary."""
    plain = _one_chunk(array)
    return plain.dictionary_decode() if pa.types.is_dictionary(plain.type) else plain


def _is_text(arrow_type: pa.DataType) -> bool:
    return pa.types.is_string(arrow_type) or pa.types.is_large_string(arrow_type) or str(arrow_type) == "string_view"


def _whole_numbers(times: pa.Array) -> npt.NDArray[np.int64]:
    """Dates and times as the numbers they are stored as; zero for NULL, which every caller finds usual."""
    width = pa.int64() if times.type.bit_width == 64 else pa.int32()
    numbers: npt.NDArray[np.int64] = times.cast(width).fill_null(0).to_numpy().astype(np.int64)
    return numbers


def _replaced(text: pa.Array, where: pa.Array, replacements: list[str]) -> pa.Array:
    return pc.replace_with_mask(text, where, pa.array(replacements, pa.string())) if replacements else text


def _with_nulls_of(array: pa.Array, text: pa.Array) -> pa.Array:
    return pc.if_else(array.is_valid(), text, pa.scalar(None, pa.string())) if array.null_count else text
