//! One lane on a worker: what it needs is fetched, a child process of this very program measures it, and what is new of
//! its log is sent until the coordinator has it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use edgemaxx_contract::plan::Plan;
use edgemaxx_contract::run_files::{ENVIRONMENT_FILE, SAMPLES_FILE, TELEMETRY_FILE};
use edgemaxx_contract::shown_text::shorten;
use edgemaxx_fleet::limits::{TELEMETRY_BYTES, WHY_LETTERS};
use edgemaxx_fleet::{Content, Doing, Failed, Queue, Work};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::fetch::{mirrored, ready};
use super::lane::of_run;
use super::tail::{Tail, Upto};
use super::upload::{Beside, Parcel, Piece, Sent};
use crate::child_failure::{FAILURE_VARIABLE, Failure};
use crate::error::{Class, InFile as _, Result, RunError};
use crate::folder::RunFolder;

/// How long until what the coordinator did not accept is sent again.
const RESEND: Duration = Duration::from_secs(15);

/// Waits between attempts at what a lane needs, or at measuring it.
const FIRST_REST: Duration = Duration::from_millis(500);
const LONGEST_REST: Duration = Duration::from_secs(30);

/// How long until it is looked again whether what was asked for was published.
const LOOK: Duration = Duration::from_secs(1);

/// So often in a row, without a line more, a lane fails here.
const MOST_FAILURES: u32 = 4;

/// Most content that is asked for at once.
const MOST_WANTS: usize = 64;

/// Where a child writes down how it failed, in the folder of the assignment.
const FAILURE_FILE: &str = ".failure.json";

/// How a worker measures.
#[derive(Debug, Clone)]
pub(super) struct Means {
    /// Folder of all that it keeps.
    pub(super) spool: PathBuf,
    /// The card, where it is named.
    pub(super) device: Option<u32>,
    /// Processors that measuring keeps to; empty: all.
    pub(super) cores: Vec<u32>,
    /// Bytes of content that it keeps at most.
    pub(super) cache_bytes: u64,
}

/// What is being done about a lane.
enum Stage {
    /// What it needs is fetched; the folder of its run, when all is there, and nothing while some of it is to be published.
    Fetching(Beside<Option<RunFolder>>),
    /// A child measures it.
    Measuring(Child),
    /// Until then, nothing.
    Resting(Instant),
    /// Nothing is left to be measured.
    Measured,
    /// It cannot go on, however long one waits.
    Stuck,
}

/// A lane on this worker.
pub(super) struct Assignment {
    pub(super) work: Work,
    means: Means,
    place: PathBuf,
    stage: Stage,
    /// The lane's folder and its plan, when they are there.
    lane: Option<(RunFolder, RunFolder, Plan)>,
    tail: Tail,
    wants: Arc<Mutex<BTreeSet<Content>>>,
    /// What is on its way to the coordinator.
    sending: Option<Beside<Sent>>,
    /// What was sent last.
    sent: Option<Sent>,
    failures: u32,
    failure: Option<Failed>,
    began: (Instant, u32),
    /// The other lanes' logs as they were fetched, and as they are being fetched.
    mirrored: BTreeMap<u32, Content>,
    mirroring: Option<Beside<BTreeMap<u32, Content>>>,
}

/// The folder of a lane and attempt below a worker's spool.
pub(super) fn place_of(spool: &Path, work: &Work) -> PathBuf {
    spool.join("lanes").join(format!("{}-{}-{}", work.plan.short(), work.lane, work.attempt))
}

impl Assignment {
    /// Begins with a lane, or goes on with it where this worker left off.
    pub(super) fn begin(work: Work, means: &Means, queue: &Arc<Queue>) -> Self {
        let mut assignment = Self::new(work, means);
        assignment.fetch(queue);
        assignment
    }

    fn new(work: Work, means: &Means) -> Self {
        let place = place_of(&means.spool, &work);
        Self {
            work,
            means: means.clone(),
            place,
            stage: Stage::Stuck,
            lane: None,
            tail: Tail::default(),
            wants: Arc::default(),
            sending: None,
            sent: None,
            failures: 0,
            failure: None,
            began: (Instant::now(), 0),
            mirrored: BTreeMap::new(),
            mirroring: None,
        }
    }

    /// Whether a lease is of this lane and attempt.
    pub(super) fn is_of(&self, work: &Work) -> bool {
        (work.plan, work.lane, work.attempt) == (self.work.plan, self.work.lane, self.work.attempt)
    }

