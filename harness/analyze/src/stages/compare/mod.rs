//! `edgemaxx compare`: did a pipeline become slower, or its answers worse?
//!
//! Every statement is read off two-sided intervals (of the change of latency, of the similarity)
//! that hold for all pipelines at once. A statement is false only where an interval misses the
//! truth, so all statements of a comparison together are right with the stated level.

mod change;
mod comparable;
mod likeness;
mod processor;
mod row;
#[cfg(test)]
mod tests;

use edgemaxx_contract::comparison::{
    ComparedRun, Comparison, ComparisonLimits, ComparisonRow, RunDifference, Verdict,
};
use edgemaxx_contract::confidence::{DEFAULT_LEVEL, HIGHEST_LEVEL, LOWEST_LEVEL};
use edgemaxx_contract::counted::Counted;
use edgemaxx_contract::environment::Environment;
use edgemaxx_contract::estimate::{CertificateVerdict, Estimates};
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::plan::Role;

pub(crate) use change::{Change, Group};
pub(crate) use row::speed_verdict;

use super::analyze::{AnalyzeError, Evidence, analyze, doubts, settings_of};
use super::lanes::{keeps, leave_out};
use crate::estimators::student;
use crate::samples::SampleTable;
use crate::sequential::Looks;
use crate::sources::from_log;
use row::{Judge, Side};

/// A run that takes part in a comparison.
#[derive(Debug, Clone, Copy)]
pub struct ComparableRun<'a> {
    /// How people call it.
    pub label: &'a str,
    /// What was measured.
    pub evidence: Evidence<'a>,
    /// Where it was measured.
    pub environment: &'a Environment,
}

/// What is tolerated, and of whom.
#[derive(Debug, Clone, PartialEq)]
pub struct CompareSettings {
    /// Largest tolerated relative increase of latency, 0 to 10.
    pub max_slowdown: f64,
    /// Smallest tolerated mean similarity, −1 to 1; `None`: answers are not judged.
    pub min_similarity: Option<f64>,
    /// Level at which all statements together are right.
    pub level: f64,
    /// Largest relative change of the baseline's own latency between two runs, either way, 0 to 10:
    /// beyond it, ratios to the baseline are not trusted to cancel what became of the machine.
    pub max_drift: f64,
    /// Only these candidates; empty: all.
    pub candidates: Vec<String>,
}

impl Default for CompareSettings {
    fn default() -> Self {
        Self {
            max_slowdown: 0.01,
            min_similarity: None,
            level: DEFAULT_LEVEL,
            max_drift: 0.1,
            candidates: Vec::new(),
        }
    }
}

/// A comparison that makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A limit out of range.
    #[error("{setting}: expected {expected}, found {found}")]
    Setting {
        /// Which setting.
        setting: &'static str,
        /// Its range.
        expected: &'static str,
        /// What was given.
        found: f64,
    },
    /// A candidate that the subject does not have.
    #[error("no candidate is called {name:?} in {label}; its candidates are: {known}")]
    Candidate {
        /// The name asked for.
        name: String,
        /// The subject.
        label: String,
        /// The names there are.
        known: String,
    },
    /// A run that cannot be analysed.
    #[error(transparent)]
    Analyze(#[from] AnalyzeError),
}

