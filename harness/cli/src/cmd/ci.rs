//! `edgemaxx ci`: two versions of a pipeline in one run, within a time, for CI.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use edgemaxx_analyze::{CompareSettings, compare_with_baseline};
use edgemaxx_contract::comparison::{Comparison, Verdict};
use edgemaxx_contract::run_files::REPORT_FILE;
use edgemaxx_files::write_whole;
use edgemaxx_report::{comparison_junit, comparison_markdown};
use edgemaxx_run::RunFolder;
use edgemaxx_run::ci::{
    CHANGE, PILOT_MINUTES, Tree, Version, attempt_minutes, build, is_enough, is_one, of_two, seconds_each,
    sessions_within, with_sessions,
};
use edgemaxx_run::measured_run::MeasuredRun;
use edgemaxx_run::resolve::resolve_text;
use edgemaxx_run::stage::measure::measure_run;
use edgemaxx_run::stage::plan::{Draw, save};
use edgemaxx_run::stage::whole;
use edgemaxx_run::text_file::read_text;

use super::{compare, measure};
use crate::error::{Failure, InFile as _};
use crate::progress::Terminal;
use crate::terminal::{answer, answer_json, note};

/// Measures a change against the version before it, both in one run, and says whether it is slower or worse.
///
/// The contest's `[baseline]` is the pipeline under test. Its version at a git revision, built in a worktree of its own,
/// becomes the reference; the files as they are here become the change. Nothing that happens to the machine enters the
/// answer, since both answer the same requests in the same sessions.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx ci contest.toml --against origin/main --build 'cargo build --release'
  edgemaxx ci contest.toml --reference './old-engine' --change './new-engine --fast'
  edgemaxx ci contest.toml --against HEAD~1 --minutes 5 --max-slowdown 2% --min-similarity 0.95

Writes into --out: comparison.md, comparison.json, comparison.xml (JUnit), report.html, and a run folder for each attempt.

Exit codes:
  0  nothing regressed; also where it cannot be told, unless --strict
  1  regressed
  2  no such revision, or the contest cannot be read
  3  the A/A control was no tie in any attempt
  4  a version cannot be built, or the reference fails")]
