//! Contests in a child process: this very program's `run`, so that what crashes there ends nothing here.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use edgemaxx_contract::run_files::{FLEET_FILE, LANES_FOLDER, PLAN_FILE, REPORT_FILE, SAMPLES_FILE};
use edgemaxx_files::write_whole;
use edgemaxx_validator::world::{Bench, BenchState, BenchTrouble, Job};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::child_failure::{FAILURE_VARIABLE, Failure};
use crate::error::Class;
use crate::follow::Follower;
use crate::progress::Observer;
use crate::public::without_paths;

/// For an engine to finish the request in flight when it is asked to end.
const GRACE: Duration = Duration::from_secs(180);

/// Where contests are measured.
#[derive(Debug, Clone, Default)]
pub struct Means {
    /// The card that engines see, where one is named.
    pub device: Option<u32>,
    /// How many lanes a new day has; `None`: one.
    pub lanes: Option<u32>,
    /// Words of `edgemaxx run` that have a fleet's workers measure; none: this machine does.
    pub fleet: Vec<OsString>,
}

/// Runs contests in a child process.
pub struct ChildBench<'a> {
    /// Folder that contests' paths are relative to.
    base: PathBuf,
    /// Where the children's words go.
    data: PathBuf,
    means: Means,
    observer: &'a dyn Observer,
    child: Option<Child>,
    /// How far it is.
    follower: Follower,
}

impl<'a> ChildBench<'a> {
    /// Runs contests whose paths are relative to `base`, and keeps what they say in `data`.
    pub fn new(base: &Path, data: &Path, means: Means, observer: &'a dyn Observer) -> Self {
        let (base, data) = (base.to_owned(), data.to_owned());
        Self { base, data, means, observer, child: None, follower: Follower::default() }
    }

    /// Where the child writes down how it failed.
    fn failure(&self, job: &Job) -> PathBuf {
        self.data.join(format!("{}.failure.json", job.day))
    }

    fn begin(&mut self, job: &Job) -> std::io::Result<Child> {
        let contest = self.data.join(format!("contest-{}.toml", job.day));
        write_whole(&contest, job.contest.as_bytes())?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("run").arg(&contest).arg("--base").arg(&self.base).arg("--out").arg(&job.folder);
        // A validator that is killed leaves nothing behind that measures.
        command.args(["--parent", &std::process::id().to_string()]);
        // Whatever was lost meanwhile, the day is to end in time.
        command.args(["--deadline", &job.deadline.max(0).to_string()]);
        // What was begun on this machine goes on here.
        if !self.means.fleet.is_empty() && !is_begun_here(&job.folder) {
            command.args(&self.means.fleet);
        }
        if let Some(device) = self.means.device {
            command.args(["--device", &device.to_string()]);
        }
        if job.folder.join(PLAN_FILE).is_file() {
            command.arg("--resume");
        } else {
            if let Some(lanes) = self.means.lanes {
                command.args(["--lanes", &lanes.to_string()]);
            }
            // Without a plan nothing was measured.
            if job.folder.exists() {
                std::fs::remove_dir_all(&job.folder)?;
            }
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
            let minutes = ((job.deadline - now) / 60).max(1);
            command.args(["--day", &job.day.to_string(), "--entropy", &job.entropy]);
            command.args(["--budget", &minutes.to_string()]);
        }
        Failure::expect_at(&self.failure(job));
        command.env(FAILURE_VARIABLE, self.failure(job));
        let log =
            File::options().create(true).append(true).open(self.data.join(format!("{}.log", job.day)))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        command.spawn()
    }
}

/// Whether this machine has measured something of a run.
fn is_begun_here(folder: &Path) -> bool {
    let measured = [SAMPLES_FILE, LANES_FOLDER].iter().any(|name| folder.join(name).exists());
    measured && !folder.join(FLEET_FILE).is_file()
}

impl Bench for ChildBench<'_> {
    fn advance(&mut self, job: &Job) -> Result<BenchState, BenchTrouble> {
        let unfit =
            |error: std::io::Error| BenchTrouble::Unfit(format!("the contest cannot be run: {error}"));
        if self.child.is_none() {
            if job.folder.join(REPORT_FILE).is_file() {
                return Ok(BenchState::Finished);
            }
            if self.means.fleet.is_empty() && job.folder.join(FLEET_FILE).is_file() {
                return Err(BenchTrouble::Unfit(
                    "the workers of a fleet measure this day: start the validator with --fleet, as it was begun".to_owned(),
                ));
            }
            self.follower = Follower::default();
            self.child = Some(self.begin(job).map_err(unfit)?);
        }
        let Some(child) = &mut self.child else { return Ok(BenchState::Finished) };
        let Some(status) = child.try_wait().map_err(unfit)? else {
            return Ok(BenchState::Running(self.follower.look(&job.folder)));
        };
        self.child = None;
        // An unfit control and a failing candidate are results; the report says which.
        if job.folder.join(REPORT_FILE).is_file() {
            return Ok(BenchState::Finished);
        }
        let failure = Failure::told_at(&self.failure(job));
        let why = failure.as_ref().map_or("it said nothing", |failure| &failure.message);
        let log = self.data.join(format!("{}.log", job.day));
        self.observer
            .note(&format!("the contest ended with {status}: {why}; its own words are in {}", log.display()));
        // The day says it to everybody.
        let said = format!("the contest ended with {status}: {}", without_paths(why, Some(&self.base)));
        match failure {
            Some(Failure { class: Class::Input, .. }) => Err(BenchTrouble::Hopeless(said)),
            _ => Err(BenchTrouble::Unfit(said)),
        }
    }

    fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let pid = Pid::from_raw(child.id().cast_signed());
        let _ = kill(pid, Signal::SIGTERM);
        let asked = Instant::now();
        while asked.elapsed() < GRACE {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}
