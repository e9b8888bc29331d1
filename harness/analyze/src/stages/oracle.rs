//! What a candidate may expect of a contest like a published one: the published day drawn again and
//! again, as far as it is known, with the candidate as a run of one's own measured it.

use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::environment::Environment;
use edgemaxx_contract::estimate::{
    CandidateEstimates, CertificateVerdict, Claim, Estimates, HonestyVerdict, SessionEvidence,
};
use edgemaxx_contract::plan::Role;
use edgemaxx_contract::ranking::Ranking;
use rayon::prelude::*;
use serde::Serialize;

use super::estimate::speedup;
use super::rank::rank;
use crate::estimators::multiplicity::holm;
use crate::estimators::student;
use crate::random::{Seed, Stream};

/// Halvings of the range in which the missing speed is looked for.
const HALVINGS: usize = 9;
/// More than this many times as fast is not looked for.
const FASTEST: f64 = 4.0;
/// How many times the sessions are looked at.
const TIMES: [usize; 6] = [1, 2, 3, 4, 6, 8];
/// How sure "surely" is.
const SURELY: f64 = 0.95;

/// A published day, and a candidate that was measured elsewhere.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The contest of the day.
    pub contest: &'a Contest,
    /// What the day found.
    pub estimates: &'a Estimates,
    /// What was made of it: its winner is the next day's incumbent.
    pub ranking: &'a Ranking,
    /// Where it was found.
    pub environment: &'a Environment,
    /// One's own candidate; it takes the place of the day's of that name.
    pub own: &'a CandidateEstimates,
}

/// What may be expected.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Oracle {
    /// The candidate.
    pub candidate: String,
    /// Days that were drawn.
    pub days: usize,
    /// Sessions of everybody in a day.
    pub sessions: usize,
    /// The part of days in which it is accepted.
    pub accepted: f64,
    /// The part of days in which it is in the first tier.
    pub first: f64,
    /// The part of days in which it is there alone.
    pub alone: f64,
    /// Its share of the rewards, on average.
    pub share: f64,
    /// By how much faster, relative, it would be first alone in half of the days; 0: it is; `None`: not
    /// even four times as fast.
    pub faster_for_half: Option<f64>,
    /// The same for 95% of the days.
    pub faster_for_sure: Option<f64>,
    /// Sessions of everybody with which it is first alone in 95% of the days; `None`: eight times as many
    /// would not do, because it may well not be the fastest.
    pub sessions_for_sure: Option<usize>,
}

/// Days that cannot be drawn.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OracleError {
    /// Too little was measured of the own candidate.
    #[error(
        "{0:?} has {1} session(s) with pairs: expected at least two, or nothing is known of how they scatter"
    )]
    Sessions(String, usize),
    /// The control is nobody's candidate.
    #[error("{0:?} is the control: name a candidate")]
    Control(String),
    /// The day found nothing.
    #[error("the day is unfit, so it says nothing about the next: {0}")]
    Unfit(String),
}

