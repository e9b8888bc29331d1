//! Handing the lanes of a run out to workers, and taking in what they measured.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::environment::Environment;
use edgemaxx_contract::fleet::{Fleet, Kept};
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::plan::Plan;
use edgemaxx_contract::run_files::{
    ARTEFACTS_FOLDER, ENVIRONMENT_FILE, FLEET_FILE, KEPT_FOLDER, TELEMETRY_FILE,
};
use edgemaxx_contract::telemetry::TelemetryLog;
use edgemaxx_files::write_whole;
use edgemaxx_fleet::{Bundle, Content, FleetError, Host, Lease, Queue, Received, Seen, Signed, Work};
use edgemaxx_measure::Summary;
use edgemaxx_quality::{Artefact, Judge};

use super::inputs::{Store, Stored, gather};
use super::lane::{Lane, Verdict};
use super::roster::{Roster, of_kind, unlike};
use crate::error::{Class, InFile as _, Result, RunError};
use crate::folder::RunFolder;
use crate::progress::{Observer, Progress};
use crate::stage::measure::{Options, measured};
use crate::task::kit;

/// How long a turn waits for what comes.
const TURN: Duration = Duration::from_millis(100);

/// How often a worker is told what it was told before: the server may have lost it.
const AGAIN: Duration = Duration::from_secs(15);

/// So many workers, one after the other, lost at the same place of a lane are not what is wrong.
const MOST_LOST: usize = 3;

/// Most entries of what is kept and does not count: nobody fills the disk with them.
const MOST_KEPT: usize = 1000;

/// How long after the last moment for a session lanes without a worker are waited for, seconds.
const GRACE_S: u64 = 600;

/// On which terms lanes are handed out.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// A worker that was not heard of for so long has lost its lane as soon as another can take it.
    pub lease: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self { lease: Duration::from_secs(60) }
    }
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
    let (inputs, mut store) = gather(folder, &plan)?;
    let text = inputs.to_json().into_bytes();
    let inputs = Content::of(&text);
    store.insert(inputs, Stored::Bytes(text));
    let (publish, wanted) = channel::<(Content, Stored)>();
    let mut run =
        Coordinator::open(folder, &plan, queue, terms, options, observer, (inputs, store), publish)?;
    std::thread::scope(|scope| {
        // What a worker lacks may be gigabytes: nothing waits for it here.
        scope.spawn(move || {
            for (content, stored) in wanted {
                // Whoever still lacks it says so again.
                let _ = stored.open().map(|mut reader| queue.publish_from(&mut *reader, content));
            }
        });
        let result = run.run();
        drop(run);
        result
    })?;
    measured(folder, &plan)
}

