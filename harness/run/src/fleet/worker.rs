//! A worker: one card of one host, which measures the lanes that it is given.

use std::fs::{self, File, TryLockError};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::format::Document as _;
use edgemaxx_devices::cpu::free_bytes;
use edgemaxx_fleet::{Host, Lease, Queue, Signed};

use super::roster::own_claim;
use super::spool::forget_old;
use super::task::{Means, Task};
use crate::error::{InFile as _, Result, RunError};
use crate::progress::Observer;

/// How often a worker says how it is.
const BEAT: Duration = Duration::from_secs(2);

/// How often it asks what is wanted of it, beside being told.
const ASK: Duration = Duration::from_secs(15);

/// How long a turn waits for what comes.
const TURN: Duration = Duration::from_millis(100);

/// What a worker is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What its operator calls it.
    pub name: String,
    /// Folder of all that it keeps: what it has measured and not handed over, and what it measures with.
    pub spool: PathBuf,
    /// The card, as `edgemaxx doctor` numbers it; `None`: the only one.
    pub device: Option<u32>,
    /// Processors that measuring keeps to; empty: all.
    pub cores: Vec<u32>,
    /// Bytes of what it measures with that it keeps at most; what a lane under way needs is not removed.
    pub cache_bytes: u64,
    /// The coordinator's public key; `None`: whoever the server lets hand out lanes.
    pub coordinator: Option<String>,
}

/// Measures the lanes that come, until it is interrupted.
///
/// # Errors
/// Another worker has the spool, or it must be said which card is meant; once it works, nothing ends it but an interrupt.
pub fn work(queue: &Arc<Queue>, settings: &Settings, observer: &dyn Observer) -> Result<()> {
    fs::create_dir_all(&settings.spool).in_file(&settings.spool)?;
    let path = settings.spool.join("lock");
    let lock = File::options().create(true).append(true).open(&path).in_file(&path)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(RunError::input(format!(
                "{}: another worker has this spool; each needs one of its own",
                settings.spool.display()
            )));
        }
        Err(TryLockError::Error(error)) => return Err(error).in_file(&path),
    }
    forget_old(&settings.spool);
    let (environment, program) = own_claim(settings.device)?;
    let means = Means {
        spool: settings.spool.clone(),
        device: settings.device,
        cores: settings.cores.clone(),
        cache_bytes: settings.cache_bytes,
    };
    let mut worker = Worker {
        queue,
        settings,
        means,
        observer,
        host: Host {
            format: Host::expected_format(),
            name: settings.name.clone(),
            environment,
            program,
            free_bytes: 0,
            doing: None,
        },
        task: None,
        said: None,
        asked: None,
        trouble: None,
    };
    let interrupt = observer.interrupt();
    while !interrupt.load(Ordering::Relaxed) {
        worker.turn();
    }
    // The child ends with it, and both go on with --resume when they are started again.
    Ok(())
}

struct Worker<'a> {
    queue: &'a Arc<Queue>,
    settings: &'a Settings,
    means: Means,
    observer: &'a dyn Observer,
    host: Host,
    task: Option<Task>,
    said: Option<(Instant, String)>,
    asked: Option<Instant>,
    /// What went wrong last, until it is heard again.
    trouble: Option<String>,
}

impl Worker<'_> {
    /// Nothing of a turn ends the worker: what fails is said once, and tried again.
    fn turn(&mut self) {
        if let Err(error) = self.hear().and_then(|()| self.advance()).and_then(|()| self.say()) {
            let words = error.words();
            if self.trouble.as_ref() != Some(&words) {
                self.observer.note(&format!("{words}; trying again"));
                self.trouble = Some(words);
            }
            std::thread::sleep(TURN);
        }
    }

    /// Learns what is wanted of it.
    fn hear(&mut self) -> Result<()> {
        let mut leases = self.queue.hear_leases(TURN)?;
        if self.asked.is_none_or(|at| at.elapsed() >= ASK) && leases.is_empty() {
            // The coordinator makes the place where it says so.
            leases.extend(self.queue.leased(&self.queue.key().name()).unwrap_or_default());
            self.asked = Some(Instant::now());
        }
        let Some(bytes) = leases.pop() else { return Ok(()) };
        let (lease, _) = Signed::open::<Lease>(&bytes, self.settings.coordinator.as_deref())?;
        if lease.worker != self.queue.key().name() {
            return Ok(());
        }
        match (&mut self.task, lease.work) {
            (Some(task), Some(work)) if task.is_of(&work) => task.work = work,
            (_, work) => {
                self.part();
                if let Some(work) = work {
                    self.observer.note(&format!(
                        "lane {} of plan {}, attempt {}",
                        work.lane,
                        work.plan.short(),
                        work.attempt
                    ));
                    self.task = Some(Task::begin(work, &self.means, self.queue));
                }
            }
        }
        if let Some(plan) = lease.done {
            self.clear(&plan);
        }
        Ok(())
    }

    fn part(&mut self) {
        if let Some(mut task) = self.task.take() {
            task.part(self.queue);
            self.observer.note("done with it");
        }
    }

    fn advance(&mut self) -> Result<()> {
        match &mut self.task {
            Some(task) => task.advance(self.queue),
            None => Ok(()),
        }
    }

    /// Says how it is: so often, and at once when that changes.
    fn say(&mut self) -> Result<()> {
        let news =
            format!("{:?}", self.task.as_ref().map(|task| (task.work.lane, task.work.attempt, task.news())));
        if self.said.as_ref().is_some_and(|(at, before)| at.elapsed() < BEAT && *before == news) {
            return Ok(());
        }
        self.host.free_bytes = free_bytes(&self.settings.spool).unwrap_or(0);
        self.host.doing = self.task.as_ref().map(Task::doing);
        // A server that is away is asked again no sooner than otherwise.
        self.said = Some((Instant::now(), news));
        self.queue.say(&self.host)?;
        self.trouble = None;
        Ok(())
    }

    /// Removes what it holds of a run that is done with it.
    fn clear(&self, plan: &Digest) {
        let lanes = self.settings.spool.join("lanes");
        for entry in fs::read_dir(&lanes).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&plan.short()) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}
