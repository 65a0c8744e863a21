"""Arithmetic of binary fractions that is exact up to the last step."""

from __future__ import annotations

import math
import struct
from decimal import Decimal
from fractions import Fraction


def float_before(low: str, lookback: Decimal, *, is_real: bool) -> float:
    """A number of 64 bits, or of 32, that is not above the difference, and next to it."""
    start = _as_real(float(low)) if is_real else float(low)
    if not math.isfinite(start):
        return start
    exact = Fraction(start) - Fraction(lookback)
    value = _as_real(float(exact)) if is_real else float(exact)
    if Fraction(value) <= exact:
        return value
    return _as_real(value - abs(value) * 2.0**-23 - 2.0**-149) if is_real else math.nextafter(value, -math.inf)


def _as_real(value: float) -> float:
    (rounded,) = struct.unpack("<f", struct.pack("<f", value))
    assert isinstance(rounded, float)
    return rounded
