"""Reading the published examples: tables are what the report's CSV files say, whatever they are made of."""

import csv
import json
import math
import shutil
import sys
import tempfile
import unittest
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

import edgemaxx

EXAMPLES = HERE.parents[3] / "reports" / "examples"
TABLES = ("samples", "quality", "estimates", "leaderboard")


def needs(*packages):
    """Skips where one of these is missing, and says so."""
    missing = [name for name in packages if find_spec(name) is None]
    return unittest.skipIf(missing, f"missing: {', '.join(missing)}; pip install {' '.join(missing)}")


def copied(folder, name="emoji-cpu"):
    """A copy of an example without its pictures."""
    return Path(shutil.copytree(EXAMPLES / name, Path(folder) / name, ignore=shutil.ignore_patterns("artefacts")))


class Rows(unittest.TestCase):
    def test_every_published_run_is_read(self):
        examples = [path for path in EXAMPLES.iterdir() if (path / "plan.json").is_file()]
        self.assertGreaterEqual(len(examples), 3)
        for path in examples:
            run = edgemaxx.read_run(path, frames="rows")
            for document in (run.plan, run.environment, run.ranking, run.summary, run.certificate):
                self.assertTrue(document)
            self.assertGreater(len(run.log()), 1)
            for name in TABLES:
                with (path / f"{name}.csv").open(encoding="utf-8", newline="") as file:
                    lines = list(csv.reader(file))
                rows = getattr(run, name)
                self.assertEqual(len(rows), len(lines) - 1, name)
                self.assertEqual(list(rows[0]), lines[0], name)
            telemetry = (path / "telemetry.jsonl").exists()
            self.assertEqual(bool(run.telemetry("host")), telemetry)

    def test_numbers_are_numbers_and_texts_are_texts(self):
        run = edgemaxx.read_run(EXAMPLES / "emoji-cpu", frames="rows")
        first = run.leaderboard[0]
        entry = run.ranking["entries"][0]
        self.assertEqual((first["candidate"], first["position"], first["score"]), (entry["name"], 1, entry["score"]))
        self.assertEqual(first["reasons"], "")
        sample = run.samples[0]
        self.assertIs(sample["throttled"], False)
        self.assertIsNone(sample["failure"])
        self.assertIsInstance(sample["prompt"], str)
        kept = next(row for row in run.samples if row["phase"] == "measured")
        self.assertTrue(run.picture(kept["answer_sha256"]).is_file())

    def test_sessions_are_what_the_speedup_is_made_of(self):
        run = edgemaxx.read_run(EXAMPLES / "emoji-cpu", frames="rows")
        for entry in run.leaderboard:
            own = [row["speedup"] for row in run.sessions if row["candidate"] == entry["candidate"]]
            mean = math.exp(sum(map(math.log, own)) / len(own))
            self.assertAlmostEqual(mean, entry["speedup"], places=9)

    def test_a_prompt_that_looks_like_a_number_stays_a_text(self):
        with tempfile.TemporaryDirectory() as folder:
            run = edgemaxx.read_run(copied(folder), frames="rows")
            path = run.folder / "samples.csv"
            lines = path.read_text(encoding="utf-8").replace("fairy on a pink background", "007")
            path.write_text(lines, encoding="utf-8")
            self.assertIn("007", [row["prompt"] for row in run.samples])

    def test_what_is_not_what_it_should_be_is_refused_by_name(self):
        with tempfile.TemporaryDirectory() as folder:
            path = copied(folder)
            with self.assertRaisesRegex(FileNotFoundError, "no run folder"):
                edgemaxx.read_run(folder, frames="rows")
            with self.assertRaisesRegex(ValueError, "frames: expected one of"):
                edgemaxx.read_run(path, frames="excel")

            ranking = json.loads((path / "ranking.json").read_text())
            ranking["version"] = 99
            (path / "ranking.json").write_text(json.dumps(ranking))
            with self.assertRaisesRegex(edgemaxx.FormatError, "edgemaxx-ranking version 99, but"):
                edgemaxx.read_run(path, frames="rows").ranking

            (path / "leaderboard.csv").unlink()
            with self.assertRaisesRegex(FileNotFoundError, "edgemaxx report"):
                edgemaxx.read_run(path, frames="rows").leaderboard

            log = (path / "samples.jsonl").read_bytes()
            (path / "samples.jsonl").write_bytes(log.replace(b'"request":30', b'"request":31', 1))
            with self.assertRaisesRegex(edgemaxx.LogError, r"samples\.jsonl:\d+: does not follow"):
                edgemaxx.read_run(path, frames="rows").log()
            # the report is of the log as it was
            (path / "samples.jsonl").write_bytes(log + b'{"record":"stop"}\n')
            with self.assertRaisesRegex(ValueError, "its report is of another samples.jsonl"):
                edgemaxx.read_run(path, frames="rows").samples


