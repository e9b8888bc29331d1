//! Who needs no further session, as `measure` asks for it: the race's rules on what the log holds, and
//! the moment at which all time is over.

mod lanes;
mod replay;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use edgemaxx_analyze::elimination::SessionSpeed;
use edgemaxx_analyze::sources::session_from_log;
use edgemaxx_analyze::{FactorRange, Race, ScoreRange};
use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::plan::{Plan, PlannedSession, Role, Side};
use edgemaxx_contract::quality::QualityRecord;
use edgemaxx_contract::sample::{LaunchOutcome, Log, Outcome, Record, RecordedSession, Stop};
use edgemaxx_quality::{Judge, records};

use self::lanes::{Layers, Next};
pub(crate) use self::replay::check;
use crate::error::Result;
use crate::folder::RunFolder;
use crate::stage::quality::{Models, answer_pairs};

/// How often a lane looks whether the others are as far as it is.
const LOOK: Duration = Duration::from_millis(250);

/// Why everybody leaves at the deadline.
const TIME_OVER: &str = "the time for measuring was over";

/// Ends candidates that are known well enough, where the plan asks for it; and everybody at the deadline.
pub(crate) struct Stops {
    deadline: Option<SystemTime>,
    interrupt: Arc<AtomicBool>,
    race: Option<Watched>,
    /// The other lanes of the run, where there are any.
    layers: Option<Layers>,
}

/// A race and what was seen of it.
struct Watched {
    race: Race,
    judged: Judged,
    /// Records of the log that were read.
    read: usize,
    runners: BTreeMap<String, Runner>,
}

/// How the answers of a session are judged.
enum Judged {
    /// Now, as they lie in the run.
    Now(RunFolder, Box<dyn Judge>),
    /// They were, session by session.
    Before(BTreeMap<u32, Vec<QualityRecord>>),
}

/// What is known of a candidate: of sessions that ended, so that an interrupted measurement decides
/// what an uninterrupted one does.
struct Runner {
    control: bool,
    /// Log ratios by session.
    means: Vec<f64>,
    /// The same with both sides' latencies apart.
    speeds: Vec<SessionSpeed>,
    records: Vec<QualityRecord>,
    factor: FactorRange,
    /// Why it needs no further session.
    out: Option<String>,
    failed: bool,
    /// Its stop was wished for: once is enough.
    left: bool,
}

impl Stops {
    /// The rule of a plan, or of a lane's; what it waits for it waits for no longer when `interrupt` is set.
    ///
    /// # Errors
    /// A model that judges answers cannot be loaded.
    pub(crate) fn of(
        folder: &RunFolder,
        plan: &Plan,
        contest: &Contest,
        deadline: Option<SystemTime>,
        interrupt: Arc<AtomicBool>,
    ) -> Result<Self> {
        let whole = match folder.within() {
            Some((run, lane)) => Some((run.plan()?, run, lane)),
            None => None,
        };
        let race = match Race::of(contest, whole.as_ref().map_or(plan, |(plan, ..)| plan)) {
            Some(race) => {
                let judge = Models::of(folder, contest, Models::default())?.judge(contest.task)?;
                Some(Watched::of(race, Judged::Now(folder.clone(), judge)))
            }
            None => None,
        };
        let layers = whole.map(|(plan, run, lane)| Layers::of(&run, &plan, lane));
        Ok(Self { deadline, interrupt, race, layers })
    }
}

impl edgemaxx_measure::StopRule for Stops {
    fn after_session(&mut self, plan: &Plan, log: &Log) -> Vec<Stop> {
        let mut stops = Vec::new();
        loop {
            if self.deadline.is_some_and(|deadline| SystemTime::now() >= deadline) {
                let all = plan.candidates().iter();
                return all.map(|c| wish(&c.name, TIME_OVER.to_owned())).collect();
            }
            let Some(watched) = &mut self.race else { return Vec::new() };
            let Some(layers) = &mut self.layers else {
                watched.look(plan, log);
                return watched.leave();
            };
            match layers.next(plan, log) {
                Next::Begin => return stops,
                Next::Wait if self.interrupt.load(Ordering::Relaxed) => return stops,
                Next::Wait => std::thread::sleep(LOOK),
                Next::Decide(sessions) => {
                    for (plan, planned, recorded) in sessions {
                        watched.take(plan, planned, &recorded);
                    }
                    stops.extend(watched.leave());
                }
            }
        }
    }
}