/// Compares the candidates of two runs: the change of their latency relative to the baseline that
/// both runs measured beside them, so that what became of the machine in between cancels.
///
/// # Errors
/// [`CompareError`]: limits out of range, or a candidate that does not exist. Runs that cannot be
/// compared are no error but an answer: [`Verdict::Incomparable`] or [`Verdict::Unfit`].
pub fn compare_runs(
    reference: &ComparableRun<'_>,
    subject: &ComparableRun<'_>,
    settings: &CompareSettings,
) -> Result<Comparison, CompareError> {
    settings.check()?;
    let names = wanted(subject, settings)?;
    let warnings = [reference, subject].into_iter().filter_map(not_fit).collect();
    let base = blank(reference, subject, settings, warnings);
    let refused =
        |verdict, reason, differences| Ok(Comparison { verdict, reason, differences, ..base.clone() });
    let differences = comparable::differences(reference, subject);
    if !differences.is_empty() {
        let what: Vec<&str> = differences.iter().map(|d| d.what.as_str()).collect();
        let reason = format!("the runs differ in: {}; measure both alike", what.join(", "));
        return refused(Verdict::Incomparable, reason, differences);
    }
    let known =
        |name: &str| reference.evidence.plan.pipeline(name).is_some_and(|p| p.role == Role::Candidate);
    let (common, new): (Vec<&str>, Vec<&str>) = names.into_iter().partition(|name| known(name));
    if common.is_empty() {
        let difference = RunDifference {
            what: "candidates".to_owned(),
            reference: candidates(reference).join(", "),
            subject: new.join(", "),
        };
        let reason = "the runs have no candidate in common".to_owned();
        return refused(Verdict::Incomparable, reason, vec![difference]);
    }
    let sides = [Measured::of(reference)?, Measured::of(subject)?];
    if let Some(reason) = sides.iter().find_map(Measured::unfit) {
        return refused(Verdict::Unfit, reason, Vec::new());
    }
    let [before, after] = [0, 1].map(|side: usize| baseline_ms(&sides[side].table));
    if let (Some(before), Some(after)) = (before, after)
        && (after / before).ln().abs() > settings.max_drift.ln_1p()
    {
        let reason = format!(
            "the baseline itself changed by {:+.1}%: the machine was in another state, or the engine is another \
             build, and such a change need not be the same for all; measure again; on a machine \
             that others use, measure both versions in one run, the old one as its baseline, and compare that run alone; \
             or allow it with --max-drift",
            100.0 * (after / before - 1.0)
        );
        let difference = RunDifference {
            what: "baseline's latency".to_owned(),
            reference: format!("{before:.4} ms"),
            subject: format!("{after:.4} ms"),
        };
        return refused(Verdict::Incomparable, reason, vec![difference]);
    }
    let judge = Judge::new(settings, common.len(), base.warnings.first().cloned());
    let same = reference.evidence.log.chain.head() == subject.evidence.log.chain.head();
    let mut rows: Vec<ComparisonRow> =
        common.iter().map(|name| judge.runs(sides[0].side(name), sides[1].side(name), same)).collect();
    rows.extend(vanished(&sides[0], subject, settings));
    rows.extend(asked_for_anew(&sides[1], &new, reference, settings));
    let mut reason = in_one_sentence(&rows);
    if same {
        reason.push_str("; both are one and the same measurement");
    } else if let (Some(before), Some(after)) = (before, after) {
        let change = 100.0 * (after / before - 1.0);
        reason.push_str(&format!("; the baseline itself changed by {change:+.2}%, which cancels"));
    }
    if !new.is_empty() {
        reason.push_str(&format!("; not in the reference are {}", new.join(", ")));
    }
    let verdict = rows.iter().map(|row| row.verdict).max().unwrap_or(Verdict::CannotTell);
    let mut warnings = base.warnings.clone();
    warnings.extend(sides.iter().flat_map(|side| side.doubts(&common)));
    Ok(Comparison { verdict, reason, warnings, rows, ..base })
}

/// Compares the candidates of one run with its baseline.
///
/// # Errors
/// As [`compare_runs`].
pub fn compare_with_baseline(
    run: &ComparableRun<'_>,
    settings: &CompareSettings,
) -> Result<Comparison, CompareError> {
    settings.check()?;
    let names = wanted(run, settings)?;
    let label = format!("{}, the baseline", run.evidence.plan.baseline().name);
    let reference = ComparableRun { label: &label, ..*run };
    let measured = Measured::of(run)?;
    let mut warnings: Vec<String> = not_fit(run).into_iter().collect();
    let judge = Judge::new(settings, names.len(), warnings.first().cloned());
    warnings.extend(measured.doubts(&names));
    let base = blank(&reference, run, settings, warnings);
    if let Some(reason) = measured.unfit() {
        return Ok(Comparison { verdict: Verdict::Unfit, reason, ..base });
    }
    let rows: Vec<_> = names.iter().map(|name| judge.own_baseline(measured.side(name))).collect();
    let verdict = rows.iter().map(|row| row.verdict).max().unwrap_or(Verdict::CannotTell);
    let reason = in_one_sentence(&rows);
    Ok(Comparison { verdict, reason, rows, ..base })
}