class Frames(unittest.TestCase):
    @needs("pandas")
    def test_pandas(self):
        run, rows = (edgemaxx.read_run(EXAMPLES / "emoji-cpu", frames=frames) for frames in ("pandas", "rows"))
        for name in (*TABLES, "sessions"):
            frame = getattr(run, name)
            records = frame.astype(object).where(frame.notna(), None).to_dict("records")
            self.assertEqual(records, getattr(rows, name), name)
        self.assertEqual(str(run.samples["latency_ms"].dtype), "float64")
        self.assertEqual(list(run.telemetry("gpu").columns), ["at_ns"])

    @needs("polars")
    def test_polars(self):
        run, rows = (edgemaxx.read_run(EXAMPLES / "emoji-cpu", frames=frames) for frames in ("polars", "rows"))
        for name in (*TABLES, "sessions"):
            self.assertEqual(getattr(run, name).to_dicts(), getattr(rows, name), name)
        self.assertEqual(run.telemetry("gpu").columns, ["at_ns"])

    @needs("matplotlib")
    def test_plots(self):
        import matplotlib

        matplotlib.use("agg")
        run = edgemaxx.read_run(EXAMPLES / "emoji-cpu", frames="rows")
        axes = edgemaxx.plots.speedups(run)
        names = [text.get_text() for text in axes.get_yticklabels()]
        self.assertEqual(names[-1], run.ranking["winner"])
        curves = edgemaxx.plots.latencies(run).get_lines()
        self.assertEqual(len(curves), 1 + len(run.ranking["entries"]))
        self.assertEqual(len(edgemaxx.plots.sessions(run).get_lines()), 1 + len(run.ranking["entries"]))


class Trackers(unittest.TestCase):
    """Against the real packages; nothing leaves this machine."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.run_ = edgemaxx.read_run(EXAMPLES / "emoji-cpu", frames="rows")

    @needs("mlflow")
    def test_mlflow(self):
        import mlflow

        mlflow.set_tracking_uri(f"sqlite:///{self.folder.name}/mlflow.db")
        mlflow.create_experiment("speed", artifact_location=Path(self.folder.name, "artefacts").as_uri())
        ids = edgemaxx.tracking.to_mlflow(self.run_, experiment="speed")
        entries = self.run_.summary["candidates"]
        self.assertEqual(len(ids), 1 + len(entries))
        parent, first = (mlflow.get_run(found) for found in ids[:2])
        self.assertEqual(parent.data.tags["verdict"], self.run_.ranking["verdict"])
        self.assertEqual(parent.data.params["contest"], "emoji-cpu")
        self.assertEqual(first.data.tags["mlflow.parentRunId"], ids[0])
        for part, key in (("point", "speedup"), ("lower", "speedup_lower"), ("upper", "speedup_upper")):
            self.assertEqual(first.data.metrics[key], entries[0]["speedup"][part])
        kept = mlflow.MlflowClient().list_artifacts(ids[0])
        self.assertIn("report.html", [found.path for found in kept])

    @needs("wandb")
    def test_wandb(self):
        from unittest import mock

        import wandb

        # before Python ends: unittest's exit code is a bool, on which its own end stumbles
        self.addCleanup(wandb.teardown)
        private = {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_DIR": self.folder.name}
        with mock.patch.dict("os.environ", private):
            ids = edgemaxx.tracking.to_wandb(self.run_, mode="offline", dir=self.folder.name)
        self.assertEqual(len(ids), len(self.run_.summary["candidates"]))
        logs = list(Path(self.folder.name).glob("wandb/offline-run-*/run-*.wandb"))
        self.assertEqual(sorted(path.stem.removeprefix("run-") for path in logs), sorted(ids))


class Notebook(unittest.TestCase):
    @needs("nbclient", "ipykernel", "pandas", "matplotlib")
    def test_the_example_notebook_runs(self):
        import nbclient
        import nbformat

        path = HERE.parent / "examples" / "read_run.ipynb"
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        for cell in notebook.cells:
            self.assertFalse(cell.get("outputs"), "the notebook is kept without outputs")
        where = {"metadata": {"path": str(path.parent)}}
        nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where).execute()
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        pictures = [output for output in outputs if "image/png" in output.get("data", {})]
        self.assertGreaterEqual(len(pictures), 4, "three plots and a picture")


if __name__ == "__main__":
    unittest.main()
