"""A run folder, read: documents as dicts, everything that has rows as a table."""

from __future__ import annotations

import hashlib
import math
import os
from functools import cached_property
from pathlib import Path
from typing import Any, Dict, List, Optional, Union

from . import documents, tables
from .documents import Document

# A pandas.DataFrame, a polars.DataFrame, or a list of rows.
Table = Any


def read_run(path: Union[str, "os.PathLike[str]"], frames: Optional[str] = None) -> Run:
    """The run in a folder; `frames` says what tables are: "pandas", "polars" or "rows" (lists of dicts).

    Without `frames`, tables are pandas' where it is installed, else polars'. Files are read when they are first asked
    for; one of another version is refused by name.
    """
    folder = Path(path)
    if not (folder / "plan.json").is_file():
        raise FileNotFoundError(f"{folder}: no plan.json in it, so it is no run folder")
    return Run(folder, tables.chosen(frames))


class Run:
    """A run folder. Documents are dicts, tables are what `frames` says."""

    def __init__(self, folder: Path, frames: str) -> None:
        self.folder, self.frames = folder, frames

    def __repr__(self) -> str:
        return f"<edgemaxx run {self.name!r} of {self.day} in {str(self.folder)!r}>"

    @cached_property
    def plan(self) -> Document:
        """What was to be measured, in which order."""
        return documents.document(self.folder, "plan.json")

    @cached_property
    def environment(self) -> Document:
        """The machine, the pins, the versions."""
        return documents.document(self.folder, "environment.json")

    @cached_property
    def ranking(self) -> Document:
        """The verdict: who stands where, and why."""
        return documents.document(self.folder, "ranking.json")

    @cached_property
    def summary(self) -> Document:
        """The run in short."""
        return documents.document(self.folder, "summary.json")

    @cached_property
    def certificate(self) -> Document:
        """What the baseline against itself came to."""
        found: Document = self._estimates["certificate"]
        return found

    @property
    def name(self) -> str:
        """The contest's name."""
        return str(self.plan["contest"]["name"])

    @property
    def day(self) -> str:
        """The day of the contest, YYYY-MM-DD."""
        return str(self.plan["day"])

    @property
    def baseline(self) -> str:
        """The name of the baseline."""
        return str(self._estimates["baseline"])

    @cached_property
    def samples(self) -> Table:
        """One row for every request that was made, failed ones and warm-up included (`samples.csv`)."""
        return self._report("samples.csv")

    @cached_property
    def quality(self) -> Table:
        """One row for every judged pair, with a column for each metric (`quality.csv`)."""
        return self._report("quality.csv")

    @cached_property
    def estimates(self) -> Table:
        """One row for every estimate of every candidate, with its interval, level and method (`estimates.csv`)."""
        return self._report("estimates.csv")

    @cached_property
    def leaderboard(self) -> Table:
        """One row for each candidate, the first first (`leaderboard.csv`)."""
        return self._report("leaderboard.csv")

    @cached_property
    def sessions(self) -> Table:
        """One row for each session of each candidate that gave something: its speedup and its similarity."""
        return tables.table(self.frames, ["candidate", "round", "speedup", "similarity"], self.session_rows())

    def session_rows(self) -> List[Dict[str, Any]]:
        """`sessions` as rows, whatever tables are."""
        return [
            {
                "candidate": candidate["name"],
                "round": session["round"],
                # the logarithm is of the candidate's latency over the baseline's
                "speedup": math.exp(-session["log_ratio"]),
                "similarity": session["similarity"],
            }
            for candidate in self._estimates["candidates"]
            for session in candidate["by_session"]
        ]

    def telemetry(self, record: str) -> Table:
        """One row for each reading of `record`: "gpu", "host" or "tree"; without rows where nothing was read."""
        if record not in ("gpu", "host", "tree"):
            raise ValueError(f"expected gpu, host or tree, found {record!r}")
        rows: List[Dict[str, Any]] = []
        if (self.folder / "telemetry.jsonl").exists():
            records = documents.log(self.folder, "telemetry.jsonl")
            rows = [
                {key: value for key, value in found.items() if key != "record"}
                for found in records
                if found.get("record") == record
            ]
        columns = list(dict.fromkeys(key for row in rows for key in row))
        return tables.table(self.frames, columns or ["at_ns"], rows)

    def log(self) -> List[Document]:
        """The records of `samples.jsonl` themselves, the header first; its hash chain is checked."""
        return documents.log(self.folder, "samples.jsonl")

    def picture(self, answer: str) -> Path:
        """The file of a picture, by its digest (`answer_sha256` of `samples`). A published run may lack some."""
        return self.folder / "artefacts" / f"{answer}.png"

    def rows(self, name: str) -> List[Dict[str, Any]]:
        """A table that the report wrote (such as "leaderboard.csv") as rows, whatever tables are.

        Raises FileNotFoundError where no report was written, ValueError where it is of another log than the folder's.
        """
        path = self.folder / name
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such table; `edgemaxx report {self.folder}` writes it")
        self._of_this_log
        return tables.read(path)[1]

    @cached_property
    def _estimates(self) -> Document:
        return documents.document(self.folder, "estimates.json")

    @cached_property
    def _of_this_log(self) -> None:
        """The report's tables are of the log that lies beside them."""
        lines = (self.folder / "samples.jsonl").read_bytes().split(b"\n")[:-1]
        head = hashlib.sha256(lines[-1] if lines else b"").hexdigest()
        if self.summary["samples"] != head:
            raise ValueError(
                f"{self.folder}: its report is of another samples.jsonl; `edgemaxx analyze`, `rank` and `report` "
                "make it again"
            )

    def _report(self, name: str) -> Table:
        rows = self.rows(name)
        return tables.table(self.frames, tables.read(self.folder / name)[0], rows)

    @cached_property
    def _simultaneous(self) -> Dict[str, Document]:
        """By candidate, the interval that holds for all candidates at once: the one that claims are made by."""
        found = {candidate["name"]: candidate["speedup_simultaneous"] for candidate in self._estimates["candidates"]}
        return {name: estimate for name, estimate in found.items() if estimate is not None}