pub(crate) struct Args {
    /// Contest whose `[baseline]` is the pipeline under test.
    #[arg(value_name = "CONTEST.toml")]
    contest: PathBuf,
    /// Revision that the change is compared with.
    #[arg(long, value_name = "REVISION", default_value = "main", conflicts_with_all = ["reference", "change"])]
    against: String,
    /// Command that builds a version, run by the shell at the top of both trees.
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["reference", "change"])]
    build: Option<String>,
    /// Instead of a revision: the engine's command before, words parted by blanks.
    #[arg(long, value_name = "COMMAND", requires = "change")]
    reference: Option<String>,
    /// The engine's command now.
    #[arg(long, value_name = "COMMAND", requires = "reference")]
    change: Option<String>,
    /// New folder for everything that is written.
    #[arg(long, value_name = "DIR", default_value = "edgemaxx-ci")]
    out: PathBuf,
    /// Minutes that measuring may take, all attempts together; building and judging come on top.
    #[arg(long, value_name = "MINUTES", default_value_t = 10.0, value_parser = super::plan::minutes)]
    minutes: f64,
    /// Runs to make at most, should the A/A control be no tie.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=10))]
    attempts: u32,
    #[command(flatten)]
    limits: compare::Limits,
    #[command(flatten)]
    options: measure::Options,
    /// Print the comparison as JSON.
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        if self.out.exists() {
            return Err(Failure::input(format!("--out {}: exists; name a new folder", self.out.display())));
        }
        std::fs::create_dir_all(&self.out).in_file(&self.out)?;
        let out = self.out.canonicalize().in_file(&self.out)?;
        let (contest, _tree, borrowed) = self.contest_of_both(&out)?;
        let file = out.join("contest.toml");
        write_whole(&file, contest.as_bytes()).in_file(&file)?;
        let (found, run) = self.measured(&file, borrowed)?;
        self.write(&found, &run)?;
        if self.json {
            answer_json(&found)?;
        } else {
            answer(&comparison_markdown(&found))?;
        }
        compare::exit(&found, self.limits.strict)
    }

    /// The contest of both versions, the tree that the reference lives in, and whether its engine takes files of the change.
    fn contest_of_both(&self, out: &Path) -> anyhow::Result<(String, Option<Tree>, bool)> {
        let path = self.contest.canonicalize().in_file(&self.contest)?;
        let base = path.parent().unwrap_or(Path::new("/")).to_owned();
        let text = read_text(&path)?;
        let version = |command: &Option<String>| Version {
            text: text.clone(),
            base: base.clone(),
            command: command.as_ref().map(|words| words.split_whitespace().map(str::to_owned).collect()),
        };
        if self.reference.is_some() {
            let both = of_two(&version(&self.reference), &version(&self.change), self.limits.max_slowdown)?;
            return Ok((both.contest, None, false));
        }
        let tree = Tree::add(&base, &self.against, &out.join("reference"))?;
        note(&format!("reference: {} at {}", self.against, tree.commit()));
        let inside = path.strip_prefix(tree.repository().canonicalize()?).in_file(&path)?;
        let before = tree.root().join(inside);
        // A contest that came with the change tells how the version before it is started, too.
        let own = if before.exists() { read_text(&before)? } else { text.clone() };
        let reference =
            Version { text: own, base: before.parent().unwrap_or(tree.root()).to_owned(), command: None };
        if let Some(command) = &self.build {
            build(command, tree.repository())?;
            build(command, tree.root())?;
        }
        let both = of_two(&reference, &version(&None), self.limits.max_slowdown)?;
        if !both.borrowed.is_empty() {
            let files = both.borrowed.join(", ");
            note(&format!("warning: the reference has no own {files}: its engine takes those of the change"));
        }
        if tree.is_what_is_here() {
            note(&format!("warning: nothing that git knows differs here from {}", self.against));
        }
        Ok((both.contest, Some(tree), !both.borrowed.is_empty()))
    }

    /// The comparison of the first attempt that is fit, or of the last; and its run folder.
    fn measured(&self, contest: &Path, borrowed: bool) -> anyhow::Result<(Comparison, PathBuf)> {
        let end = Instant::now() + Duration::from_secs_f64(self.minutes * 60.0);
        let left = || end.saturating_duration_since(Instant::now()).as_secs_f64() / 60.0;
        let pilot = self.out.join("pilot");
        let (folder, _) = self.planned(contest, &pilot, 0, None, PILOT_MINUTES)?;
        if is_one(&folder.plan()?) {
            let why = "reference and change have the same engine, from the same place, on equal files with equal settings";
            if borrowed {
                return Err(Failure::input(format!(
                    "--against {}: {why}, since the reference has no engine of its own: have --build make it in both trees",
                    self.against
                )));
            }
            note(&format!("warning: {why}: it is measured against itself"));
        }
        let options = self.options.with("edgemaxx ci");
        measure_run(
            &folder,
            edgemaxx_run::stage::measure::Options { no_telemetry: true, ..options },
            &Terminal,
        )?;
        let plan = folder.plan()?;
        let (each, least) = (seconds_each(&plan, &folder.samples(&plan)?), plan.measurement.sessions);
        std::fs::remove_dir_all(&pilot).in_file(&pilot)?;
        let mut attempt = 1;
        loop {
            let minutes = attempt_minutes(left(), attempt == self.attempts);
            let sessions = sessions_within(minutes, each, least);
            note(&format!("a session takes {each:.1} s: {sessions} of them at most, {minutes:.1} minutes"));
            let run = self.out.join(format!("run-{attempt}"));
            let (folder, resume) = self.planned(contest, &run, attempt, Some(sessions), minutes)?;
            whole(&folder, self.options.with(&resume), &Terminal)?;
            let settings = CompareSettings { candidates: vec![CHANGE.to_owned()], ..self.limits.settings() };
            let found = compare_with_baseline(&MeasuredRun::read(&run)?.comparable(), &settings)
                .map_err(|error| Failure::input(error.to_string()))?;
            let again = found.verdict == Verdict::Unfit && attempt < self.attempts;
            if !again || !is_enough(left(), self.minutes) {
                return Ok((found, run));
            }
            note(&format!("attempt {attempt}: {}; once more", found.reason));
            attempt += 1;
        }
    }

    /// The folder of an attempt that may take so many minutes and sessions (the contest's own where none are named), and the
    /// command that goes on with it.
    fn planned(
        &self,
        contest: &Path,
        run: &Path,
        attempt: u32,
        sessions: Option<u32>,
        minutes: f64,
    ) -> anyhow::Result<(RunFolder, String)> {
        let draw = Draw {
            entropy: format!("ci-{attempt}").parse()?,
            until: self.limits.precision(),
            budget: Some(minutes),
            ..Draw::today(contest.to_owned(), false)?
        };
        let text = read_text(contest)?;
        let text = sessions.map_or(Ok(text.clone()), |sessions| with_sessions(&text, sessions))?;
        let resolved = resolve_text(contest, None, text, &Terminal)?;
        let (resolved, plan) = draw.draw_resolved(resolved)?;
        let folder = RunFolder::create(run)?;
        save(&folder, &resolved, &plan)?;
        Ok((folder, format!("edgemaxx measure --resume {}", run.display())))
    }

    /// The comparison for people and programs, and the page of the run that it is of.
    fn write(&self, found: &Comparison, run: &Path) -> anyhow::Result<()> {
        let mut json = serde_json::to_string_pretty(found)?;
        json.push('\n');
        let page = std::fs::read(run.join(REPORT_FILE)).in_file(run)?;
        for (name, bytes) in [
            ("comparison.md", comparison_markdown(found).into_bytes()),
            ("comparison.json", json.into_bytes()),
            ("comparison.xml", comparison_junit(found)?.into_bytes()),
            (REPORT_FILE, page),
        ] {
            let path = self.out.join(name);
            write_whole(&path, &bytes).in_file(&path)?;
        }
        Ok(())
    }
}