impl CompareSettings {
    fn check(&self) -> Result<(), CompareError> {
        let within = |setting, value: f64, from: f64, to: f64, expected| {
            if (from..=to).contains(&value) {
                return Ok(());
            }
            Err(CompareError::Setting { setting, expected, found: value })
        };
        within("max-slowdown", self.max_slowdown, 0.0, 10.0, "0% to 1000%")?;
        within("max-drift", self.max_drift, 0.0, 10.0, "0% to 1000%")?;
        within("min-similarity", self.min_similarity.unwrap_or(0.0), -1.0, 1.0, "a number from -1 to 1")?;
        within("level", self.level, LOWEST_LEVEL, HIGHEST_LEVEL, "a number from 0.5 to 0.9999")
    }
}

/// A run with what its samples say.
struct Measured<'a> {
    run: ComparableRun<'a>,
    table: SampleTable,
    calm: Option<SampleTable>,
    estimates: Estimates,
    looks: Option<Looks>,
}

impl<'a> Measured<'a> {
    fn of(run: &ComparableRun<'a>) -> Result<Self, AnalyzeError> {
        let Evidence { contest, plan, log, .. } = run.evidence;
        let settings = settings_of(contest, plan);
        let (mut table, estimates) = (from_log(plan, log), analyze(&run.evidence, &settings)?);
        leave_out(&estimates.lanes, &mut table);
        Ok(Self {
            run: *run,
            calm: table.any_throttled().then(|| table.unthrottled()),
            estimates,
            looks: settings.looks.map(|(first, last)| Looks::new(first, last)),
            table,
        })
    }

    /// Whether a session is on a lane that counts.
    fn counts(&self, session: u32) -> bool {
        let round = self.run.evidence.plan.sessions.get(session as usize).map(|session| session.round);
        round.is_none_or(|round| keeps(&self.estimates.lanes, round))
    }

    /// Why nothing may be concluded from this run.
    fn unfit(&self) -> Option<String> {
        let certificate = &self.estimates.certificate;
        (certificate.verdict == CertificateVerdict::Unfit)
            .then(|| format!("{} is unfit: {}; measure again", self.run.label, certificate.reason))
    }

    /// What of the honesty of these candidates is in doubt, in words.
    fn doubts(&self, names: &[&str]) -> Vec<String> {
        let named = self.estimates.candidates.iter().filter(|c| names.contains(&c.name.as_str()));
        named.flat_map(doubts).map(|doubt| format!("{}: {doubt}", self.run.label)).collect()
    }

    /// All that is known of one candidate.
    fn side(&self, name: &str) -> Side<'_> {
        let of = |table: &SampleTable| {
            table.candidates.iter().find(|c| c.name == name).map_or_else(Vec::new, change::means)
        };
        let records = &self.run.evidence.quality.records;
        Side {
            name: name.to_owned(),
            means: of(&self.table),
            unthrottled: self.calm.as_ref().map(of),
            looks: self.looks.as_ref(),
            processor: processor::by_session(self.run.evidence.plan, self.run.evidence.log, name),
            estimates: self.estimates.candidates.iter().find(|c| c.name == name),
            metric: self.run.evidence.contest.score.similarity,
            records: records.iter().filter(|r| r.candidate == name && self.counts(r.session)).collect(),
        }
    }
}

fn candidates<'a>(run: &ComparableRun<'a>) -> Vec<&'a str> {
    let all = run.evidence.plan.candidates().iter();
    all.filter(|p| p.role == Role::Candidate).map(|p| p.name.as_str()).collect()
}