    /// Fetches what is missing, beside everything else.
    fn fetch(&mut self, queue: &Arc<Queue>) {
        let (queue, wants) = (queue.clone(), self.wants.clone());
        let (means, place, inputs) = (self.means.clone(), self.place.clone(), self.work.inputs);
        self.stage = Stage::Fetching(Beside::begin(move || {
            ready(&queue, (&means.spool, means.cache_bytes), &place, inputs, &wants)
        }));
    }

    /// How far it is, for everybody to see.
    pub(super) fn doing(&self) -> Doing {
        let (since, pairs_then) = self.began;
        let pairs = self.tail.pairs();
        let minutes = since.elapsed().as_secs_f64() / 60.0;
        let wants = self.wants.lock().unwrap_or_else(PoisonError::into_inner);
        Doing {
            plan: self.work.plan,
            lane: self.work.lane,
            attempt: self.work.attempt,
            sessions: self.tail.sessions(),
            pairs,
            pairs_per_minute: f64::from(pairs.saturating_sub(pairs_then)) / minutes.max(1e-3),
            spool_bytes: self.tail.bytes_after(self.work.accepted),
            wants: wants.iter().take(MOST_WANTS).copied().collect(),
            failure: self.failure.clone(),
        }
    }

    /// What is said at once when it changes.
    pub(super) fn news(&self) -> (Option<Failed>, usize, u8) {
        let wants = self.wants.lock().unwrap_or_else(PoisonError::into_inner);
        let stage = match self.stage {
            Stage::Fetching(_) => 0,
            Stage::Measuring(_) | Stage::Resting(_) => 1,
            Stage::Measured | Stage::Stuck => 2,
        };
        (self.failure.clone(), wants.len(), stage)
    }

    /// Does what is next; never waits.
    pub(super) fn advance(&mut self, queue: &Arc<Queue>) -> Result<()> {
        match &mut self.stage {
            Stage::Fetching(fetching) => match fetching.look() {
                None => return Ok(()),
                Some(found) => self.fetched(found),
            },
            Stage::Measuring(child) => {
                if let Some(status) = child.try_wait().in_file(&self.place)? {
                    let told = Failure::told_at(&self.place.join(FAILURE_FILE));
                    self.read()?;
                    match (status.success(), told) {
                        (true, _) => self.stage = Stage::Measured,
                        (false, Some(failure)) => self.fail(&RunError::of(failure.class, failure.message)),
                        (false, None) => {
                            let why = format!("the process that measures ended with {status}");
                            self.fail(&RunError::of(Class::Environment, why));
                        }
                    }
                }
            }
            Stage::Resting(until) if Instant::now() >= *until => {
                if self.lane.is_some() {
                    self.measure();
                } else {
                    self.fetch(queue);
                }
            }
            Stage::Resting(_) | Stage::Measured | Stage::Stuck => {}
        }
        self.mirror(queue)?;
        self.send(queue, false)
    }

    /// What came of fetching.
    fn fetched(&mut self, found: Result<Option<RunFolder>>) {
        let stood = match found {
            // However long publishing takes, no other worker would have it sooner.
            Ok(None) => return self.stage = Stage::Resting(Instant::now() + LOOK),
            Ok(Some(run)) => self.stand(run),
            Err(error) => Err(error),
        };
        if let Err(error) = stood {
            self.fail(&error);
        }
    }

    /// It goes on after all: whatever failed before does not count any more.
    fn goes_on(&mut self) {
        (self.failures, self.failure) = (0, None);
    }

    /// Reads what has come to the log.
    fn read(&mut self) -> Result<()> {
        let Some((_, folder, plan)) = &self.lane else { return Ok(()) };
        let before = self.tail.bytes_after(None);
        self.tail.update(&folder.file(SAMPLES_FILE), plan)?;
        if self.tail.bytes_after(None) > before && matches!(self.stage, Stage::Measuring(_)) {
            self.goes_on();
        }
        Ok(())
    }

    /// All is there: measuring begins.
    fn stand(&mut self, run: RunFolder) -> Result<()> {
        let plan = run.plan()?;
        if plan.digest() != self.work.plan || self.work.lane >= plan.lanes {
            return Err(RunError::input("the plan that came is not the one of the lease"));
        }
        let folder = of_run(&run, &plan, self.work.lane)?;
        fs::create_dir_all(folder.path()).in_file(folder.path())?;
        let own = plan.of_lane(self.work.lane);
        self.tail.update(&folder.file(SAMPLES_FILE), &own)?;
        self.lane = Some((run, folder, own));
        if self.tail.after(self.work.accepted, Upto::All).is_none() {
            self.stuck("what the run holds of the lane is not on its disk any more", true, true);
            return Ok(());
        }
        self.goes_on();
        self.measure();
        Ok(())
    }

