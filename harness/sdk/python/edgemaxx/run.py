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

    @property
    def lanes(self) -> int:
        """How many cards, or sets of processors, measured at the same time."""
        return int(self.plan.get("lanes", 1))

    def _lane(self, lane: Optional[int]) -> Path:
        """The folder of what was measured on a lane; the run's own where it has one."""
        if self.lanes == 1 and lane is None:
            return self.folder
        if lane is None or not 0 <= lane < self.lanes or self.lanes == 1:
            raise ValueError(f"{self.folder}: a run on {self.lanes} lane(s), counted from 0; found lane {lane}")
        return self.folder / "lanes" / str(lane)

    def _each_lane(self) -> List[Optional[int]]:
        return [None] if self.lanes == 1 else list(range(self.lanes))

    @cached_property
    def environment(self) -> Document:
        """The machine, the pins, the versions; of a run on several lanes, lane 0's (`environment_of` has each)."""
        return self.environment_of(None if self.lanes == 1 else 0)

    def environment_of(self, lane: Optional[int]) -> Document:
        """The environment of a lane."""
        return documents.document(self._lane(lane), "environment.json")

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
        """One row for each reading of `record`: "gpu", "host" or "tree"; without rows where nothing was read.

        Of a run on several lanes a column `lane` says of which one; `session` is the place in that lane's own plan.
        """
        if record not in ("gpu", "host", "tree"):
            raise ValueError(f"expected gpu, host or tree, found {record!r}")
        rows: List[Dict[str, Any]] = []
        for lane in self._each_lane():
            folder = self._lane(lane)
            if (folder / "telemetry.jsonl").exists():
                own: Dict[str, Any] = {} if lane is None else {"lane": lane}
                rows += [
                    {**own, **{key: value for key, value in found.items() if key != "record"}}
                    for found in documents.log(folder, "telemetry.jsonl")
                    if found.get("record") == record
                ]
        columns = list(dict.fromkeys(key for row in rows for key in row))
        return tables.table(self.frames, columns or ["at_ns"], rows)

    def log(self, lane: Optional[int] = None) -> List[Document]:
        """The records of `samples.jsonl` themselves, the header first; its hash chain is checked.

        Of a run on several lanes, those of the lane that is named, whose `session` is the place in its own plan.
        """
        return documents.log(self._lane(lane), "samples.jsonl")

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
        heads = [documents.head(self._lane(lane), "samples.jsonl") for lane in self._each_lane()]
        # FORMATS.md: the head of a run on several lanes is the digest of the list of theirs.
        fields = [b"edgemaxx-lanes-1", *heads]
        joined = b"".join(len(field).to_bytes(8, "little") + field for field in fields)
        head = heads[0] if self.lanes == 1 else hashlib.sha256(joined).digest()
        if self.summary["samples"] != head.hex():
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