/// Draws days. Equal arguments give equal answers.
///
/// Of everybody, the others too, the truth is drawn as the measured sessions tell it (t around their mean),
/// then the sessions of a day around the truth. Gates, honesty and failures are taken as they were
/// found; nobody leaves early.
///
/// # Errors
/// [`OracleError`]
pub fn oracle(question: &Question<'_>, days: usize) -> Result<Oracle, OracleError> {
    let own = question.own;
    if own.role == Role::Control {
        return Err(OracleError::Control(own.name.clone()));
    }
    if own.by_session.len() < 2 {
        return Err(OracleError::Sessions(own.name.clone(), own.by_session.len()));
    }
    let certificate = &question.estimates.certificate;
    if certificate.verdict == CertificateVerdict::Unfit {
        return Err(OracleError::Unfit(certificate.reason.clone()));
    }
    let mut field = question.estimates.clone();
    field.looks = None;
    field.candidates.retain(|candidate| candidate.name != own.name);
    field.candidates.push(own.clone());
    let mut contest = question.contest.clone();
    contest.incumbent = question.ranking.winner.clone().or(contest.incumbent);
    let seed = Seed::of("edgemaxx miner oracle");
    let drawn = |sessions: usize, faster: f64| -> Vec<Outcome> {
        let day = |day: usize| {
            let estimates = draw(&field, &own.name, sessions, faster, &mut seed.stream(day as u64));
            Outcome::of(&rank(&estimates, &contest, question.environment), &own.name)
        };
        (0..days).into_par_iter().map(day).collect()
    };
    let part = |outcomes: &[Outcome], is: fn(&Outcome) -> bool| {
        outcomes.iter().filter(|outcome| is(outcome)).count() as f64 / days.max(1) as f64
    };
    let alone = |sessions: usize, faster: f64| part(&drawn(sessions, faster), |outcome| outcome.alone);
    let sessions = contest.measurement.sessions as usize;
    let needed = |wanted: f64| {
        if alone(sessions, 0.0) >= wanted {
            return Some(0.0);
        }
        let (mut low, mut high) = (0.0, FASTEST.ln());
        if alone(sessions, high) < wanted {
            return None;
        }
        for _ in 0..HALVINGS {
            let middle = (low + high) / 2.0;
            if alone(sessions, middle) >= wanted { high = middle } else { low = middle }
        }
        Some(high.exp_m1())
    };
    let outcomes = drawn(sessions, 0.0);
    Ok(Oracle {
        candidate: own.name.clone(),
        days,
        sessions,
        accepted: part(&outcomes, |outcome| outcome.accepted),
        first: part(&outcomes, |outcome| outcome.first),
        alone: part(&outcomes, |outcome| outcome.alone),
        share: outcomes.iter().map(|outcome| outcome.share).sum::<f64>() / days.max(1) as f64,
        faster_for_half: needed(0.5),
        faster_for_sure: needed(SURELY),
        sessions_for_sure: TIMES
            .into_iter()
            .map(|times| times * sessions)
            .find(|&sessions| alone(sessions, 0.0) >= SURELY),
    })
}

/// What a day brought.
struct Outcome {
    accepted: bool,
    first: bool,
    alone: bool,
    share: f64,
}

impl Outcome {
    fn of(ranking: &Ranking, name: &str) -> Self {
        let entry = ranking.entries.iter().find(|entry| entry.name == name);
        Self {
            accepted: entry.is_some_and(|entry| entry.tier.is_some()),
            first: entry.is_some_and(|entry| entry.tier == Some(1)),
            alone: ranking.winner.as_deref() == Some(name),
            share: entry.map_or(0.0, |entry| entry.weight),
        }
    }
}

/// A day's estimates as far as scores and tiers depend on them.
fn draw(field: &Estimates, own: &str, sessions: usize, faster: f64, stream: &mut Stream) -> Estimates {
    let mut day = field.clone();
    let mut p_values = Vec::new();
    for candidate in &mut day.candidates {
        let faster = if candidate.name == own { faster } else { 0.0 };
        candidate.stopped = None;
        candidate.by_session = sessions_of(&candidate.by_session, sessions, faster, stream);
        let means: Vec<f64> = candidate.by_session.iter().map(|session| session.log_ratio).collect();
        let summary = student::interval(&means, field.level);
        let known = means.len() >= 2;
        candidate.speedup = known.then(|| speedup(&summary, "drawn"));
        p_values.push(summary.p_value.filter(|_| known).unwrap_or(1.0));
    }
    for (candidate, p) in day.candidates.iter_mut().zip(holm(&p_values)) {
        let faster = candidate.speedup.as_ref().is_some_and(|speedup| speedup.point > 1.0);
        candidate.claim = match (p <= 1.0 - field.level, faster) {
            (false, _) => Claim::Tie,
            (true, true) => Claim::Faster,
            (true, false) => Claim::Slower,
        };
        // What is only doubtful today may pass tomorrow; what was proven stays.
        candidate.honesty.retain(|check| check.verdict == HonestyVerdict::Failed);
    }
    day
}

