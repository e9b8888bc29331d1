"""Tables: read from the report's CSV files, and made of rows as pandas, polars or neither."""

from __future__ import annotations

import csv
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

Row = Dict[str, Any]

FRAMES = ("pandas", "polars", "rows")

# Columns that are text whatever stands in them: a prompt may be "007" or "NA". All others are numbers and flags.
TEXT = frozenset(
    "candidate side phase prompt failure answer_sha256 baseline_answer_sha256 candidate_answer_sha256 "
    "quantity unit method standing claim reasons".split()
)
# Of these, those in which an empty field is an empty text; elsewhere it is nothing.
EMPTY_IS_TEXT = frozenset({"prompt", "unit", "reasons"})

WHOLE = re.compile(r"-?[0-9]+\Z")


def chosen(frames: Optional[str]) -> str:
    """What tables are: what was asked for, else what is installed."""
    if frames is None:
        for name in ("pandas", "polars"):
            if find_spec(name):
                return name
        raise ImportError(
            "tables need pandas or polars: pip install 'edgemaxx[pandas]' or 'edgemaxx[polars]'; "
            'or read_run(path, frames="rows") for lists of dicts'
        )
    if frames not in FRAMES:
        raise ValueError(f"frames: expected one of {', '.join(FRAMES)}, found {frames!r}")
    return frames


def read(path: Path) -> Tuple[List[str], List[Row]]:
    """The columns and rows of a report's CSV file; what is missing is None."""
    with path.open(encoding="utf-8", newline="") as file:
        lines = csv.reader(file)
        columns = next(lines)
        rows = []
        for line in lines:
            if len(line) != len(columns):
                raise ValueError(f"{path}:{lines.line_num}: {len(line)} fields, but {len(columns)} columns")
            rows.append({name: _value(name, field) for name, field in zip(columns, line)})
    return columns, rows


def table(frames: str, columns: Sequence[str], rows: List[Row]) -> Any:
    """The rows as `frames` says; an empty table has its columns, too."""
    if frames == "rows":
        return [{name: row.get(name) for name in columns} for row in rows]
    by_column = {name: [row.get(name) for row in rows] for name in columns}
    if frames == "polars":
        import polars

        return polars.DataFrame(by_column, strict=False)
    import pandas

    return pandas.DataFrame(by_column, columns=list(columns))


def _value(column: str, field: str) -> Any:
    if column in TEXT:
        return field if field or column in EMPTY_IS_TEXT else None
    if field == "":
        return None
    if field in ("true", "false"):
        return field == "true"
    return int(field) if WHOLE.match(field) else float(field)