struct Coordinator<'a> {
    folder: &'a RunFolder,
    plan: &'a Plan,
    digest: Digest,
    queue: &'a Queue,
    terms: Terms,
    options: Options<'a>,
    observer: &'a dyn Observer,
    progress: Box<dyn Progress>,
    judge: Box<dyn Judge>,
    state: Fleet,
    lanes: Vec<Lane>,
    roster: Roster,
    inputs: Content,
    store: Store,
    publish: Sender<(Content, Stored)>,
    /// What was published when.
    published: BTreeMap<Content, Instant>,
    /// What each worker was told when.
    told: BTreeMap<String, (Lease, Instant)>,
    /// Since when workers can be heard without a break.
    begun: Instant,
    /// What the server said last that was no answer.
    trouble: Option<String>,
    waiting: BTreeSet<u32>,
    /// The workers that a lane cost in a row at the same number of sessions.
    lost: BTreeMap<u32, Vec<(String, u32)>>,
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
        publish: Sender<(Content, Stored)>,
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
        progress.skip(lanes.iter().map(Lane::pairs).sum());
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
            judge,
            state,
            lanes,
            roster: Roster::default(),
            inputs,
            store,
            publish,
            published: BTreeMap::new(),
            told: BTreeMap::new(),
            begun: Instant::now(),
            trouble: None,
            waiting: BTreeSet::new(),
            lost: BTreeMap::new(),
        })
    }

    fn run(&mut self) -> Result<()> {
        let interrupt = self.observer.interrupt();
        self.save()?;
        if let Err(error) = self.queue.prepare() {
            self.trouble(&error);
        }
        // Those who said how they are before this began.
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
                    RunError::Fleet(error) => {
                        self.trouble(&error);
                        std::thread::sleep(TURN);
                        // The server may have come back without its store.
                        let _ = self.queue.prepare();
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

    fn turn(&mut self) -> Result<()> {
        for (worker, bytes) in self.queue.hear(Duration::ZERO)? {
            self.hear(&worker, &bytes);
        }
        let mut wait = TURN;
        for _ in 0..100 {
            let Some(received) = self.queue.next_result(&self.digest, wait)? else { break };
            self.take(&received)?;
            wait = Duration::ZERO;
        }
        self.hand_out()?;
        self.send_wanted();
        self.tell()
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
            Err(error) if self.roster.is_news(worker) => {
                self.progress.line(&format!("worker {worker}: {error}; it is not heard"));
            }
            Err(_) => {}
        }
    }

    fn save(&self) -> Result<()> {
        self.folder.write_document(FLEET_FILE, &self.state)
    }

    /// The machine and the program that all lanes must be measured with: those of a lane that was begun.
    fn like(&self) -> (Option<Environment>, Option<Digest>) {
        let begun = || self.lanes.iter().zip(&self.state.lanes).filter(|(lane, _)| lane.head().is_some());
        let environment = begun().find_map(|(lane, _)| lane.folder.document(ENVIRONMENT_FILE).ok());
        if environment.is_some() {
            return (environment, begun().find_map(|(_, lane)| lane.program));
        }
        // Nobody has sent anything yet: those of a worker that is about to.
        let holders = self.state.lanes.iter().filter_map(|lane| lane.worker.as_deref());
        let mut there = holders.filter(|worker| self.lost_by_itself(worker).is_none());
        let host = there.find_map(|worker| self.roster.of(worker));
        (host.map(|host| of_kind(&host.environment, self.plan.device.kind)), host.map(|host| host.program))
    }

    /// Whether a worker measures, or is to measure, a lane that is not done.
    fn holds(&self, worker: &str) -> bool {
        self.state.lanes.iter().any(|lane| !lane.done && lane.worker.as_deref() == Some(worker))
    }

    /// A worker that can take a lane, other than `but`.
    fn free(&mut self, but: Option<&str>) -> Option<String> {
        let (like, program) = self.like();
        let mut refused = Vec::new();
        let mut found = None;
        for (worker, host) in self.roster.all() {
            let idle =
                host.doing.as_ref().is_none_or(|doing| doing.plan == self.digest && doing.failure.is_none());
            if !idle
                || but == Some(worker)
                || self.holds(worker)
                || self.roster.is_barred(worker)
                || self.roster.silence(worker, self.begun) > self.terms.lease
            {
                continue;
            }
            match unlike(host, &self.plan.device, like.as_ref(), program) {
                Some(why) => refused.push((worker.to_owned(), host.name.clone(), why)),
                None => {
                    found = Some(worker.to_owned());
                    break;
                }
            }
        }
        for (worker, name, why) in refused {
            if self.roster.is_news(&worker) {
                self.progress.line(&format!("worker {name} is refused: {why}"));
            }
        }
        found
    }

    /// Gives each lane that has no worker one, where one is there.
    fn hand_out(&mut self) -> Result<()> {
        for number in 0..self.plan.lanes {
            let lane = &self.state.lanes[number as usize];
            if lane.done {
                continue;
            }
            let holder = lane.worker.clone();
            let why = match holder.as_deref() {
                None => None,
                Some(worker) => match self.lost(worker, number) {
                    Some(why) => Some(why),
                    None => {
                        self.waiting.remove(&number);
                        continue;
                    }
                },
            };
            let lost_all = why.as_ref().is_some_and(|lost| lost.spool);
            let but = holder.as_deref().filter(|_| !lost_all);
            let Some(worker) = self
                .free(but)
                .or_else(|| holder.clone().filter(|holder| lost_all && !self.roster.is_barred(holder)))
            else {
                if self.waiting.insert(number) {
                    let why = why.map_or_else(|| "no worker is free".to_owned(), |lost| lost.why);
                    self.progress.line(&format!("lane {number} waits for a worker: {why}"));
                }
                self.give_up_in_time(number)?;
                continue;
            };
            self.waiting.remove(&number);
            if let Some(lost) = why {
                self.mark_lost(number)?;
                self.put_away(number, &lost.why)?;
            }
            let host = self.roster.of(&worker);
            let lane = &mut self.state.lanes[number as usize];
            lane.attempt += 1;
            lane.name = host.map(|host| host.name.clone());
            lane.program = host.map(|host| host.program);
            lane.worker = Some(worker);
            let (attempt, name) = (lane.attempt, lane.name.clone().unwrap_or_default());
            // Known to everybody who may begin again, before anybody measures by it.
            self.save()?;
            self.progress.line(&format!("lane {number} goes to {name}, attempt {attempt}"));
        }
        Ok(())
    }

    /// Whether, and why, a worker has lost its lane.
    fn lost(&self, worker: &str, number: u32) -> Option<Lost> {
        if let Some(why) = self.lost_by_itself(worker) {
            return Some(Lost { why, spool: false });
        }
        let doing = self.roster.of(worker)?.doing.as_ref()?;
        let attempt = self.state.lanes[number as usize].attempt;
        let own = (doing.plan, doing.lane, doing.attempt) == (self.digest, number, attempt);
        let failed = doing.failure.as_ref().filter(|failed| own && failed.here_only)?;
        Some(Lost { why: format!("its worker cannot go on: {}", failed.why), spool: failed.lost })
    }

    /// Why a worker can hold no lane, whatever it does.
    fn lost_by_itself(&self, worker: &str) -> Option<String> {
        if self.roster.is_barred(worker) {
            return Some("what its worker said is not so".to_owned());
        }
        let silent = self.roster.silence(worker, self.begun) > self.terms.lease;
        silent.then(|| format!("its worker was not heard of for {} s", self.terms.lease.as_secs()))
    }

    /// Ends a run that costs one worker after the other at the same place.
    fn mark_lost(&mut self, number: u32) -> Result<()> {
        let worker = self.state.lanes[number as usize].worker.clone().unwrap_or_default();
        if self.roster.is_barred(&worker) {
            return Ok(());
        }
        let doing = self.roster.of(&worker).and_then(|host| host.doing.as_ref());
        let sessions = doing.filter(|doing| doing.lane == number).map_or(0, |doing| doing.sessions);
        let lost = self.lost.entry(number).or_default();
        if lost.first().is_some_and(|(_, place)| *place != sessions) {
            lost.clear();
        }
        if !lost.iter().any(|(other, _)| *other == worker) {
            lost.push((worker, sessions));
        }
        if lost.len() < MOST_LOST {
            return Ok(());
        }
        let planned = self.lanes[number as usize].plan.sessions.get(sessions as usize);
        Err(RunError::of(
            Class::Environment,
            format!(
                "lane {number}: {MOST_LOST} workers were lost after session {sessions} of it; what is measured next, candidate {:?} before all, may end the machines that it is measured on",
                planned.map_or("none", |planned| planned.candidate.as_str())
            ),
        ))
    }

    /// Ends a run whose time is over, and whose lane nobody can take.
    fn give_up_in_time(&self, number: u32) -> Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        match self.options.deadline {
            Some(deadline) if now > deadline + GRACE_S => Err(RunError::of(
                Class::Environment,
                format!("lane {number} has no worker, and the time for measuring is over"),
            )),
            _ => Ok(()),
        }
    }

    /// Keeps what was measured of a lane beside the run, where it counts for nothing.
    fn put_away(&mut self, number: u32, why: &str) -> Result<()> {
        let own = &self.state.lanes[number as usize];
        let (attempt, worker) = (own.attempt, own.worker.clone().unwrap_or_default());
        let file = format!("{KEPT_FOLDER}/lane-{number}-attempt-{attempt}");
        let lane = &mut self.lanes[number as usize];
        let begun = lane.head().is_some();
        if begun {
            let target = self.folder.file(&file);
            fs::create_dir_all(&target).in_file(&target)?;
            // The log last: while it is there, the lane is that attempt's.
            for name in [TELEMETRY_FILE, ENVIRONMENT_FILE, edgemaxx_contract::run_files::SAMPLES_FILE] {
                let path = lane.folder.file(name);
                if path.exists() {
                    fs::rename(&path, target.join(name)).in_file(&path)?;
                }
            }
            lane.forget();
        }
        self.keep(Kept { lane: number, attempt, worker, why: why.to_owned(), file: begun.then_some(file) })
    }

    fn keep(&mut self, kept: Kept) -> Result<()> {
        if self.state.kept.len() < MOST_KEPT && !self.state.kept.contains(&kept) {
            self.progress.line(&format!(
                "lane {}, attempt {}: kept and not counted: {}",
                kept.lane, kept.attempt, kept.why
            ));
            self.state.kept.push(kept);
            self.save()?;
        }
        Ok(())
    }

    /// Takes in what a worker sent.
    fn take(&mut self, received: &Received) -> Result<()> {
        match Signed::open::<Bundle>(&received.bytes, Some(&received.worker)) {
            Ok((bundle, _)) if bundle.plan == self.digest && (bundle.lane as usize) < self.lanes.len() => {
                match self.take_bundle(&received.worker, &bundle) {
                    // It is sent again, and so is what it names.
                    Err(RunError::Fleet(FleetError::Absent(_))) => {}
                    Err(RunError::Fleet(FleetError::Content { named, found })) => {
                        let why = FleetError::Content { named, found }.to_string();
                        self.refuse(&received.worker, &bundle, why, None)?;
                    }
                    other => other?,
                }
            }
            Ok(_) => {}
            Err(error) if self.roster.is_news(&received.worker) => {
                self.progress.line(&format!("worker {}: {error}; it is not counted", received.worker));
            }
            Err(_) => {}
        }
        Ok(self.queue.settle(received)?)
    }

    fn take_bundle(&mut self, worker: &str, bundle: &Bundle) -> Result<()> {
        // Who was refused once measures nothing of this run any more, whoever else is there.
        if self.roster.is_barred(worker) {
            return Ok(());
        }
        let own = &self.state.lanes[bundle.lane as usize];
        if own.worker.as_deref() != Some(worker) || own.attempt != bundle.attempt {
            return self.keep_late(worker, bundle);
        }
        if own.done {
            return Ok(());
        }
        let lines = self.text(worker, bundle.lines)?;
        match self.lanes[bundle.lane as usize].judge(bundle, &lines) {
            Verdict::Repeated | Verdict::Ahead => Ok(()),
            Verdict::False(why) => self.refuse(worker, bundle, why, Some(&lines)),
            Verdict::Extend { pairs, answers } => {
                let environment = self.text(worker, bundle.environment)?;
                if let Some(why) = self.misplaced(worker, bundle.lane, &environment) {
                    return self.refuse(worker, bundle, why, Some(&lines));
                }
                let telemetry = match bundle.telemetry.filter(|_| bundle.last) {
                    None => None,
                    Some(content) => Some(self.text(worker, content)?),
                };
                let lane_plan = self.lanes[bundle.lane as usize].plan.digest();
                if let Some(Err(error)) = telemetry.as_ref().map(|text| TelemetryLog::parse(text, lane_plan))
                {
                    return self.refuse(worker, bundle, format!("telemetry: {error}"), Some(&lines));
                }
                if let Some(why) = self.fetch_answers(worker, bundle, &answers)? {
                    return self.refuse(worker, bundle, why, Some(&lines));
                }
                let lane = &mut self.lanes[bundle.lane as usize];
                fs::create_dir_all(lane.folder.path()).in_file(lane.folder.path())?;
                lane.folder.write(ENVIRONMENT_FILE, &environment)?;
                if let Some(telemetry) = telemetry {
                    lane.folder.write(TELEMETRY_FILE, telemetry)?;
                }
                lane.extend(bundle, &lines)?;
                self.progress.advance(pairs);
                if bundle.last {
                    self.state.lanes[bundle.lane as usize].done = true;
                    self.save()?;
                    self.progress.line(&format!("lane {} is done", bundle.lane));
                }
                Ok(())
            }
        }
    }

    fn text(&self, worker: &str, content: Content) -> Result<String> {
        let bytes = self.queue.fetch(Some(worker), content)?;
        String::from_utf8(bytes)
            .map_err(|_| FleetError::Content { named: content.digest, found: Digest::of("") }.into())
    }

    /// Why a lane was not measured where its worker said that it is.
    fn misplaced(&self, worker: &str, lane: u32, text: &str) -> Option<String> {
        let environment = match Environment::from_json(text) {
            Ok(environment) => environment,
            Err(error) => return Some(format!("{ENVIRONMENT_FILE}: {error}")),
        };
        let claimed = self.roster.of(worker).map(|host| of_kind(&host.environment, self.plan.device.kind));
        if let Some((what, said, found)) = claimed.and_then(|claimed| claimed.other_machine(&environment)) {
            return Some(format!("it said that its {what} is {said}, and measured on {found}"));
        }
        let others = self.lanes.iter().filter(|other| other.number != lane && other.head().is_some());
        let others = others.filter_map(|other| other.folder.document::<Environment>(ENVIRONMENT_FILE).ok());
        let difference = others.filter_map(|other| other.difference(&environment)).next();
        difference.map(|(what, there, here)| {
            format!("measured with another {what} ({here}) than other lanes ({there})")
        })
    }

    /// Fetches the answers that lines name and the run does not hold; why they are none.
    fn fetch_answers(
        &self,
        worker: &str,
        bundle: &Bundle,
        named: &BTreeSet<Digest>,
    ) -> Result<Option<String>> {
        let folder = self.folder.file(ARTEFACTS_FOLDER);
        fs::create_dir_all(&folder).in_file(&folder)?;
        for answer in named {
            let path = self.folder.artefact(self.plan.task, answer);
            if path.exists() {
                continue;
            }
            let Some(sent) = bundle.answers.iter().find(|sent| sent.answer == *answer) else {
                return Ok(Some(format!(
                    "its lines name the answer {}, which it did not send",
                    answer.short()
                )));
            };
            let bytes = self.queue.fetch(Some(worker), sent.file)?;
            let part = folder.join(format!(".{answer}.{}", self.plan.task.extension()));
            write_whole(&part, &bytes).in_file(&part)?;
            if let Err(error) = self.judge.read(&Artefact { path: part.clone(), digest: *answer }) {
                let _ = fs::remove_file(&part);
                return Ok(Some(error.to_string()));
            }
            fs::rename(&part, &path).in_file(&path)?;
        }
        Ok(None)
    }

    /// Of a worker that has lost the lane: kept, named, never pooled.
    fn keep_late(&mut self, worker: &str, bundle: &Bundle) -> Result<()> {
        let own = &self.state.lanes[bundle.lane as usize];
        let why = format!("it came of attempt {}, when attempt {} counted", bundle.attempt, own.attempt);
        let lines = self.text(worker, bundle.lines).ok();
        self.keep_lines(worker, bundle, why, lines.as_deref())
    }

    /// Of a worker whose words are not so: it measures nothing more of this run.
    fn refuse(&mut self, worker: &str, bundle: &Bundle, why: String, lines: Option<&str>) -> Result<()> {
        self.roster.bar(worker);
        self.keep_lines(worker, bundle, format!("refused: {why}"), lines)
    }

    fn keep_lines(&mut self, worker: &str, bundle: &Bundle, why: String, lines: Option<&str>) -> Result<()> {
        let mut file = None;
        if let Some(lines) = lines.filter(|lines| !lines.is_empty() && self.state.kept.len() < MOST_KEPT) {
            let (lane, attempt, digest) = (bundle.lane, bundle.attempt, bundle.lines.digest.short());
            let name = format!("{KEPT_FOLDER}/lane-{lane}-attempt-{attempt}-{digest}.jsonl");
            let folder = self.folder.file(KEPT_FOLDER);
            fs::create_dir_all(&folder).in_file(&folder)?;
            self.folder.write(&name, lines)?;
            file = Some(name);
        }
        self.keep(Kept { lane: bundle.lane, attempt: bundle.attempt, worker: worker.to_owned(), why, file })
    }

    /// Has published what workers lack.
    fn send_wanted(&mut self) {
        let lack = |host: &Host| host.doing.as_ref().map_or_else(Vec::new, |doing| doing.wants.clone());
        let wanted: BTreeSet<Content> = self.roster.all().flat_map(|(_, host)| lack(host)).collect();
        for content in wanted {
            if self.published.get(&content).is_some_and(|at| at.elapsed() < AGAIN) {
                continue;
            }
            let log = || self.lanes.iter().find(|lane| Content::of(lane.text().as_bytes()) == content);
            let stored = self.store.get(&content).cloned();
            if let Some(stored) = stored.or_else(|| log().map(|lane| Stored::Bytes(lane.text().into()))) {
                self.published.insert(content, Instant::now());
                let _ = self.publish.send((content, stored));
            }
        }
    }

    /// What a worker is to do.
    fn work(&self, worker: &str) -> Option<Work> {
        let (number, own) = (0..)
            .zip(&self.state.lanes)
            .find(|(_, lane)| !lane.done && lane.worker.as_deref() == Some(worker))?;
        let together = self.plan.measurement.stopping.is_adaptive();
        let others =
            self.lanes.iter().filter(|lane| together && lane.number != number && lane.head().is_some());
        let seen = others.map(|lane| Seen { lane: lane.number, log: Content::of(lane.text().as_bytes()) });
        Some(Work {
            plan: self.digest,
            lane: number,
            attempt: own.attempt,
            inputs: self.inputs,
            accepted: self.lanes[number as usize].head(),
            seen: seen.collect(),
            deadline: self.options.deadline,
            no_telemetry: self.options.no_telemetry,
            allow_unfit: self.options.allow_unfit,
            lock_clocks: self.options.lock_clocks,
        })
    }

    /// Tells each worker what is wanted of it, where that changed, or was said so long ago.
    fn tell(&mut self) -> Result<()> {
        let workers: Vec<(String, bool)> = self
            .roster
            .all()
            .filter_map(|(worker, host)| {
                let other = host.doing.as_ref().is_some_and(|doing| doing.plan != self.digest);
                let ours = self.holds(worker) || host.doing.is_some() || self.told.contains_key(worker);
                // Another contest's worker is left alone.
                (ours && !other).then(|| (worker.to_owned(), host.doing.is_some()))
            })
            .collect();
        for (worker, busy) in workers {
            self.cannot_go_on(&worker)?;
            let work = self.work(&worker);
            let lease = Lease { format: Lease::expected_format(), worker: worker.clone(), work, done: None };
            let told = self.told.get(&worker);
            if lease.work.is_none() && !busy && told.is_some_and(|(told, _)| *told == lease) {
                continue;
            }
            if told.is_some_and(|(told, at)| *told == lease && at.elapsed() < AGAIN) {
                continue;
            }
            self.queue.lease(&worker, &lease)?;
            self.told.insert(worker, (lease, Instant::now()));
        }
        Ok(())
    }

    /// Ends the run where a worker says that no other would do better.
    fn cannot_go_on(&self, worker: &str) -> Result<()> {
        let Some(doing) = self.roster.of(worker).and_then(|host| host.doing.as_ref()) else { return Ok(()) };
        let own = self.state.lanes.get(doing.lane as usize);
        let own = own
            .filter(|own| own.worker.as_deref() == Some(worker) && own.attempt == doing.attempt && !own.done);
        match doing.failure.as_ref().filter(|failed| own.is_some() && !failed.here_only) {
            Some(failed) => Err(RunError::of(Class::Engine, format!("lane {}: {}", doing.lane, failed.why))),
            None => Ok(()),
        }
    }

    /// Tells all who measured for this run that it is done with them.
    fn release(&mut self) {
        let holders = self.state.lanes.iter().filter_map(|lane| lane.worker.clone());
        let ours = self
            .roster
            .all()
            .filter(|(_, host)| host.doing.as_ref().is_some_and(|doing| doing.plan == self.digest));
        let workers: BTreeSet<String> = ours.map(|(worker, _)| worker.to_owned()).chain(holders).collect();
        for worker in workers {
            let done = Some(self.digest);
            let lease = Lease { format: Lease::expected_format(), worker: worker.clone(), work: None, done };
            // Who is not told, or not there, puts it away when it has grown old.
            let _ = self.queue.lease(&worker, &lease);
        }
    }
}

/// Why a worker has lost its lane.
struct Lost {
    why: String,
    /// What it measured is gone from its disk: it may begin anew itself.
    spool: bool,
}
