//! A worker: one card of one host, which measures the lanes that it is given.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::shown_text::{line, shorten};
use edgemaxx_devices::cpu::free_bytes;
use edgemaxx_fleet::limits::WHY_LETTERS;
use edgemaxx_fleet::{Host, Lease, Queue, Signed, Work};

use super::assignment::{Assignment, Means};
use super::roster::{BEAT, this_host};
use super::spool::forget_old;
use crate::error::{InFile as _, Result, RunError};
use crate::progress::Observer;

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
    let (environment, program) = this_host(settings.device)?;
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
        assignment: None,
        said: None,
        asked: None,
        trouble: None,
        strange: false,
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
    assignment: Option<Assignment>,
    said: Option<(Instant, String)>,
    asked: Option<Instant>,
    /// What went wrong last, until it is heard again.
    trouble: Option<String>,
    /// Whether it was said that there are leases that are not for it.
    strange: bool,
}

/// What some messages say.
#[derive(Debug, PartialEq)]
struct Heard {
    /// What is wanted, as it was said last; `None`: nobody said anything of it.
    wanted: Option<Option<Work>>,
    /// Plans of runs that are done with this worker.
    done: BTreeSet<Digest>,
    /// What was wrong with one that is not the coordinator's word to this worker: others can have a server write here.
    strange: Option<String>,
}

impl Heard {
    /// What is meant for `worker` and signed by the coordinator, where it is named. Nothing else hides that.
    fn of(messages: &[Vec<u8>], worker: &str, coordinator: Option<&str>) -> Self {
        let mut heard = Self { wanted: None, done: BTreeSet::new(), strange: None };
        for bytes in messages {
            match Signed::open::<Lease>(bytes, coordinator) {
                Ok((lease, _)) if lease.worker == worker => {
                    heard.done.extend(lease.done);
                    heard.wanted = Some(lease.work);
                }
                Ok((lease, _)) => heard.strange = Some(format!("it is for {}", lease.worker)),
                Err(error) => heard.strange = Some(error.to_string()),
            }
        }
        heard
    }
}

impl Worker<'_> {
    /// Nothing of a turn ends the worker, nor keeps it from the rest of the turn: what fails is said once, and tried again.
    fn turn(&mut self) {
        let failed = [self.hear(), self.advance()].into_iter().find_map(Result::err);
        let said = self.say();
        let heard = matches!(said, Ok(true));
        match failed.or(said.err()) {
            Some(error) => {
                let words = error.words();
                if self.trouble.as_ref() != Some(&words) {
                    self.observer.note(&format!("{words}; trying again"));
                    self.trouble = Some(words);
                }
                std::thread::sleep(TURN);
            }
            None if heard => self.trouble = None,
            None => {}
        }
    }

    /// Learns what is wanted of it.
    fn hear(&mut self) -> Result<()> {
        let mut messages = self.queue.hear_leases(TURN)?;
        if self.asked.is_none_or(|at| at.elapsed() >= ASK) {
            // The coordinator makes the place where it says so. What the server holds is the latest of it.
            messages.extend(self.queue.leased(&self.queue.key().name()).unwrap_or_default());
            self.asked = Some(Instant::now());
        }
        let heard = Heard::of(&messages, &self.queue.key().name(), self.settings.coordinator.as_deref());
        if let Some(why) = heard.strange.filter(|_| !self.strange) {
            self.strange = true;
            let why = shorten(&line(&why), WHY_LETTERS);
            self.observer.note(&format!("a lease that is not for this worker: {why}; none such is heard"));
        }
        match (&mut self.assignment, heard.wanted) {
            (_, None) => {}
            (Some(assignment), Some(Some(work))) if assignment.is_of(&work) => assignment.work = work,
            (_, Some(work)) => {
                self.part();
                if let Some(work) = work {
                    self.observer.note(&format!(
                        "lane {} of plan {}, attempt {}",
                        work.lane,
                        work.plan.short(),
                        work.attempt
                    ));
                    self.assignment = Some(Assignment::begin(work, &self.means, self.queue));
                }
            }
        }
        let current = self.assignment.as_ref().map(|assignment| assignment.work.plan);
        heard.done.iter().filter(|plan| current != Some(**plan)).for_each(|plan| self.clear(plan));
        Ok(())
    }

    fn part(&mut self) {
        if let Some(mut assignment) = self.assignment.take() {
            assignment.part(self.queue);
            self.observer.note("done with it");
        }
    }

    fn advance(&mut self) -> Result<()> {
        match &mut self.assignment {
            Some(assignment) => assignment.advance(self.queue),
            None => Ok(()),
        }
    }

    /// Says how it is, so often, and at once when that changes: whether it did.
    fn say(&mut self) -> Result<bool> {
        let own = self.assignment.as_ref();
        let news = format!("{:?}", own.map(|own| (own.work.lane, own.work.attempt, own.news())));
        if self.said.as_ref().is_some_and(|(at, before)| at.elapsed() < BEAT && *before == news) {
            return Ok(false);
        }
        self.host.free_bytes = free_bytes(&self.settings.spool).unwrap_or(0);
        self.host.doing = self.assignment.as_ref().map(Assignment::doing);
        // A server that is away is asked again no sooner than otherwise.
        self.said = Some((Instant::now(), news));
        self.queue.say(&self.host)?;
        Ok(true)
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

#[cfg(test)]
mod tests {
    use edgemaxx_fleet::{Content, Key};

    use super::*;

    #[test]
    fn what_is_not_for_a_worker_hides_nothing_that_is() {
        let folder = tempfile::tempdir().unwrap();
        let key = |name: &str| Key::create(&folder.path().join(name)).unwrap();
        let (coordinator, stolen) = (key("coordinator"), key("stolen"));
        let work = |attempt: u32| Work {
            plan: Digest::of("plan"),
            lane: 0,
            attempt,
            inputs: Content::of(b"inputs"),
            accepted: None,
            seen: Vec::new(),
            deadline: None,
            no_telemetry: false,
            allow_unfit: false,
            lock_clocks: false,
        };
        let lease = |worker: &str, work: Option<Work>, done: Option<&str>, by: &Key| {
            let (worker, done) = (worker.to_owned(), done.map(Digest::of));
            let lease = Lease { format: Lease::expected_format(), worker, work, done };
            Signed::of(&lease, by).unwrap().to_bytes()
        };
        let hear = |messages: &[Vec<u8>]| Heard::of(messages, "own", Some(&coordinator.name()));
        let strange = [
            lease("other", None, Some("plan"), &coordinator),
            lease("own", None, Some("plan"), &stolen),
            b"bytes that a server was made to write".to_vec(),
        ];
        // Before it, after it, and in between: the last word that is the coordinator's counts.
        let first = lease("own", Some(work(1)), Some("before"), &coordinator);
        let second = lease("own", Some(work(2)), None, &coordinator);
        let all =
            [&strange[..], std::slice::from_ref(&first), &strange[..], &[second], &strange[..]].concat();
        let heard = hear(&all);
        assert_eq!(heard.wanted, Some(Some(work(2))));
        assert_eq!(heard.done, [Digest::of("before")].into());
        assert!(heard.strange.unwrap().contains("no message"));
        for one in &strange {
            let heard = hear(&[first.clone(), one.clone()]);
            assert!(heard.wanted == Some(Some(work(1))) && heard.strange.is_some());
            assert_eq!(heard.done, [Digest::of("before")].into());
        }
        // Nothing at all is not the word that nothing is wanted.
        assert_eq!(hear(&strange).wanted, None);
        assert_eq!(hear(&[lease("own", None, None, &coordinator)]).wanted, Some(None));
    }
}
