//! How long a contest takes, said before it is measured.

use std::time::Duration;

use edgemaxx_analyze::forecast::{Forecast, Shape, forecast};
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
    /// Requests of a session that are not measured, for each side: warm-up and what is asked again.
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
    /// One session of two processes, minutes.
    session_minutes: f64,
    /// All sessions, minutes of the device.
    at_most_minutes: f64,
    /// On average, minutes.
    expected_minutes: f64,
    /// So many decide 95% of contests; `None`: all sessions decide fewer.
    decided_minutes: Option<f64>,
    /// The same in sessions.
    sessions: Forecast,
}

/// Contests simulated for a plan.
const CONTESTS: usize = 100;
/// What is assumed of a contest that was not measured.
const ASSUMED: Shape = Shape {
    candidates: 1,
    rounds: 1,
    pairs: 1,
    lead: 0.03,
    process: 0.005,
    request: 0.01,
    best_noise: 1.0,
    noisy: 0.0,
    drift: 0.0,
};

impl Forecasting {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        let shape = Shape {
            candidates: usize::from(self.candidates),
            rounds: usize::from(self.sessions),
            pairs: usize::from(self.pairs),
            lead: self.lead.ln_1p(),
            process: self.noise,
            request: self.request_noise,
            ..ASSUMED
        };
        let sessions = forecast(&shape, self.contests as usize, seed());
        let minutes =
            session_minutes(self.load, self.answer, f64::from(self.pairs) + f64::from(self.unmeasured));
        if !self.json {
            return answer(&words(&sessions, Some(minutes)));
        }
        answer_json(&Answer {
            session_minutes: minutes,
            at_most_minutes: sessions.at_most as f64 * minutes,
            expected_minutes: sessions.expected * minutes,
            decided_minutes: sessions.decided.map(|sessions| sessions as f64 * minutes),
            sessions,
        })
    }
}

/// How long a drawn plan takes, where candidates may leave: in sessions, and in time where it is known
/// how long an answer and a load take.
pub(crate) fn of_plan(plan: &Plan, answer: Option<Duration>, load: Option<Duration>) -> String {
    let first = plan.sessions.first();
    let requests =
        first.map_or(0, |session| session.warmup.len() + session.pairs.len() + session.repeats.len());
    let minutes = answer.map(|answer| session_minutes(load.unwrap_or_default(), answer, requests as f64));
    if !plan.measurement.stopping.is_adaptive() {
        let all = plan.sessions.len();
        return format!("takes     {}", time(all as f64, minutes));
    }
    let shape = Shape {
        candidates: plan.candidates().iter().filter(|candidate| candidate.role == Role::Candidate).count(),
        rounds: plan.sessions.iter().map(|session| session.round as usize + 1).max().unwrap_or(1),
        pairs: first.map_or(1, |session| session.pairs.len().max(1)),
        ..ASSUMED
    };
    let assumed = "if the best is 3% faster than all others and processes differ by 0.5%";
    format!("{}\n          {assumed}", words(&forecast(&shape, CONTESTS, seed()), minutes))
}

fn seed() -> Seed {
    Seed::of("edgemaxx stats plan")
}

/// Both sides load and answer. Candidates may be faster than the baseline, which is not counted on.
fn session_minutes(load: Duration, answer: Duration, requests: f64) -> f64 {
    2.0 * (load.as_secs_f64() + requests * answer.as_secs_f64()) / 60.0
}

fn words(found: &Forecast, minutes: Option<f64>) -> String {
    let decided = match found.decided {
        Some(sessions) => format!("{} decide 95% of contests", time(sessions as f64, minutes)),
        None => format!(
            "all sessions decide {:.0}% of contests: ask for more of them, or for more pairs",
            100.0 * found.decided_at_all
        ),
    };
    format!(
        "at most   {}\nexpected  {}, {:.0}% of them\nbudget    {decided}",
        time(found.at_most as f64, minutes),
        time(found.expected, minutes),
        100.0 * found.expected / found.at_most as f64,
    )
}

/// Sessions, and their time where it is known.
fn time(sessions: f64, minutes: Option<f64>) -> String {
    match minutes {
        Some(each) => format!("{} ({sessions:.0} sessions of {each:.1} minutes)", hours(sessions * each)),
        None => format!("{sessions:.0} sessions"),
    }
}

fn hours(minutes: f64) -> String {
    if minutes < 120.0 { format!("{minutes:.0} minutes") } else { format!("{:.1} hours", minutes / 60.0) }
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
        let minutes = session_minutes(Duration::from_secs(15), Duration::from_secs(2), 25.0);
        assert!((minutes - 130.0 / 60.0).abs() < 1e-12);
        assert_eq!(time(3.0, None), "3 sessions");
        assert_eq!(time(600.0, Some(2.0)), "20.0 hours (600 sessions of 2.0 minutes)");
    }
}
