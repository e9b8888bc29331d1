//! The host that runs a contest: in turns it hears its workers, takes in what they measured (`take_in`), and hands lanes
//! out (`hand_out`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, TryLockError};
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::fleet::Fleet;
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::plan::Plan;
use edgemaxx_contract::run_files::FLEET_FILE;
use edgemaxx_fleet::{Claim, Claimant, Content, FleetError, Host, Lease, Queue, Room, Signed};
use edgemaxx_measure::Summary;
use edgemaxx_quality::Judge;

use super::bounds::Bounds;
use super::hopeless::Hopeless;
use super::inputs::{Store, Stored, gather};
use super::lane::{Lane, Shown};
use super::publisher::{Publisher, publisher};
use super::roster::{News, Roster};
use crate::error::{Class, InFile as _, Result, RunError};
use crate::folder::RunFolder;
use crate::progress::{Observer, Progress};
use crate::stage::measure::{Options, measured};
use crate::task::kit;

/// How long a turn waits for what comes.
const TURN: Duration = Duration::from_millis(100);

/// How long results are taken in before workers are heard and told again.
const MOST_TAKING: Duration = Duration::from_secs(5);

/// On which terms lanes are handed out.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// A worker that was not heard of for so long has lost its lane as soon as another can take it.
    pub lease: Duration,
}

/// Has the workers of a fleet measure what is left of a run.
///
/// # Errors
/// The run cannot be measured elsewhere, a worker says that it cannot be measured at all, the disk is full, or it was
/// interrupted; what was accepted is kept, and workers go on.
pub fn measure_fleet(
    folder: &RunFolder,
    queue: &Queue,
    terms: Terms,
    options: Options<'_>,
    observer: &dyn Observer,
) -> Result<Summary> {
    let plan = folder.plan()?;
    folder.contest(&plan)?;
    let _lock = lock(folder)?;
    let (inputs, mut store) = gather(folder, &plan)?;
    let text = inputs.to_json().into_bytes();
    let inputs = Content::of(&text);
    store.insert(inputs, Stored::Bytes(text));
    let (publisher, publishing) = publisher();
    let claimant = Claimant::new(queue, own_claim(plan.digest()));
    let parts = (publisher, &claimant);
    let mut run = Coordinator::open(folder, &plan, queue, terms, options, observer, (inputs, store), parts)?;
    std::thread::scope(|scope| {
        // What a worker lacks may be gigabytes: nothing waits for it here.
        scope.spawn(move || publishing.run(|content, reader| queue.publish_from(reader, content)));
        // Nor does the place at the server wait for what is taken in.
        let (end, ended) = channel();
        let kept = &claimant;
        scope.spawn(move || kept.keep(&ended));
        let result = run.run();
        drop((run, end));
        // However the run ended. Who is not told waits until this one has been silent for long enough.
        let _ = claimant.end();
        result
    })?;
    measured(folder, &plan)
}

/// What this process says to claim a server for a run.
fn own_claim(plan: Digest) -> Claim {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Claim {
        format: Claim::expected_format(),
        plan: Some(plan),
        host: host.trim().to_owned(),
        process: std::process::id(),
        began_unix_ns: now.as_nanos() as u64,
    }
}

/// Holds the run for this process: two that hand out its lanes would each write what they take in.
fn lock(folder: &RunFolder) -> Result<File> {
    let lock = File::open(folder.path()).in_file(folder.path())?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(RunError::of(
            Class::Environment,
            format!(
                "{}: another process hands its lanes out; wait for it, or end it",
                folder.path().display()
            ),
        )),
        Err(TryLockError::Error(error)) => Err(error).in_file(folder.path()),
    }
}

