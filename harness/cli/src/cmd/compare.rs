//! `edgemaxx compare`: did it become slower or worse? For CI.

use std::path::PathBuf;

use clap::ValueEnum;
use edgemaxx_analyze::{CompareSettings, compare_runs, compare_with_baseline};
use edgemaxx_contract::comparison::{Comparison, Verdict};
use edgemaxx_contract::confidence::DEFAULT_LEVEL;
use edgemaxx_report::{comparison_github, comparison_junit, comparison_markdown};
use edgemaxx_run::measured_run::MeasuredRun;

use crate::error::{Exit, Failure};
use crate::terminal::{answer, answer_json, note};

/// Compares two runs, or one run's candidates with their baseline: regressed, improved, equivalent, cannot tell.
///
/// Two runs are compared through the baseline that both measured, so the runs may lie days apart; they must have the
/// same baseline, prompts, machine and pins. All statements of one comparison together are right with the level.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx compare runs/main runs/change --max-slowdown 1%
  edgemaxx compare runs/change --candidate mine --max-slowdown 0% --min-similarity 0.9
  edgemaxx compare runs/main runs/change --format github

Exit codes:
  0  nothing regressed; also where it cannot be told, unless --strict
  1  regressed
  2  the runs are not comparable
  3  a run is unfit: its A/A control is no tie")]
pub(crate) struct Args {
    /// Run folder to compare with; alone, its candidates are compared with its own baseline.
    reference: PathBuf,
    /// Run folder to be judged.
    subject: Option<PathBuf>,
    /// Only this candidate; may be repeated [default: all that both runs have].
    #[arg(long, value_name = "NAME")]
    candidate: Vec<String>,
    #[command(flatten)]
    limits: Limits,
    /// Largest change of the baseline itself between two runs, either way; beyond it, they are not comparable.
    #[arg(long, value_name = "SHARE", default_value = "10%", value_parser = share)]
    max_drift: f64,
    /// Form of the answer.
    #[arg(long, value_enum, default_value_t = Form::Md)]
    format: Form,
    /// The same as --format json.
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

/// What is tolerated.
#[derive(Debug, clap::Args)]
pub(crate) struct Limits {
    /// Largest tolerated increase of latency, in percent or as a fraction: 1%, 0.01.
    #[arg(long, value_name = "SHARE", default_value = "1%", value_parser = share)]
    pub(super) max_slowdown: f64,
    /// Smallest tolerated mean similarity (the contest's own formula) that must be proven.
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    min_similarity: Option<f64>,
    /// Level at which all statements together are right.
    #[arg(long, value_name = "SHARE", default_value_t = DEFAULT_LEVEL, value_parser = share)]
    level: f64,
    /// Where it cannot be told, exit with 1.
    #[arg(long)]
    pub(super) strict: bool,
}

impl Limits {
    /// The same as the library takes it, of all candidates.
    pub(super) fn settings(&self) -> CompareSettings {
        CompareSettings {
            max_slowdown: self.max_slowdown,
            min_similarity: self.min_similarity,
            level: self.level,
            max_drift: 0.0,
            candidates: Vec::new(),
        }
    }

    /// How well a change must be known for no change at all to be proven within the limit: to half of it. `None`: nothing
    /// is tolerated, so that no precision would do.
    pub(super) fn precision(&self) -> Option<f64> {
        (self.max_slowdown > 0.0).then_some(self.max_slowdown / 2.0)
    }
}

/// Forms of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Markdown, for people and job summaries.
    Md,
    /// The whole comparison.
    Json,
    /// JUnit XML, one case for each candidate.
    Junit,
    /// GitHub workflow commands: annotations.
    Github,
}

/// `1%` or `0.01`; a bare number from 1 on is more likely a forgotten percent sign.
fn share(text: &str) -> Result<f64, String> {
    let number = |digits: &str| digits.trim().parse::<f64>().ok().filter(|value| value.is_finite());
    let value = match text.trim().strip_suffix('%') {
        Some(digits) => number(digits).map(|percent| percent / 100.0),
        None => number(text).filter(|share| *share < 1.0),
    };
    value.ok_or_else(|| format!("expected a share such as 1% or 0.01, found {text:?}"))
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        let reference = MeasuredRun::read(&self.reference)?;
        let subject = self.subject.as_deref().map(MeasuredRun::read).transpose()?;
        let settings = CompareSettings {
            max_drift: self.max_drift,
            candidates: self.candidate,
            ..self.limits.settings()
        };
        let found = match &subject {
            Some(subject) => compare_runs(&reference.comparable(), &subject.comparable(), &settings),
            None => compare_with_baseline(&reference.comparable(), &settings),
        }
        .map_err(|error| Failure::input(error.to_string()))?;
        let form = if self.json { Form::Json } else { self.format };
        match form {
            Form::Md => answer(&comparison_markdown(&found)),
            Form::Json => answer_json(&found),
            Form::Junit => answer(&comparison_junit(&found)?),
            Form::Github => answer(&comparison_github(&found)),
        }?;
        exit(&found, self.limits.strict)
    }
}

/// The exit code of an answer that was given.
pub(super) fn exit(found: &Comparison, strict: bool) -> anyhow::Result<()> {
    let code = match found.verdict {
        Verdict::Improved | Verdict::Equivalent => return Ok(()),
        Verdict::CannotTell if !strict => {
            note(&format!("warning: {}; --strict makes this fail", found.reason));
            return Ok(());
        }
        Verdict::CannotTell | Verdict::Regressed => Exit::No,
        Verdict::Unfit => Exit::Environment,
        Verdict::Incomparable => Exit::Input,
    };
    Err(Failure::error(code, found.reason.clone()))
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn shares_are_percents_or_fractions() {
        assert_eq!(share("1%"), Ok(0.01));
        assert_eq!(share("0.5 %"), Ok(0.005));
        assert_eq!(share("0.02"), Ok(0.02));
        assert_eq!(share("150%"), Ok(1.5));
        for wrong in ["1", "", "%", "a%", "NaN", "inf%"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }
}
