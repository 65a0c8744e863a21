"""A ceiling on the rows that one run reads from a source in a second, over all of its connections."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class RateLimiter:
    """Lets rows pass at a rate; whoever brings too many waits until the time for them is over.

    Rows come in blocks, so a wait follows a block: over a second or more the rate holds.
    """

    def __init__(self, rows_per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepares it.

        Args:
            rows_per_second: 0 is without limit.
        """
        self._rate = rows_per_second
        self._clock = clock
        self._lock = threading.Lock()
        self._free_at = clock()

    def take(self, rows: int, stop: threading.Event) -> None:
        """Waits until so many rows may have been read, or for `stop`."""
        if self._rate > 0:
            stop.wait(self.reserve(rows))

    def reserve(self, rows: int) -> float:
        """Seconds to wait after so many rows."""
        with self._lock:
            now = self._clock()
            self._free_at = max(self._free_at, now) + rows / self._rate
            return self._free_at - now
