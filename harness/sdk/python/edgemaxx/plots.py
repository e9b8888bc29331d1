"""Plots of a run, by matplotlib: each function takes a run, and axes where there are some already, and returns the axes."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from .run import Run


def speedups(run: Run, axes: Optional[Any] = None) -> Any:
    """Every candidate's speedup with the interval that holds for all candidates at once: what claims are made by."""
    axes = axes or _axes("speedups", width=7, height=1 + 0.4 * len(run.ranking["entries"]))
    names = [entry["name"] for entry in run.ranking["entries"] if entry["name"] in run._simultaneous]
    for row, name in enumerate(reversed(names)):
        estimate = run._simultaneous[name]
        lower, upper = estimate["lower"], estimate["upper"]
        axes.plot([_or(lower, 0.0), _or(upper, estimate["point"])], [row, row], color="C0")
        axes.plot(estimate["point"], row, "o", color="C0")
    axes.axvline(1.0, color="0.6", linestyle=":")
    axes.set_yticks(range(len(names)), list(reversed(names)))
    axes.set_xlabel(f"times as fast as {run.baseline}; intervals hold for all candidates at once")
    return axes


def latencies(run: Run, axes: Optional[Any] = None) -> Any:
    """The share of measured answers that took no longer: one curve for each candidate, the baseline's dashed."""
    axes = axes or _axes("latencies")
    measured: Dict[str, List[float]] = {}
    for row in run.rows("samples.csv"):
        if row["phase"] == "measured" and row["latency_ms"] is not None:
            name = run.baseline if row["side"] == "baseline" else row["candidate"]
            measured.setdefault(name, []).append(row["latency_ms"])
    for name, values in measured.items():
        values.sort()
        shares = [(place + 1) / len(values) for place in range(len(values))]
        axes.step(values, shares, where="post", label=name, linestyle="--" if name == run.baseline else "-")
    axes.set_xlabel("latency of an answer, ms")
    axes.set_ylabel("share of answers")
    axes.legend()
    return axes


def sessions(run: Run, axes: Optional[Any] = None) -> Any:
    """Every session's own speedup: what the intervals are made of, and whether something drifts."""
    axes = axes or _axes("sessions")
    by_name: Dict[str, List[Any]] = {}
    for row in run.session_rows():
        by_name.setdefault(row["candidate"], []).append((row["round"], row["speedup"]))
    for name, points in by_name.items():
        axes.plot([point[0] for point in points], [point[1] for point in points], "o-", label=name)
    axes.axhline(1.0, color="0.6", linestyle=":")
    axes.set_xlabel("round")
    axes.set_ylabel(f"times as fast as {run.baseline}")
    axes.legend()
    return axes


def _or(value: Optional[float], otherwise: float) -> float:
    return otherwise if value is None else value


def _axes(title: str, width: float = 7, height: float = 4) -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install 'edgemaxx[plots]'") from error
    axes = plt.subplots(figsize=(width, height), layout="constrained")[1]
    axes.set_title(title)
    return axes
