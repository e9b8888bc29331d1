//! Measuring part of a published run again, on this machine.

use std::collections::BTreeMap;
use std::path::Path;

use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::estimate::{Estimate, Estimates};
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::metric::Metric;
use edgemaxx_contract::plan::{Plan, Role};
use edgemaxx_contract::run_files::{CONTEST_FILE, ESTIMATES_FILE, ORIGIN_FILE, PLAN_FILE, PROMPTS_FILE};
use serde::Serialize;

use super::check::{Check, Verdict};
use crate::error::{InFile as _, Result, RunError, scratch};
use crate::folder::RunFolder;
use crate::origin::Origin;
use crate::progress::Observer;
use crate::quoted::quoted;
use crate::sources::pinned;
use crate::stage::{analyze, measure, quality};

/// Which part of a plan.
pub struct Extract<'a> {
    /// This candidate and the control; `None`: all.
    pub candidate: Option<&'a str>,
    /// Rounds at most.
    pub rounds: u32,
    /// Pairs of a session at most.
    pub pairs: usize,
}

/// The plan without what is not part of the extract: same requests, same order.
///
/// # Errors
/// The run has no such candidate.
pub fn extract(plan: &Plan, part: &Extract<'_>) -> Result<Plan> {
    let mut small = plan.clone();
    if let Some(name) = part.candidate {
        if !plan.candidates().iter().any(|p| p.name == name && p.role == Role::Candidate) {
            let names: Vec<&str> = plan.candidates().iter().map(|p| p.name.as_str()).collect();
            return Err(RunError::input(format!(
                "--candidate {name}: the run has no such candidate; it has {}",
                names.join(", ")
            )));
        }
        small.pipelines.retain(|p| p.role != Role::Candidate || p.name == name);
    }
    let names: Vec<String> = small.pipelines.iter().map(|pipeline| pipeline.name.clone()).collect();
    small.sessions.retain(|session| session.round < part.rounds && names.contains(&session.candidate));
    for (index, session) in small.sessions.iter_mut().enumerate() {
        session.index = index as u32;
        session.pairs.truncate(part.pairs);
        let pairs = session.pairs.len();
        session.repeats.retain(|repeat| (repeat.pair as usize) < pairs);
    }
    Ok(small)
}

/// Measures and judges an extract of `folder`'s plan in the folder `out`, and analyses it.
///
/// # Errors
/// Those of the stages.
pub fn measure_again(
    folder: &RunFolder,
    plan: &Plan,
    base: &Path,
    out: &Path,
    observer: &dyn Observer,
) -> Result<RunFolder> {
    let again = RunFolder::create(out)?;
    let base = std::path::absolute(base).in_file(base)?;
    for pipeline in &plan.pipelines {
        // What lies elsewhere is fetched where it is not here yet.
        pinned(&base, &pipeline.checkpoint, observer)?;
    }
    again.write(ORIGIN_FILE, Origin { base }.text()?)?;
    for name in [CONTEST_FILE, PROMPTS_FILE] {
        again.write(name, &*folder.read(name)?)?;
    }
    again.write(PLAN_FILE, plan.to_json())?;
    // Whatever machine this is: whether it agrees is the question.
    let resume = format!("edgemaxx measure {} --resume", quoted(out));
    measure::measure_run(&again, measure::Options::anywhere(&resume), observer)?;
    quality::judge_run(&again, quality::Models::default(), observer)?;
    analyze::analyze_run(&again)?;
    Ok(again)
}

/// How like the answers made here are to the published ones.
#[derive(Debug, Serialize)]
pub struct Likeness {
    /// Answers made here.
    pub compared: u32,
    /// Those with the same bits.
    pub identical: u32,
    /// What tells how alike the others are.
    pub metric: Metric,
    /// Its worst value of the others.
    pub least: Option<f64>,
}

impl Likeness {
    /// Whether the difference is one that the contest would overlook; `None`: it does not say.
    pub fn acceptable(&self, least: Option<f64>) -> Option<bool> {
        match self.least {
            None => Some(true),
            Some(found) => least.map(|least| found >= least),
        }
    }
}

/// The likeness that the contest asks for, if it does.
fn least_likeness(contest: &Contest, metric: Metric) -> Option<f64> {
    contest.quality.gates.iter().find(|gate| gate.metric == metric).map(|gate| gate.threshold)
}

