//! How long a contest takes, said before it is measured.

use std::time::Duration;

use edgemaxx_analyze::forecast::{Cost, Forecast, Shape, forecast};
use edgemaxx_analyze::random::Seed;
use edgemaxx_contract::plan::{Plan, Role};
use serde::Serialize;

use crate::terminal::{answer, answer_json};

/// What `edgemaxx stats plan` is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Forecasting {
    /// Candidates.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    candidates: u16,
    /// Time the baseline takes for an answer, e.g. 2.0s or 700ms.
    #[arg(long, visible_alias = "picture", value_name = "TIME", value_parser = duration)]
    answer: Duration,
    /// Time from launch to ready, e.g. 15s.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    load: Duration,
    /// By how much one process differs from another of the same pipeline: standard deviation.
    #[arg(long, value_name = "PERCENT", value_parser = percent, default_value = "0.5%")]
    noise: f64,
    /// By how much one request differs from another: standard deviation.
    #[arg(long, value_name = "PERCENT", value_parser = percent, default_value = "1%")]
    request_noise: f64,
    /// By how much the best is faster than all the others, who are equal: the hardest case.
    #[arg(long, value_name = "PERCENT", value_parser = percent, default_value = "3%")]
    lead: f64,
    /// Sessions of each candidate at most.
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u16).range(2..=200))]
    sessions: u16,
    /// Pairs of a session.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pairs: u16,
    /// Candidates that share one launch of the baseline; 1: each has its own.
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=64))]
    block: u16,
    /// So many of the first rounds have fewer pairs in a session.
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u16).range(0..=200))]
    early_rounds: u16,
    /// Pairs of a session in the early rounds; a third of the others' where nothing is said.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    early_pairs: Option<u16>,
    /// Requests of a session that are not measured, for each process: warm-up and what is asked again.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(0..=1000))]
    unmeasured: u16,
    /// Contests to simulate.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(20..=100_000))]
    contests: u32,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
}

/// What is answered.
#[derive(Debug, Serialize)]
struct Answer {
    /// All that is planned, minutes of the device.
    at_most_minutes: f64,
    /// With a baseline for each candidate and all pairs in every round, minutes.
    own_baselines_minutes: f64,
    /// On average, minutes.
    expected_minutes: f64,
    /// So many decide 95% of contests; `None`: all sessions decide fewer.
    decided_minutes: Option<f64>,
    /// The part of contests that all sessions decide.
    decided_at_all: f64,
    /// The part of contests in which neither the best nor one within 1% of it is left.
    lost: f64,
    /// Contests simulated.
    contests: usize,
}

/// Contests simulated for a plan.
const CONTESTS: usize = 100;
/// The unit where it is not known how long a load and an answer take.
const LAUNCH: Cost = Cost { load: 1.0, answer: 0.0, unmeasured: 0.0 };

impl Forecasting {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        let shape = Shape {
            candidates: usize::from(self.candidates),
            rounds: usize::from(self.sessions),
            pairs: usize::from(self.pairs),
            early_rounds: usize::from(self.early_rounds),
            early_pairs: usize::from(self.early_pairs.unwrap_or(self.pairs.div_ceil(3))),
            block: usize::from(self.block),
            lead: self.lead.ln_1p(),
            process: self.noise,
            request: self.request_noise,
            ..Shape::ASSUMED
        };
        let cost = minutes(self.load, self.answer, f64::from(self.unmeasured));
        let found = forecast(&shape, &cost, self.contests as usize, seed());
        if !self.json {
            return answer(&words(&found, hours));
        }
        answer_json(&Answer {
            at_most_minutes: found.at_most,
            own_baselines_minutes: found.own_baselines,
            expected_minutes: found.expected,
            decided_minutes: found.decided,
            decided_at_all: found.decided_at_all,
            lost: found.lost,
            contests: found.contests,
        })
    }
}