/// The candidates that the reference has and the subject lacks, where all are asked for: of who is no longer there
/// nothing can be told, and a regression must not pass by leaving.
fn vanished(
    reference: &Measured<'_>,
    subject: &ComparableRun<'_>,
    settings: &CompareSettings,
) -> Vec<ComparisonRow> {
    if !settings.candidates.is_empty() {
        return Vec::new();
    }
    let there = candidates(subject);
    let gone = candidates(&reference.run).into_iter().filter(|name| !there.contains(name));
    gone.map(|name| {
        let before = reference.side(name).counted();
        let mut counted = Counted { expected: before.expected, ..Counted::default() };
        counted.leave_out(before.expected, format!("not in {}", subject.label));
        let reason = format!("not in {}: it was left out or has another name", subject.label);
        ComparisonRow { reference_counted: Some(before), ..row::untold(name, reason, counted) }
    })
    .collect()
}

/// The candidates that were asked for by name and that the reference lacks: nothing can be told of them, and who asks for
/// them is not to hear only of the others.
fn asked_for_anew(
    subject: &Measured<'_>,
    new: &[&str],
    reference: &ComparableRun<'_>,
    settings: &CompareSettings,
) -> Vec<ComparisonRow> {
    if settings.candidates.is_empty() {
        return Vec::new();
    }
    let row =
        |name: &&str| row::untold(name, format!("not in {}", reference.label), subject.side(name).counted());
    new.iter().map(row).collect()
}

/// The candidates asked for, in the order of the plan.
fn wanted<'a>(run: &ComparableRun<'a>, settings: &CompareSettings) -> Result<Vec<&'a str>, CompareError> {
    let known = candidates(run);
    if let Some(name) = settings.candidates.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(CompareError::Candidate {
            name: name.clone(),
            label: run.label.to_owned(),
            known: known.join(", "),
        });
    }
    let all = settings.candidates.is_empty();
    Ok(known.into_iter().filter(|name| all || settings.candidates.iter().any(|c| c == name)).collect())
}

/// Geometric mean of the baseline's own latency, over all pairs.
fn baseline_ms(table: &SampleTable) -> Option<f64> {
    let logs: Vec<f64> =
        table.candidates.iter().flat_map(|c| c.all_pairs()).map(|pair| pair.baseline_ms.ln()).collect();
    (!logs.is_empty()).then(|| student::mean(&logs).exp())
}

/// Who did what, the worst first.
fn in_one_sentence(rows: &[ComparisonRow]) -> String {
    let said = |(verdict, words): (Verdict, &str)| {
        let names: Vec<&str> =
            rows.iter().filter(|row| row.verdict == verdict).map(|row| row.name.as_str()).collect();
        (!names.is_empty()).then(|| format!("{} {words}", names.join(", ")))
    };
    let order = [
        (Verdict::Regressed, "regressed"),
        (Verdict::CannotTell, "cannot be told"),
        (Verdict::Equivalent, "stayed within the limits"),
        (Verdict::Improved, "improved"),
    ];
    order.into_iter().filter_map(said).collect::<Vec<_>>().join("; ")
}

/// Why the machine of a run was not fit to measure on, if it was not.
fn not_fit(run: &ComparableRun<'_>) -> Option<String> {
    let unfit = &run.environment.unfit;
    (!unfit.is_empty())
        .then(|| format!("{} was measured on an unfit machine: {}", run.label, unfit.join("; ")))
}

/// A comparison that says nothing yet.
fn blank(
    reference: &ComparableRun<'_>,
    subject: &ComparableRun<'_>,
    settings: &CompareSettings,
    warnings: Vec<String>,
) -> Comparison {
    let compared = |run: &ComparableRun<'_>| ComparedRun {
        label: run.label.to_owned(),
        samples: run.evidence.log.chain.head(),
    };
    Comparison {
        format: Comparison::expected_format(),
        reference: compared(reference),
        subject: compared(subject),
        limits: ComparisonLimits {
            max_slowdown: settings.max_slowdown,
            min_similarity: settings.min_similarity,
            level: settings.level,
        },
        verdict: Verdict::CannotTell,
        reason: String::new(),
        differences: Vec::new(),
        warnings,
        builds: comparable::builds(reference, subject),
        rows: Vec::new(),
    }
}
