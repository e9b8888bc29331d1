"""The files of a run as they are: JSON documents and logs, of the versions that this release reads."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Dict, List

Document = Dict[str, Any]

# Name and version of each file, as harness/docs/FORMATS.md lists them.
VERSIONS = {
    "plan.json": ("edgemaxx-plan", 2),
    "environment.json": ("edgemaxx-environment", 2),
    "samples.jsonl": ("edgemaxx-samples", 2),
    "telemetry.jsonl": ("edgemaxx-telemetry", 1),
    "quality.jsonl": ("edgemaxx-quality", 2),
    "estimates.json": ("edgemaxx-estimates", 2),
    "ranking.json": ("edgemaxx-ranking", 1),
    "summary.json": ("edgemaxx-summary", 1),
}


class FormatError(ValueError):
    """A file of another kind, or of a version that this release does not read."""


class LogError(ValueError):
    """A log whose lines are not chained as they were written."""


def document(folder: Path, name: str) -> Document:
    """A JSON document of the folder.

    Raises FileNotFoundError where the stage that writes it has not run, FormatError for another version.
    """
    path = folder / name
    found: Document = json.loads(path.read_text(encoding="utf-8"))
    _expect(path, name, found)
    return found


def log(folder: Path, name: str) -> List[Document]:
    """The records of a log, its header first; a last line without a line feed was torn by a crash and does not count.

    The hash chain of `samples.jsonl` is checked: LogError names the first line that does not fit.
    """
    path = folder / name
    lines = path.read_bytes().split(b"\n")[:-1]
    records = [json.loads(line) for line in lines]
    if not records:
        raise LogError(f"{path}: holds no line")
    _expect(path, name, records[0])
    if name == "samples.jsonl":
        before = hashlib.sha256(b"").hexdigest()
        for number, (line, record) in enumerate(zip(lines, records), start=1):
            if record.get("prev") != before:
                raise LogError(f"{path}:{number}: does not follow the line before it; the log was altered")
            before = hashlib.sha256(line).hexdigest()
    return records


def head(folder: Path, name: str) -> bytes:
    """The digest of a log's last line."""
    lines = (folder / name).read_bytes().split(b"\n")[:-1]
    return hashlib.sha256(lines[-1] if lines else b"").digest()


def _expect(path: Path, name: str, found: Document) -> None:
    expected = VERSIONS[name]
    said = (found.get("format"), found.get("version"))
    if said != expected:
        raise FormatError(
            f"{path}: this is {said[0]} version {said[1]}, but {expected[0]} version {expected[1]} was expected; "
            "use the edgemaxx package of the release that wrote it"
        )