/// A stop as the rule wishes it; how far the candidate came is the log's to say.
fn wish(candidate: &str, reason: String) -> Stop {
    Stop { candidate: candidate.to_owned(), after_sessions: 0, reason, sessions_saved: 0, beaten_by: None }
}

impl Judged {
    /// Of a session that ended. Answers that cannot be judged now end nobody; the quality stage will say what is wrong.
    fn records(
        &self,
        plan: &Plan,
        planned: &PlannedSession,
        recorded: &RecordedSession<'_>,
    ) -> Vec<QualityRecord> {
        match self {
            Self::Now(folder, judge) => {
                let pairs = answer_pairs(folder, plan, planned, recorded);
                records(&**judge, &pairs, &[], &|| {}).unwrap_or_default()
            }
            Self::Before(sessions) => sessions.get(&planned.index).cloned().unwrap_or_default(),
        }
    }
}

impl Watched {
    fn of(race: Race, judged: Judged) -> Self {
        Self { race, judged, read: 0, runners: BTreeMap::new() }
    }

    /// Takes in the sessions that ended since the last look, in their order.
    fn look(&mut self, plan: &Plan, log: &Log) {
        let new = &log.records[self.read.min(log.records.len())..];
        self.read = log.records.len();
        let ended: Vec<u32> = new
            .iter()
            .filter_map(|record| match record {
                Record::Session(end) => Some(end.session),
                _ => None,
            })
            .collect();
        for index in ended {
            self.take(plan, &plan.sessions[index as usize], &log.session(index));
        }
    }

    fn take(&mut self, plan: &Plan, planned: &PlannedSession, recorded: &RecordedSession<'_>) {
        let judged = self.judged.records(plan, planned, recorded);
        let control = plan.pipeline(&planned.candidate).is_some_and(|p| p.role == Role::Control);
        let runner = self.runners.entry(planned.candidate.clone()).or_insert_with(|| Runner {
            control,
            means: Vec::new(),
            speeds: Vec::new(),
            records: Vec::new(),
            factor: FactorRange::UNKNOWN,
            out: None,
            failed: false,
            left: false,
        });
        if has_failed(recorded) {
            runner.failed = true;
            runner.out.get_or_insert_with(|| "it failed, so it will not be ranked".to_owned());
        }
        if let Some(session) = session_from_log(planned, recorded) {
            runner.means.push(session.mean());
            runner.speeds.push(session.speed());
        }
        runner.records.extend(judged);
        let records: Vec<&QualityRecord> = runner.records.iter().collect();
        runner.factor = self.race.factor(&records);
        // In a block the control is needed for the others' sake, however well it is known.
        if !(control && plan.is_shared()) {
            runner.out = runner.out.take().or_else(|| self.race.alone(&runner.means, &records));
        }
    }

    /// Who leaves now. The control stays as long as its own interval is wanted.
    fn leave(&mut self) -> Vec<Stop> {
        let runners: Vec<_> =
            self.runners.values().map(|runner| (runner.speeds.as_slice(), runner.factor)).collect();
        let scores: BTreeMap<String, ScoreRange> =
            self.runners.keys().cloned().zip(self.race.scores(&runners)).collect();
        let racing = self.runners.iter().filter(|(_, runner)| !runner.control && !runner.failed);
        let best = racing
            .map(|(name, _)| (name.clone(), scores[name].low))
            .fold((String::new(), 0.0), |best, other| if other.1 > best.1 { other } else { best });
        let mut stops = Vec::new();
        for (name, runner) in self.runners.iter_mut().filter(|(_, runner)| !runner.left) {
            let beaten = || !runner.control && self.race.is_beaten(name, scores[name], best.1);
            if let Some(reason) = runner.out.clone() {
                stops.push(wish(name, reason));
            } else if beaten() {
                let stop = wish(name, format!("its score is surely below that of {}", best.0));
                stops.push(Stop { beaten_by: Some(best.0.clone()), ..stop });
            } else {
                continue;
            }
            runner.left = true;
        }
        stops
    }
}

/// Whether the candidate's process failed anything: it will not be ranked.
fn has_failed(recorded: &RecordedSession<'_>) -> bool {
    let launch = recorded.launches.iter();
    let mut launch = launch.filter(|launch| launch.side == Side::Candidate);
    let attempt = recorded.attempts.iter();
    let mut attempt = attempt.filter(|attempt| attempt.side == Side::Candidate);
    launch.any(|launch| matches!(launch.outcome, LaunchOutcome::Failed(_)))
        || attempt.any(|attempt| matches!(attempt.outcome, Outcome::Failed(_)))
}

#[cfg(test)]
mod tests;
