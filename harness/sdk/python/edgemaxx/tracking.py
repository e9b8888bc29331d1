"""A run's numbers in an experiment tracker: one tracked run for each candidate, which belong together.

A number keeps its bounds (`speedup`, `speedup_lower`, `speedup_upper`): a point without its interval claims nothing.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Tuple

from .run import Run

# What may be kept beside the numbers, where it is there.
FILES = ("report.html", "report.md", "summary.json", "ranking.json", "estimates.json", "plan.json", "environment.json")


def to_mlflow(run: Run, experiment: str = "edgemaxx", files: bool = True) -> List[str]:
    """Logs to MLflow, wherever `mlflow.set_tracking_uri` or MLFLOW_TRACKING_URI says; returns the ids of its runs.

    The first is the EdgeMaxx run itself, with its files as artefacts; the candidates are nested in it.
    """
    try:
        import mlflow
    except ImportError as error:
        raise ImportError("this needs MLflow: pip install 'edgemaxx[mlflow]'") from error
    mlflow.set_experiment(experiment)
    with mlflow.start_run(run_name=f"{run.name} {run.day}") as parent:
        mlflow.set_tags(_tags(run))
        mlflow.log_params(_parameters(run))
        if files:
            for name in FILES:
                if (run.folder / name).is_file():
                    mlflow.log_artifact(str(run.folder / name))
        ids = [parent.info.run_id]
        for candidate, tags, numbers in _candidates(run):
            with mlflow.start_run(run_name=candidate, nested=True) as child:
                mlflow.set_tags(tags)
                mlflow.log_metrics(numbers)
                ids.append(child.info.run_id)
    return ids


def to_wandb(run: Run, project: str = "edgemaxx", **settings: Any) -> List[str]:
    """Logs to Weights & Biases, a run for each candidate in one group; returns their ids.

    `settings` go to `wandb.init`: with mode="offline" nothing leaves this machine.
    """
    try:
        import wandb
    except ImportError as error:
        raise ImportError("this needs Weights & Biases: pip install 'edgemaxx[wandb]'") from error
    ids = []
    for candidate, tags, numbers in _candidates(run):
        config = {**_parameters(run), **_tags(run), **tags}
        group = f"{run.name} {run.day}"
        with wandb.init(project=project, group=group, name=candidate, config=config, **settings) as tracked:
            tracked.log(numbers)
            tracked.summary.update(numbers)
            ids.append(str(tracked.id))
    return ids


def _tags(run: Run) -> Dict[str, str]:
    summary = run.summary
    said = {"verdict": summary["verdict"], "fitness": summary["fitness"], "extent": summary["extent"]}
    return {**said, "samples": summary["samples"], "machine": summary["machine"], "edgemaxx": summary["edgemaxx"]}


def _parameters(run: Run) -> Dict[str, Any]:
    summary = run.summary
    return {name: summary[name] for name in ("contest", "contest_digest", "day", "baseline", "plan")}


def _candidates(run: Run) -> Iterator[Tuple[str, Dict[str, str], Dict[str, float]]]:
    """Name, tags and numbers of each candidate; what is undefined is left out."""
    for candidate in run.summary["candidates"]:
        tags = {"standing": candidate["standing"], "claim": str(candidate["claim"] or "none")}
        tags["reasons"] = "; ".join(candidate["reasons"])
        numbers: Dict[str, float] = {}
        for name, value in candidate.items():
            if isinstance(value, dict):
                for part, key in (("point", name), ("lower", f"{name}_lower"), ("upper", f"{name}_upper")):
                    if value.get(part) is not None:
                        numbers[key] = float(value[part])
            elif isinstance(value, (int, float)) and not isinstance(value, bool):
                numbers[name] = float(value)
        yield candidate["name"], tags, numbers