    /// Has a child measure what is left.
    fn measure(&mut self) {
        if let Err(error) = self.launch() {
            // This machine's fault, whatever it is: another may do better.
            self.fail(&RunError::of(Class::Environment, error.words()));
        }
    }

    fn launch(&mut self) -> Result<()> {
        let Some((run, _, _)) = &self.lane else { return Ok(()) };
        let program = std::env::current_exe().in_file(Path::new("this program"))?;
        let mut command = Command::new(program);
        command.arg("measure").arg(run.path()).arg("--resume");
        command.args(["--parent", &std::process::id().to_string()]);
        if run.plan()?.lanes > 1 {
            command.args(["--lane", &self.work.lane.to_string()]);
        }
        if !self.means.cores.is_empty() {
            let cores: Vec<String> = self.means.cores.iter().map(u32::to_string).collect();
            command.args(["--cores", &cores.join(",")]);
        }
        if let Some(device) = self.means.device {
            command.args(["--device", &device.to_string()]);
        }
        for (flag, wanted) in [
            ("--no-telemetry", self.work.no_telemetry),
            ("--allow-unfit", self.work.allow_unfit),
            ("--lock-clocks", self.work.lock_clocks),
        ] {
            command.args(wanted.then_some(flag));
        }
        if let Some(deadline) = self.work.deadline {
            command.args(["--deadline", &deadline.to_string()]);
        }
        let failure = self.place.join(FAILURE_FILE);
        Failure::expect_at(&failure);
        command.env(FAILURE_VARIABLE, failure);
        let log = self.place.join("measure.log");
        let said = File::options().create(true).append(true).open(&log).in_file(&log)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
        self.began = (Instant::now(), self.tail.pairs());
        self.stage = Stage::Measuring(command.spawn().in_file(&self.place)?);
        Ok(())
    }

    /// Something went wrong: it is tried again, and said when that is of no use.
    fn fail(&mut self, error: &RunError) {
        self.failures += 1;
        let words = error.words();
        match error.class() {
            // No other worker would do better.
            Class::Engine | Class::Input | Class::No if self.lane.is_some() => {
                return self.stuck(&words, false, false);
            }
            _ if self.failures >= MOST_FAILURES => {
                self.failure =
                    Some(Failed { here_only: true, lost: false, why: shorten(&words, WHY_LETTERS) });
            }
            _ => {}
        }
        let rest = FIRST_REST.saturating_mul(1 << self.failures.min(8)).min(LONGEST_REST);
        self.stage = Stage::Resting(Instant::now() + rest);
    }

    fn stuck(&mut self, why: &str, here_only: bool, lost: bool) {
        self.failure = Some(Failed { here_only, lost, why: shorten(why, WHY_LETTERS) });
        self.stage = Stage::Stuck;
    }

    /// Keeps the other lanes' logs where the stop rule looks for them.
    fn mirror(&mut self, queue: &Arc<Queue>) -> Result<()> {
        let Some((run, _, _)) = &self.lane else { return Ok(()) };
        if let Some(mirroring) = &self.mirroring {
            let Some(mirrored) = mirroring.look() else { return Ok(()) };
            self.mirroring = None;
            self.mirrored.extend(mirrored?);
        }
        let seen: Vec<(u32, Content)> = self.work.seen.iter().map(|seen| (seen.lane, seen.log)).collect();
        let missing = seen.iter().filter(|(lane, log)| self.mirrored.get(lane) != Some(log));
        let missing: Vec<(u32, Content)> = missing.copied().collect();
        if !missing.is_empty() {
            let (queue, run, wants) = (queue.clone(), run.clone(), self.wants.clone());
            self.mirroring = Some(Beside::begin(move || mirrored(&queue, &run, &missing, &wants)));
        }
        Ok(())
    }

