"""Read EdgeMaxx runs in Python: tables, plots, experiment trackers.

    import edgemaxx

    run = edgemaxx.read_run("runs/emoji-cpu-2026-11-22")
    run.leaderboard                       # a pandas (or polars) table; likewise samples, quality, estimates, sessions
    run.ranking["verdict"]                # the documents themselves are dicts: plan, environment, ranking, summary ...
    edgemaxx.plots.speedups(run)          # needs matplotlib

Nothing is computed anew: every number is the one that the run's files hold. To write an engine, import
`edgemaxx_engine`, which needs the standard library only.
"""

from . import documents, plots, tracking
from .documents import FormatError, LogError
from .run import Run, read_run

__all__ = ["FormatError", "LogError", "Run", "documents", "plots", "read_run", "tracking"]
__version__ = "0.1.0"
