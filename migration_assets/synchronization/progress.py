"""What a run has settled under its snapshot: the next run begins where it says."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from migration_assets.resources.stages.base import StagedFile


class Progress(BaseModel):
    """Kept in the ledger with the generation.

    Attributes:
        strategy: of the table's synchronization.
        mode: how the target is changed.
        as_of: when the snapshot was taken: the target is as the source was then.
        snapshot: the mark of the snapshot.
        low: rows above this watermark are read; None is from the beginning.
        inclusive: and those that have it, since rows have come with it, gone or changed.
        watermark: and up to this one, the largest under the snapshot; None where there is none.
        bound: the fingerprint of the rows that have this largest one.
        missing: the fingerprint of the rows without a watermark.
        rows: rows of the whole table under the user's filter, where the strategy has them counted.
        changed: partitions whose checksum is another one than before; None without checksums.
        deleted: keys that are gone in the source.
        deleted_files: these keys on the stage.
        keys_pulled: keys that had to be fetched from both sides to find them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategy: str
    mode: str
    as_of: datetime
    snapshot: str
    low: str | None = None
    inclusive: bool = False
    watermark: str | None = None
    bound: str | None = None
    missing: str | None = None
    rows: int | None = None
    changed: int | None = None
    deleted: int = 0
    deleted_files: tuple[StagedFile, ...] = ()
    keys_pulled: int = 0