    /// Sends what is new, unless it is on its way.
    fn send(&mut self, queue: &Arc<Queue>, parting: bool) -> Result<()> {
        self.read()?;
        let Some((_, folder, plan)) = &self.lane else { return Ok(()) };
        if let Some(sending) = self.sending.as_ref().filter(|_| !parting) {
            let Some(sent) = sending.look() else { return Ok(()) };
            self.sending = None;
            self.sent = Some(sent?);
        }
        let measured = matches!(self.stage, Stage::Measured);
        let upto = match (measured || parting, plan.measurement.stopping.is_adaptive()) {
            (true, _) => Upto::All,
            (false, true) => Upto::Sessions,
            (false, false) => Upto::Rounds,
        };
        let Some((lines, Some(head))) = self.tail.after(self.work.accepted, upto) else {
            return Ok(());
        };
        if lines.is_empty() && !measured {
            return Ok(());
        }
        let mut sent_answers = BTreeMap::new();
        if let Some(sent) = &self.sent {
            let again = sent.at.elapsed() >= RESEND;
            // One after the other.
            if !again && (self.work.accepted != Some(sent.head) || sent.last) {
                return Ok(());
            }
            // Where it is sent again, the server may have lost what was sent before.
            if !again {
                sent_answers.clone_from(&sent.answers);
            }
        }
        let piece = Piece::of(lines, head, folder, plan)?;
        let last = measured && piece.whole;
        let telemetry = match last && folder.holds(TELEMETRY_FILE) {
            true => Some(folder.read(TELEMETRY_FILE)?.into_owned()),
            false => None,
        };
        let parcel = Parcel {
            work: self.work.clone(),
            piece,
            environment: folder.read(ENVIRONMENT_FILE)?.into_owned(),
            telemetry: telemetry.filter(|text| text.len() as u64 <= TELEMETRY_BYTES),
            last,
            sent_answers,
        };
        self.sending = Some(parcel.send(queue.clone()));
        Ok(())
    }

    /// The lane is another's, or done: measuring ends, and what is new of it is sent, unless what was sent last waits to be
    /// accepted.
    pub(super) fn part(&mut self, queue: &Arc<Queue>) {
        if let Stage::Measuring(child) = &mut self.stage {
            end(child);
            self.stage = Stage::Stuck;
        }
        // Nothing is owed to a lane that another measures: where it cannot be said, it is not.
        let _ = self.send(queue, true);
    }
}

/// Asks a child to end, as its own user would, and waits.
fn end(child: &mut Child) {
    let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
    let _ = child.wait();
}

/// However this worker ends, what measures for it does.
impl Drop for Assignment {
    fn drop(&mut self) {
        if let Stage::Measuring(child) = &mut self.stage {
            end(child);
        }
    }
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::sample::{Chain, Header, Log, Record};

    use super::*;

    fn assignment(spool: &Path, plan: &Plan) -> Assignment {
        let work = Work {
            plan: plan.digest(),
            lane: 0,
            attempt: 1,
            inputs: Content::of(b"inputs"),
            accepted: None,
            seen: Vec::new(),
            deadline: None,
            no_telemetry: true,
            allow_unfit: true,
            lock_clocks: false,
        };
        let means = Means { spool: spool.to_owned(), device: None, cores: Vec::new(), cache_bytes: 1 << 30 };
        Assignment::new(work, &means)
    }

    /// A child that measures nothing, and ends when it is asked to.
    fn measures() -> Stage {
        Stage::Measuring(Command::new("sleep").arg("3600").spawn().unwrap())
    }

    #[test]
    fn who_waits_for_what_is_published_does_not_fail_and_who_goes_on_has_not_failed() {
        let (kept, run) = crate::example::run();
        let plan = run.plan().unwrap();
        let mut assignment = assignment(&kept.path().join("spool"), &plan);
        for _ in 0..5 {
            assignment.fetched(Ok(None));
            assert!(matches!(assignment.stage, Stage::Resting(_)) && assignment.failure.is_none());
        }
        let away = || RunError::of(Class::Environment, "the hub is away");
        let fails = |assignment: &mut Assignment| {
            for number in 1..=MOST_FAILURES {
                assignment.fetched(Err(away()));
                assert_eq!(assignment.failure.is_some(), number == MOST_FAILURES, "{number}");
            }
        };
        fails(&mut assignment);
        // There is no folder of the lane's process, so it cannot be launched: one failure, after none.
        assignment.fetched(Ok(Some(run.clone())));
        assert!(matches!(assignment.stage, Stage::Resting(_)) && assignment.lane.is_some());
        assert_eq!((assignment.failures, assignment.failure.clone()), (1, None));
        for _ in 1..MOST_FAILURES {
            assignment.measure();
        }
        assert!(assignment.failure.as_ref().unwrap().here_only, "another worker may do better");
        assert!(matches!(assignment.stage, Stage::Resting(until) if until > Instant::now()), "it rests");
        // It measures: a line more.
        assignment.stage = measures();
        assignment.read().unwrap();
        assert!(assignment.failure.is_some(), "nothing has come of it yet");
        let (_, folder, _) = assignment.lane.as_ref().unwrap();
        let header = Header { format: Log::format(), plan: plan.digest(), started_unix_ms: 0 };
        let line = Chain::default().append(Record::Header(header));
        fs::write(folder.file(SAMPLES_FILE), line).unwrap();
        assignment.read().unwrap();
        assert_eq!((assignment.failures, assignment.failure.clone()), (0, None));
    }
}
