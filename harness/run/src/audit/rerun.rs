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
    let small = extract(&plan, &share(&plan, answers))?;
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
    Ok(([made, speedups(&plan, &found)], found))
}

/// The part of a plan that has about so many answers.
fn share(plan: &Plan, answers: u32) -> Extract<'static> {
    let rounds = plan.sessions.iter().map(|session| session.round + 1).max().unwrap_or(1).min(3);
    let sessions = rounds * plan.candidates().len() as u32;
    Extract { candidate: None, rounds, pairs: answers.div_ceil(2 * sessions).max(1) as usize }
}

/// Whether the speedups of all candidates agree; another machine may rightly have others: that is for the reader to judge.
fn speedups(plan: &Plan, found: &[Agreement]) -> Check {
    let control = |name: &str| plan.pipeline(name).is_some_and(|p| p.role == Role::Control);
    let apart: Vec<&str> =
        found.iter().filter(|a| !a.overlap && !control(&a.candidate)).map(|a| a.candidate.as_str()).collect();
    let detail = match apart.is_empty() {
        true => format!("{} intervals overlap the published ones", found.len()),
        false => format!("this hardware disagrees about {}", apart.join(", ")),
    };
    let verdict = if apart.is_empty() && !found.is_empty() { Verdict::Passed } else { Verdict::Skipped };
    Check { what: "speedups measured again", verdict, detail }
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::plan::PlannedRepeat;

    use super::*;
    use crate::example;

    #[test]
    fn an_extract_is_the_same_plan_with_less_of_it() {
        let (_place, folder) = example::run();
        let mut plan = folder.plan().unwrap();
        for session in &mut plan.sessions {
            session.repeats = (0..6).map(|pair| PlannedRepeat { pair, first: None }).collect();
        }
        let small = extract(&plan, &Extract { candidate: Some("int8"), rounds: 2, pairs: 4 }).unwrap();
        let names: Vec<&str> = small.pipelines.iter().map(|pipeline| pipeline.name.as_str()).collect();
        assert_eq!(names, ["teacher", "clone", "int8"]);
        let of = |plan: &Plan, names: &[&str], rounds: u32| {
            let sessions = plan.sessions.iter().filter(|s| s.round < rounds);
            let named = sessions.filter(|s| names.contains(&s.candidate.as_str()));
            named.map(|s| (s.round, s.candidate.clone(), s.pairs[..4].to_vec())).collect::<Vec<_>>()
        };
        assert_eq!(of(&small, &names, 9), of(&plan, &["clone", "int8"], 2));
        for (index, session) in (0..).zip(&small.sessions) {
            let repeats: Vec<u32> = session.repeats.iter().map(|repeat| repeat.pair).collect();
            assert_eq!((session.index, session.pairs.len(), repeats), (index, 4, vec![0, 1, 2, 3]));
        }
        let all = extract(&plan, &Extract { candidate: None, rounds: 9, pairs: 9 }).unwrap();
        assert_eq!(all.to_json(), plan.to_json());
        for name in ["clone", "teacher", "nobody"] {
            let part = Extract { candidate: Some(name), rounds: 2, pairs: 4 };
            let words = extract(&plan, &part).unwrap_err().words();
            assert!(
                words.starts_with(&format!("--candidate {name}: the run has no such candidate")),
                "{words}"
            );
        }
    }

    #[test]
    fn so_many_answers_are_spread_over_three_rounds() {
        let (_place, folder) = example::run();
        let mut plan = folder.plan().unwrap();
        let of = |plan: &Plan, answers: u32| {
            let Extract { candidate, rounds, pairs } = share(plan, answers);
            assert_eq!(candidate, None);
            (rounds, pairs)
        };
        // Three rounds of six candidates, two answers a pair.
        assert_eq!([0, 1, 36, 37, 73].map(|n| of(&plan, n)), [(3, 1), (3, 1), (3, 1), (3, 2), (3, 3)]);
        plan.sessions.retain(|session| session.round == 0);
        assert_eq!([12, 13].map(|n| of(&plan, n)), [(1, 1), (1, 2)]);
    }

    #[test]
    fn answers_are_acceptable_where_the_contest_would_overlook_the_worst() {
        let of = |least, asked| {
            let metric = Metric::named("ssim_gray").unwrap();
            Likeness { compared: 2, identical: 1, metric, least }.acceptable(asked)
        };
        for (least, asked, expected) in [
            (None, None, Some(true)),
            (None, Some(0.9), Some(true)),
            (Some(0.9), None, None),
            (Some(0.9), Some(0.9), Some(true)),
            (Some(0.89), Some(0.9), Some(false)),
        ] {
            assert_eq!(of(least, asked), expected, "{least:?} {asked:?}");
        }
        let (_place, folder) = example::run();
        let contest = folder.contest(&folder.plan().unwrap()).unwrap();
        let gates = contest.quality.gates.iter().map(|gate| (gate.metric, gate.threshold));
        let gates: Vec<(Metric, f64)> = gates.collect();
        assert_eq!(gates.iter().map(|gate| gate.1).collect::<Vec<_>>(), [0.915, 0.84, 0.875]);
        for (metric, threshold) in gates {
            assert_eq!(least_likeness(&contest, metric), Some(threshold), "{metric}");
        }
        assert_eq!(least_likeness(&contest, Metric::named("psnr_db").unwrap()), None);
    }

    #[test]
    fn a_run_compared_with_itself_is_the_same_bit_for_bit() {
        let (_place, folder) = example::published();
        let found = compare_answers(&folder, &folder).unwrap();
        // Thirty sessions of six pairs.
        assert_eq!((found.compared, found.identical, found.least), (360, 360, None));
    }

    #[test]
    fn speedups_agree_where_their_intervals_touch() {
        let (_place, folder) = example::run();
        let plan = folder.plan().unwrap();
        let published: Estimates = folder.document(ESTIMATES_FILE).unwrap();
        let estimate = |ln: [f64; 3]| {
            let [lower, point, upper] = ln.map(f64::exp);
            let (method, n, level) = (String::new(), 5, 0.95);
            Estimate { point, lower: Some(lower), upper: Some(upper), method, n, level }
        };
        let with = |name: &str, speedup: Option<Estimate>| {
            let mut estimates = published.clone();
            estimates.candidates.retain(|candidate| ["int8", name].contains(&candidate.name.as_str()));
            for candidate in &mut estimates.candidates {
                candidate.speedup = speedup.clone().filter(|_| candidate.name == name);
            }
            estimates
        };
        let between = |name: &str, theirs: [f64; 3], ours: [f64; 3]| {
            agreement(&with(name, Some(estimate(theirs))), &with(name, Some(estimate(ours))))
        };
        let found = between("half", [0.4, 0.7, 1.0], [0.6, 1.0, 1.4]);
        let [Agreement { candidate, difference, overlap, .. }] = &found[..] else { panic!("{found:?}") };
        assert_eq!((candidate.as_str(), *overlap), ("half", true));
        // Half-widths of 0.3 and 0.4 make one of 0.5.
        for (found, expected) in difference.iter().zip([-0.2_f64, 0.3, 0.8]) {
            assert!((found - expected.exp_m1()).abs() < 1e-12, "{difference:?}");
        }
        for (ours, overlap, verdict, words) in [
            ([0.4, 0.7, 1.0], true, Verdict::Passed, "1 intervals overlap the published ones"),
            ([1.0, 1.1, 1.2], true, Verdict::Passed, "1 intervals overlap the published ones"),
            ([0.1, 0.2, 0.4], true, Verdict::Passed, "1 intervals overlap the published ones"),
            ([1.01, 1.1, 1.2], false, Verdict::Skipped, "this hardware disagrees about half"),
            ([0.1, 0.2, 0.39], false, Verdict::Skipped, "this hardware disagrees about half"),
        ] {
            let found = between("half", [0.4, 0.7, 1.0], ours);
            assert_eq!(found[0].overlap, overlap, "{ours:?}");
            let check = speedups(&plan, &found);
            assert_eq!((check.verdict, check.detail.as_str()), (verdict, words));
        }
        // The control says nothing about a candidate, and nothing at all is no agreement.
        let control = speedups(&plan, &between("clone", [0.4, 0.7, 1.0], [1.1, 1.2, 1.3]));
        assert_eq!(
            (control.verdict, control.detail.as_str()),
            (Verdict::Passed, "1 intervals overlap the published ones")
        );
        assert_eq!(speedups(&plan, &[]).verdict, Verdict::Skipped);
        let unmeasured = with("half", None);
        assert!(agreement(&unmeasured, &with("half", Some(estimate([0.4, 0.7, 1.0])))).is_empty());
    }
}