/// A run whose lanes are measured elsewhere, and all that is known of it.
pub(super) struct Coordinator<'a> {
    pub(super) folder: &'a RunFolder,
    pub(super) plan: &'a Plan,
    pub(super) digest: Digest,
    pub(super) queue: &'a Queue,
    pub(super) terms: Terms,
    pub(super) options: Options<'a>,
    observer: &'a dyn Observer,
    pub(super) progress: Box<dyn Progress>,
    pub(super) shown: Shown,
    pub(super) judge: Box<dyn Judge>,
    pub(super) state: Fleet,
    pub(super) lanes: Vec<Lane>,
    pub(super) roster: Roster,
    pub(super) bounds: Bounds,
    pub(super) inputs: Content,
    pub(super) store: Store,
    publisher: Publisher,
    /// What the server is to hold of it.
    room: Room,
    claimant: &'a Claimant<'a>,
    /// What each worker was told when.
    pub(super) told: BTreeMap<String, (Lease, Instant)>,
    /// Since when workers can be heard without a break.
    pub(super) begun: Instant,
    /// What the server said last that was no answer.
    trouble: Option<String>,
    pub(super) waiting: BTreeSet<u32>,
    pub(super) hopeless: Hopeless,
    /// The losses of a lane in a row at the same number of sessions.
    pub(super) lost: BTreeMap<u32, Vec<(String, u32)>>,
}

impl<'a> Coordinator<'a> {
    #[allow(clippy::too_many_arguments, reason = "made in one place")]
    fn open(
        folder: &'a RunFolder,
        plan: &'a Plan,
        queue: &'a Queue,
        terms: Terms,
        options: Options<'a>,
        observer: &'a dyn Observer,
        (inputs, store): (Content, Store),
        (publisher, claimant): (Publisher, &'a Claimant<'a>),
    ) -> Result<Self> {
        let digest = plan.digest();
        let state = match folder.holds(FLEET_FILE) {
            true => folder.document(FLEET_FILE)?,
            false => Fleet::of(digest, plan.lanes),
        };
        if state.plan != digest || state.lanes.len() != plan.lanes as usize {
            return Err(folder.stale(FLEET_FILE, "plan"));
        }
        let lanes: Vec<Lane> =
            (0..plan.lanes).map(|number| Lane::open(folder, plan, number)).collect::<Result<_>>()?;
        // What was measured here goes on here.
        if let Some(lane) =
            lanes.iter().find(|lane| lane.head().is_some() && state.lanes[lane.number as usize].attempt == 0)
        {
            return Err(RunError::input(format!(
                "{}: measured on this host and not by a worker; go on without --fleet",
                lane.folder.path().display()
            )));
        }
        let pairs = plan.sessions.iter().map(|session| session.pairs.len() as u64).sum();
        let mut progress = observer.begin("measure", pairs);
        let mut shown = Shown::default();
        progress.skip(shown.more(&lanes));
        let judge =
            kit(plan.task)?.judge(&BTreeMap::new()).map_err(|error| RunError::input(error.to_string()))?;
        Ok(Self {
            folder,
            plan,
            digest,
            queue,
            terms,
            options,
            observer,
            progress,
            shown,
            judge,
            state,
            lanes,
            roster: Roster::default(),
            bounds: Bounds::of(plan)?,
            inputs,
            room: Room::of(plan.lanes, store.keys()),
            store,
            publisher,
            claimant,
            told: BTreeMap::new(),
            begun: Instant::now(),
            trouble: None,
            waiting: BTreeSet::new(),
            hopeless: Hopeless::default(),
            lost: BTreeMap::new(),
        })
    }

    fn run(&mut self) -> Result<()> {
        let interrupt = self.observer.interrupt();
        self.save()?;
        match self.prepare() {
            Err(error @ FleetError::Claimed(_)) => return Err(error.into()),
            Err(error) => self.trouble(&error),
            Ok(()) => {}
        }
        // Those who said how they are before this began.
        let _ = self.queue.hear_hosts();
        for (worker, bytes, ago) in self.queue.hosts().unwrap_or_default() {
            if ago <= self.terms.lease.as_secs() {
                self.hear(&worker, &bytes);
            }
        }
        while !self.state.lanes.iter().all(|lane| lane.done) {
            if interrupt.load(Ordering::Relaxed) {
                return Err(RunError::of(
                    Class::Interrupted,
                    format!(
                        "interrupted; workers go on with their lanes, take them in with `{}`",
                        self.options.resume
                    ),
                ));
            }
            if let Err(error) = self.turn() {
                match error {
                    RunError::Fleet(error @ FleetError::Claimed(_)) => return Err(error.into()),
                    RunError::Fleet(error) => {
                        self.trouble(&error);
                        std::thread::sleep(TURN);
                        // The server may have come back without its store.
                        let _ = self.prepare();
                    }
                    error => return Err(error),
                }
            } else if self.trouble.take().is_some() {
                // Nobody could be heard meanwhile: nobody was silent.
                self.begun = Instant::now();
                self.progress.line("the server answers again");
            }
        }
        self.release();
        Ok(())
    }