/// So many sessions of one whose sessions were these.
fn sessions_of(
    known: &[SessionEvidence],
    sessions: usize,
    faster: f64,
    stream: &mut Stream,
) -> Vec<SessionEvidence> {
    let means: Vec<f64> = known.iter().map(|session| session.log_ratio).collect();
    let Some((mean, error)) = student::mean_and_error(&means) else { return Vec::new() };
    let freedom = means.len() - 1;
    // The spread is not known either: what is drawn of it goes with what is drawn of the mean.
    let stretch = (freedom as f64 / stream.chi_squared(freedom)).sqrt();
    let truth = mean + stretch * error * stream.normal() - faster;
    let spread = stretch * error * (means.len() as f64).sqrt();
    (0..sessions)
        .map(|round| SessionEvidence {
            round: round as u32,
            log_ratio: truth + spread * stream.normal(),
            similarity: known[stream.below(known.len() as u32) as usize].similarity,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::plan::Extent;

    use super::super::tests::simulated::{CONFINED, TRUTH, drawn_run, environment, estimates};
    use super::*;

    /// The contest of the tests, and what is foretold of one of its candidates, changed.
    fn foretold(name: &str, change: impl Fn(&mut CandidateEstimates)) -> Oracle {
        let run = drawn_run("oracle", Extent::Full, &TRUTH, 0.003, |_, _| {});
        let estimates = estimates(&run);
        let environment = environment(CONFINED);
        let ranking = rank(&estimates, &run.contest, &environment);
        let mut own = estimates.candidates.iter().find(|of| of.name == name).unwrap().clone();
        change(&mut own);
        let contest = &run.contest;
        let question = Question {
            contest,
            estimates: &estimates,
            ranking: &ranking,
            environment: &environment,
            own: &own,
        };
        oracle(&question, 60).unwrap()
    }

    #[test]
    fn who_won_clearly_wins_again_and_the_next_needs_what_it_lacks() {
        let winner = foretold("broken", |_| {});
        assert_eq!(winner, foretold("broken", |_| {}));
        assert!(winner.alone > 0.95 && winner.share > 0.5, "{winner:?}");
        assert_eq!((winner.faster_for_half, winner.sessions_for_sure), (Some(0.0), Some(winner.sessions)));
        let second = foretold("middling", |_| {});
        assert!(second.first < 0.05 && second.accepted > 0.95, "{second:?}");
        assert_eq!(second.sessions_for_sure, None, "more sessions only show more clearly who is slower");
        let (half, sure) = (second.faster_for_half.unwrap(), second.faster_for_sure.unwrap());
        assert!(half > 0.0 && sure >= half, "{second:?}");
        // As much faster as is said, it is first in half of the days and more.
        let mended = foretold("middling", |own| {
            own.by_session.iter_mut().for_each(|session| session.log_ratio -= half.ln_1p());
        });
        assert!(mended.alone >= 0.45, "{half} {mended:?}");
    }

    #[test]
    fn what_fails_a_gate_or_is_known_too_little_is_told_so() {
        let gated = foretold("quick", |own| own.gates.iter_mut().for_each(|gate| gate.passed = false));
        assert_eq!((gated.accepted, gated.share, gated.faster_for_half), (0.0, 0.0, None));
        let run = drawn_run("oracle", Extent::Full, &TRUTH, 0.003, |_, _| {});
        let estimates = estimates(&run);
        let environment = environment(CONFINED);
        let ranking = rank(&estimates, &run.contest, &environment);
        let ask = |own: &CandidateEstimates| {
            let contest = &run.contest;
            oracle(
                &Question {
                    contest,
                    estimates: &estimates,
                    ranking: &ranking,
                    environment: &environment,
                    own,
                },
                10,
            )
        };
        let mut short = estimates.candidates.iter().find(|of| of.name == "quick").unwrap().clone();
        short.by_session.truncate(1);
        assert_eq!(ask(&short), Err(OracleError::Sessions("quick".to_owned(), 1)));
        let control = estimates.candidates.iter().find(|of| of.role == Role::Control).unwrap();
        assert!(matches!(ask(control), Err(OracleError::Control(_))));
    }
}