/// Compares every answer of `again` with the published one to the same request.
///
/// # Errors
/// An answer is missing, or cannot be read.
pub fn compare_answers(folder: &RunFolder, again: &RunFolder) -> Result<Likeness> {
    type Made = BTreeMap<(String, u32), (Digest, Digest)>;
    let made = |folder: &RunFolder| -> Result<Made> {
        let plan = folder.plan()?;
        let pairs = quality::pairs(folder, &plan, &folder.samples(&plan)?);
        Ok(pairs
            .into_iter()
            .map(|pair| ((pair.candidate, pair.request), (pair.baseline.digest, pair.answer.digest)))
            .collect())
    };
    let (published, here) = (made(folder)?, made(again)?);
    let contest = folder.contest(&folder.plan()?)?;
    let metric = Metric::likeness(contest.task.name())
        .ok_or_else(|| RunError::input("the contest's task has no metric that needs no model"))?;
    let judge = quality::Models::default().judge(contest.task)?;
    let mut likeness = Likeness { compared: 0, identical: 0, metric, least: None };
    for (key, (baseline, answer)) in &here {
        let Some((their_baseline, their_answer)) = published.get(key) else { continue };
        for (ours, theirs) in [(baseline, their_baseline), (answer, their_answer)] {
            likeness.compared += 1;
            if ours == theirs {
                likeness.identical += 1;
                continue;
            }
            let file = |folder: &RunFolder, digest: &Digest| folder.artefact(contest.task, digest);
            let judged = judge
                .compare(&file(folder, theirs), &file(again, ours), None)
                .map_err(|error| RunError::input(error.to_string()))?;
            let found = judged.values.get(&metric).copied();
            likeness.least = metric.entry().direction.worst(found.into_iter().chain(likeness.least));
        }
    }
    Ok(likeness)
}

/// A candidate's speedup as published, and as measured here.
#[derive(Debug, Serialize)]
pub struct Agreement {
    /// The candidate.
    pub candidate: String,
    /// As published.
    pub published: Estimate,
    /// As measured here.
    pub here: Estimate,
    /// Whether the two intervals have a point in common.
    pub overlap: bool,
    /// The speedup here over the published one, minus 1, with the interval of both together.
    pub difference: [f64; 3],
}

/// Every candidate that was measured in both; without those too few sessions say anything about.
pub fn agreement(published: &Estimates, here: &Estimates) -> Vec<Agreement> {
    let of = |candidate: &str| {
        published
            .candidates
            .iter()
            .find(|found| found.name == candidate)
            .and_then(|found| found.speedup.clone())
    };
    let compare = |name: &str, here: &Estimate| {
        let published = of(name)?;
        let bounds = |estimate: &Estimate| Some((estimate.lower?.ln(), estimate.upper?.ln()));
        let ((low, high), (our_low, our_high)) = (bounds(&published)?, bounds(here)?);
        // The intervals are of independent runs: their half-widths add in squares.
        let half = ((high - low) / 2.0).hypot((our_high - our_low) / 2.0);
        let point = (here.point / published.point).ln();
        Some(Agreement {
            candidate: name.to_owned(),
            overlap: our_low <= high && low <= our_high,
            difference: [point - half, point, point + half].map(f64::exp_m1),
            published,
            here: here.clone(),
        })
    };
    here.candidates.iter().filter_map(|found| compare(&found.name, found.speedup.as_ref()?)).collect()
}

/// About `answers` of a run's answers made again here, spread evenly over its candidates, and their pairs measured.
///
/// # Errors
/// Those of the stages.
pub fn rerun(
    folder: &RunFolder,
    base: &Path,
    answers: u32,
    observer: &dyn Observer,
) -> Result<([Check; 2], Vec<Agreement>)> {
    let plan = folder.plan()?;
    let rounds = plan.sessions.iter().map(|session| session.round + 1).max().unwrap_or(1).min(3);
    let sessions = rounds * plan.candidates().len() as u32;
    let pairs = answers.div_ceil(2 * sessions).max(1) as usize;
    let small = extract(&plan, &Extract { candidate: None, rounds, pairs })?;
    let scratch = scratch()?;
    let again = measure_again(folder, &small, base, &scratch.path().join("again"), observer)?;
    let likeness = compare_answers(folder, &again)?;
    let least = least_likeness(&folder.contest(&plan)?, likeness.metric);
    let different = likeness.least.map_or(String::new(), |least| {
        format!(", {} of the others at least {least:.4}", likeness.metric.title())
    });
    let made = Check {
        what: "answers made again",
        verdict: match likeness.acceptable(least) {
            Some(true) => Verdict::Passed,
            Some(false) => Verdict::Failed,
            None => Verdict::Skipped,
        },
        detail: format!("{} of {} bit for bit{different}", likeness.identical, likeness.compared),
    };
    let (published, here): (Estimates, Estimates) =
        (folder.document(ESTIMATES_FILE)?, again.document(ESTIMATES_FILE)?);
    let found = agreement(&published, &here);
    let control = |name: &str| plan.pipeline(name).is_some_and(|p| p.role == Role::Control);
    let apart: Vec<&str> =
        found.iter().filter(|a| !a.overlap && !control(&a.candidate)).map(|a| a.candidate.as_str()).collect();
    let measured = Check {
        what: "speedups measured again",
        // Another machine may rightly have other speedups: that is for the reader to judge.
        verdict: if apart.is_empty() && !found.is_empty() { Verdict::Passed } else { Verdict::Skipped },
        detail: if apart.is_empty() {
            format!("{} intervals overlap the published ones", found.len())
        } else {
            format!("this hardware disagrees about {}", apart.join(", "))
        },
    };
    Ok(([made, measured], found))
}