    /// Makes what the server lacks, and bounds it for this run once the server is this run's.
    fn prepare(&self) -> edgemaxx_fleet::Result<()> {
        self.queue.make_missing(self.room)?;
        self.claimant.hold()?;
        self.queue.prepare(self.room)
    }

    fn turn(&mut self) -> Result<()> {
        self.claimant.hold()?;
        let mut wait = TURN;
        let began = Instant::now();
        while began.elapsed() < MOST_TAKING {
            let Some(received) = self.queue.next_result(wait)? else { break };
            self.take(&received)?;
            wait = Duration::ZERO;
        }
        for (worker, bytes) in self.queue.hear_hosts()? {
            self.hear(&worker, &bytes);
        }
        self.look_for_silent()?;
        // Whoever was replaced while this took its time hands nothing out.
        self.claimant.hold()?;
        self.hand_out()?;
        self.send_wanted();
        self.tell()
    }

    /// Asks the server for the last word of who seems to be silent: what was said meanwhile may not have been heard, for
    /// something long was taken in, or somebody else says too much.
    fn look_for_silent(&mut self) -> Result<()> {
        let holders = self.state.lanes.iter().filter(|lane| !lane.done);
        let holders: BTreeSet<String> = holders.filter_map(|lane| lane.worker.clone()).collect();
        for worker in holders {
            if !self.roster.seems_silent(&worker, self.begun, self.terms.lease)
                || !self.roster.is_to_look(&worker)
            {
                continue;
            }
            // A server lets others write here by way of replies: what does not open is no sign of life.
            let said = self.queue.host(&worker)?;
            let said = said.filter(|(bytes, _)| Signed::open::<Host>(bytes, Some(&worker)).is_ok());
            let number = said.as_ref().map(|(_, number)| *number);
            if self.roster.looked(&worker, number, Instant::now())
                && let Some((bytes, _)) = said
            {
                self.hear(&worker, &bytes);
            }
        }
        Ok(())
    }

    fn trouble(&mut self, error: &FleetError) {
        let words = error.to_string();
        if self.trouble.is_none() {
            self.progress.line(&format!("{words}; workers go on meanwhile"));
        }
        self.trouble = Some(words);
    }

    /// A worker says how it is.
    fn hear(&mut self, worker: &str, bytes: &[u8]) {
        match Signed::open::<Host>(bytes, Some(worker)) {
            Ok((host, _)) => self.roster.hear(worker, host, Instant::now()),
            // A server lets others write here by way of replies: what does not open is nobody's.
            Err(error) if self.roster.is_news(News::Unheard, worker) => {
                self.progress.line(&format!("worker {worker}: {error}; it is not heard"));
            }
            Err(_) => {}
        }
    }

    pub(super) fn save(&self) -> Result<()> {
        self.folder.write_document(FLEET_FILE, &self.state)
    }

    /// Has published what workers lack.
    fn send_wanted(&self) {
        for words in self.publisher.failures() {
            self.progress.line(&format!("what workers lack cannot be sent: {words}; trying again"));
        }
        let lack = |host: &Host| host.doing.as_ref().map_or_else(Vec::new, |doing| doing.wants.clone());
        let wanted: BTreeSet<Content> = self.roster.all().flat_map(|(_, host)| lack(host)).collect();
        for content in wanted {
            self.publisher.wish(content, || {
                let log = || self.lanes.iter().find(|lane| lane.content() == content);
                let stored = self.store.get(&content).cloned();
                stored.or_else(|| log().map(|lane| Stored::Bytes(lane.text().into())))
            });
        }
    }
}
