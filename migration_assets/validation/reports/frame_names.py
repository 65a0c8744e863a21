"""The names of the result tables; apart from the tables themselves, which need pandas."""

FRAME_NAMES = (
    "SUMMARY",
    "SCHEMA_FINDINGS",
    "METRIC_FINDINGS",
    "ROW_FINDINGS",
    "CELL_FINDINGS",
    "CAUSES",
    "EVIDENCE",
)