/// How long a drawn plan takes, where candidates may leave: in launches, or in time where it is known
/// how long an answer and a load take.
pub(crate) fn of_plan(plan: &Plan, answer: Option<Duration>, load: Option<Duration>) -> String {
    let unmeasured = plan.sessions.first().map_or(0, |one| one.warmup.len() + one.repeats.len()) as f64;
    let known = answer.map(|answer| minutes(load.unwrap_or_default(), answer, unmeasured));
    let say = if known.is_some() { hours } else { launches };
    let cost = known.unwrap_or(LAUNCH);
    let pairs = |round: usize| {
        let first = plan.sessions.iter().find(|session| session.round as usize == round);
        first.map_or(1, |session| session.pairs.len().max(1))
    };
    let rounds = plan.sessions.iter().map(|session| session.round as usize + 1).max().unwrap_or(1);
    let early_rounds = (0..rounds).take_while(|round| pairs(*round) != pairs(rounds - 1)).count();
    let shape = Shape {
        candidates: plan.candidates().iter().filter(|candidate| candidate.role == Role::Candidate).count(),
        rounds,
        pairs: pairs(rounds - 1),
        early_rounds,
        early_pairs: pairs(0),
        block: if plan.is_shared() { plan.measurement.block as usize } else { 1 },
        ..Shape::ASSUMED
    };
    if !plan.measurement.stopping.is_adaptive() {
        return format!("takes     {}", say(shape.costs(&cost)));
    }
    let assumed = "if the best is 3% faster than all others and processes differ by 0.5%";
    format!("{}\n          {assumed}", words(&forecast(&shape, &cost, CONTESTS, seed()), say))
}

fn seed() -> Seed {
    Seed::of("edgemaxx stats plan")
}

/// In minutes.
fn minutes(load: Duration, answer: Duration, unmeasured: f64) -> Cost {
    Cost { load: load.as_secs_f64() / 60.0, answer: answer.as_secs_f64() / 60.0, unmeasured }
}

fn words(found: &Forecast, say: fn(f64) -> String) -> String {
    let decided = match found.decided {
        Some(budget) => format!("{} decide 95% of contests", say(budget)),
        None => format!(
            "all sessions decide {:.0}% of contests: ask for more of them, or for more pairs",
            100.0 * found.decided_at_all
        ),
    };
    let share = |part: f64| 100.0 * part / found.own_baselines;
    format!(
        "at most   {}\nexpected  {}, {:.0}% of what all sessions take where each candidate has its own baseline ({})\nbudget    {decided}\nlost      the best is lost in {:.1}% of {} simulated contests",
        say(found.at_most),
        say(found.expected),
        share(found.expected),
        say(found.own_baselines),
        100.0 * found.lost,
        found.contests,
    )
}

fn hours(minutes: f64) -> String {
    if minutes < 120.0 { format!("{minutes:.0} minutes") } else { format!("{:.1} hours", minutes / 60.0) }
}

fn launches(count: f64) -> String {
    format!("{count:.0} launches")
}

/// `2.0s` or `700ms`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => number.trim().parse::<f64>().ok().map(|ms| ms / 1000.0),
        (None, Some(number)) => number.trim().parse::<f64>().ok(),
        (None, None) => None,
    };
    let usable = parsed.filter(|seconds| (0.0..=1e6).contains(seconds));
    usable
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "expected a time in seconds or milliseconds, e.g. 2.0s or 700ms".to_owned())
}

/// `0.5%` as 0.005.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    number
        .filter(|percent| (0.0..100.0).contains(percent))
        .map(|percent| percent / 100.0)
        .ok_or_else(|| "expected a percentage from 0% to below 100%, e.g. 0.5%".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_said() {
        assert_eq!(duration("2.0s"), Ok(Duration::from_secs(2)));
        assert_eq!(duration("700ms"), Ok(Duration::from_millis(700)));
        assert!(duration("2").is_err() && duration("-1s").is_err() && duration("1e9s").is_err());
        assert_eq!(
            (hours(90.0), hours(600.0), launches(3.0)),
            ("90 minutes".into(), "10.0 hours".into(), "3 launches".into())
        );
    }
}
