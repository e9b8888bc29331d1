//! What is done with sealed days beside the day's own course: the site's index, the hub, room on the disk. What fails
//! here is tried again, raises an alarm, and fails no day.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use edgemaxx_contract::plan::Day;
use edgemaxx_files::write_whole;
use edgemaxx_seal::manifest::{self, SealedFile, sealed_days};
use edgemaxx_validator::housekeeping::{Keep, Places, tidy};
use edgemaxx_validator::policy::Policy;
use edgemaxx_validator::state::Phase;
use edgemaxx_validator::status::Status;

use crate::child_failure::{FAILURE_VARIABLE, Failure};
use crate::progress::Observer;
use crate::{hub, site};

/// In a day's folder: where on the hub it is.
const MARK: &str = ".published";
/// In a day's folder: why it is not there yet.
const FAILED: &str = ".not-published";
/// Sealed days that are looked at: older ones were given up long ago.
const RECENT: usize = 7;
/// Attempts that a single day waits for.
const ONCE_ATTEMPTS: u32 = 5;

/// Follows the validator's days.
pub struct SealedDays<'a> {
    /// This program, for uploads.
    program: PathBuf,
    days: PathBuf,
    data: PathBuf,
    keep: Keep,
    observer: &'a dyn Observer,
    policy: Policy,
    /// The published folder.
    folder: Option<PathBuf>,
    /// The dataset repository, `owner/name`.
    repository: Option<String>,
    upload: Option<(Day, Child)>,
    /// Failures by day, and when to try again.
    tried: BTreeMap<Day, (u32, i64)>,
    indexed: Option<String>,
    tidied: Option<String>,
}

impl<'a> SealedDays<'a> {
    /// Looks after the days in `data`: published to `folder`, and by `program` to `repository`.
    pub fn new(
        program: PathBuf,
        data: &Path,
        folder: Option<PathBuf>,
        repository: Option<String>,
        keep: Keep,
        observer: &'a dyn Observer,
    ) -> Self {
        Self {
            program,
            days: data.join("days"),
            data: data.to_owned(),
            keep,
            observer,
            policy: Policy::default(),
            folder,
            repository,
            upload: None,
            tried: BTreeMap::new(),
            indexed: None,
            tidied: None,
        }
    }

    /// Does what is to be done now and does not wait; what was done, for the journal.
    pub fn tick(&mut self, status: &Status, now: i64) -> Vec<String> {
        let mut said = Vec::new();
        if status.phase > Phase::Publishing && self.indexed.as_ref() != Some(&status.day) {
            if let Some(folder) = &self.folder
                && let Err(error) = site::index(folder, self.observer)
            {
                said.push(format!("{} has no new index: {}", folder.display(), error.words()));
            }
            self.indexed = Some(status.day.clone());
        }
        if let Some((folder, weights)) = self.folder.as_ref().zip(status.weights.as_ref())
            && let Some(block) = weights.block
        {
            let noted = site::note_weights(folder, &weights.day, block);
            let again =
                noted.and_then(|new| if new { site::index(folder, self.observer).map(drop) } else { Ok(()) });
            said.extend(
                again.err().map(|error| format!("the weights' block is not noted: {}", error.words())),
            );
        }
        said.extend(self.publish(now));
        // Nothing is measured then.
        if status.phase == Phase::Holding
            && self.tidied.as_ref() != Some(&status.day)
            && let Ok(today) = status.day.parse()
        {
            said.extend(tidy(&self.days.clone(), &today, self.keep, self));
            self.tidied = Some(status.day.clone());
        }
        said
    }

    /// For a single day: waits for its upload, five attempts at most; `sleep` gives up by `false`.
    pub fn finish(&mut self, mut sleep: impl FnMut(u64) -> bool, now: impl Fn() -> i64) -> Vec<String> {
        let mut said = Vec::new();
        loop {
            said.extend(self.publish(now()));
            let waiting = self.missing().into_iter().any(|day| self.attempts(&day) < ONCE_ATTEMPTS);
            if !waiting || !sleep(1) {
                return said;
            }
        }
    }

    /// Ends an upload that is under way; it can be gone on with.
    pub fn stop(&mut self) {
        if let Some((_, mut child)) = self.upload.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Where an upload writes down how it failed.
    fn failure(&self) -> PathBuf {
        self.data.join("publish.failure.json")
    }

    fn attempts(&self, day: &Day) -> u32 {
        self.tried.get(day).map_or(0, |(attempts, _)| *attempts)
    }

    /// Looks after the upload under way, or begins one.
    fn publish(&mut self, now: i64) -> Option<String> {
        let Some((day, mut child)) = self.upload.take() else { return self.begin(now) };
        match child.try_wait() {
            Ok(None) => {
                self.upload = Some((day, child));
                None
            }
            Ok(Some(status)) => Some(self.ended(&day, &mut child, status, now)),
            Err(error) => Some(self.failed(&day, &error.to_string(), now)),
        }
    }

    /// The next day to upload: the one that was tried least.
    fn begin(&mut self, now: i64) -> Option<String> {
        let due = |day: &Day| self.tried.get(day).is_none_or(|(_, retry_at)| now >= *retry_at);
        let day =
            self.missing().into_iter().filter(due).min_by_key(|day| (self.attempts(day), day.clone()))?;
        let target = format!("hf:{}", self.repository.as_ref()?);
        let begin = || -> std::io::Result<Child> {
            let mut command = Command::new(&self.program);
            command.arg("publish").arg(self.days.join(day.to_string())).args(["--to", &target, "--json"]);
            let log = File::create(self.data.join("publish.log"))?;
            Failure::expect_at(&self.failure());
            command.env(FAILURE_VARIABLE, self.failure());
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn()
        };
        match begin() {
            Ok(child) => {
                self.upload = Some((day, child));
                None
            }
            Err(error) => Some(self.failed(&day, &error.to_string(), now)),
        }
    }

    fn ended(&mut self, day: &Day, child: &mut Child, status: ExitStatus, now: i64) -> String {
        let mut text = String::new();
        let read = child.stdout.as_mut().map(|out| out.take(1 << 16).read_to_string(&mut text));
        let answer: Option<serde_json::Value> = read.and_then(|_| serde_json::from_str(&text).ok());
        let revision = answer.as_ref().and_then(|answer| answer["revision"].as_str());
        if let (true, Some(revision)) = (status.success(), revision) {
            let folder = self.days.join(day.to_string());
            let at = format!("hf:{}@{revision}", self.repository.as_deref().unwrap_or_default());
            self.tried.remove(day);
            let _ = fs::remove_file(folder.join(FAILED));
            return match write_whole(&folder.join(MARK), at.as_bytes()) {
                Ok(()) => format!("{day} is at {at}"),
                Err(error) => format!("{day} is at {at}, which cannot be noted: {error}"),
            };
        }
        let failure = Failure::told_at(&self.failure());
        self.failed(day, failure.as_ref().map_or("it said nothing", |failure| &failure.message), now)
    }

    fn failed(&mut self, day: &Day, why: &str, now: i64) -> String {
        let attempts = self.attempts(day) + 1;
        self.tried.insert(day.clone(), (attempts, now + self.policy.pause(attempts)));
        let to = self.repository.as_deref().unwrap_or_default();
        let said = format!("{day} is not at hf:{to}: {why}");
        // Without room for this, the day's own files say that the disk is full.
        let _ = write_whole(&self.days.join(day.to_string()).join(FAILED), said.as_bytes());
        said
    }

    /// Sealed days that are not on the hub, of the latest few.
    fn missing(&self) -> Vec<Day> {
        if self.repository.is_none() {
            return Vec::new();
        }
        let mut days = sealed_days(&self.days);
        days.drain(..days.len().saturating_sub(RECENT));
        days.retain(|day| !self.is_at_hub(day));
        days
    }

    fn is_at_hub(&self, day: &Day) -> bool {
        let mark = fs::read_to_string(self.days.join(day.to_string()).join(MARK)).unwrap_or_default();
        let at = mark.strip_prefix("hf:").and_then(|mark| mark.split('@').next());
        at.is_some() && at == self.repository.as_deref()
    }
}

/// What of the validator's days could not be published yet, whoever asks.
pub fn not_published(days: &Path) -> Vec<String> {
    let why = |day: &Day| fs::read_to_string(days.join(day.to_string()).join(FAILED)).ok();
    sealed_days(days).iter().rev().take(RECENT).filter_map(why).collect()
}

impl Places for SealedDays<'_> {
    fn hold(&mut self, day: &Day, file: &SealedFile) -> bool {
        let in_folder = |folder: &PathBuf| manifest::check_file(&folder.join(day.to_string()), file).is_ok();
        let places = self.folder.is_some() || self.repository.is_some();
        places
            && self.folder.as_ref().is_none_or(in_folder)
            && (self.repository.is_none() || self.is_at_hub(day))
    }

    fn forget(&mut self, source: &str) -> Result<u64, String> {
        hub::forget(source).map_err(|error| error.words())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use edgemaxx_contract::digest::Digest;
    use edgemaxx_seal::manifest::MANIFEST_FILE;

    use super::*;
    use crate::progress::Silent;

    /// A data folder with sealed days, and a program that says what an upload says.
    struct Ground {
        dir: tempfile::TempDir,
    }

    impl Ground {
        fn new(days: &[&str]) -> Self {
            let dir = tempfile::tempdir().unwrap();
            for day in days {
                let folder = dir.path().join("data/days").join(day);
                fs::create_dir_all(folder.join("artefacts")).unwrap();
                fs::write(folder.join(MANIFEST_FILE), "{}").unwrap();
            }
            Self { dir }
        }

        fn days(&self) -> PathBuf {
            self.dir.path().join("data/days")
        }

        /// What the program does: `$2` is the day's folder.
        fn sealed_days(&self, script: &str) -> SealedDays<'static> {
            let program = self.dir.path().join("program");
            fs::write(
                &program,
                format!("#!/bin/sh\necho \"$@\" >> {}/asked\n{script}\n", self.dir.path().display()),
            )
            .unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
            let keep = Keep { checkpoints_days: None, answers_days: None };
            SealedDays::new(
                program,
                &self.dir.path().join("data"),
                None,
                Some("owner/days".to_owned()),
                keep,
                &Silent,
            )
        }

        fn asked(&self) -> Vec<String> {
            let text = fs::read_to_string(self.dir.path().join("asked")).unwrap_or_default();
            text.lines().map(str::to_owned).collect()
        }
    }

    /// Ticks until something is said.
    fn said(followed: &mut SealedDays<'_>, now: i64) -> Option<String> {
        for _ in 0..500 {
            if let Some(said) = followed.publish(now) {
                return Some(said);
            }
            followed.upload.as_ref()?;
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        None
    }

    #[test]
    fn a_hub_that_fails_is_tried_again_and_each_day_goes_up_once() {
        let ground = Ground::new(&["2026-11-21", "2026-11-22"]);
        let fails = format!(
            "echo '{{\"class\":\"chain\",\"message\":\"the hub answered 503\"}}' > \"${FAILURE_VARIABLE}\"; exit 5"
        );
        let mut followed = ground.sealed_days(&fails);
        // Both days are tried in turn; then both wait.
        for _ in 0..2 {
            assert!(said(&mut followed, 1000).unwrap().ends_with("hf:owner/days: the hub answered 503"));
        }
        assert_eq!((said(&mut followed, 1000), said(&mut followed, 1014)), (None, None));
        assert_eq!(not_published(&ground.days()).len(), 2, "an alarm for each, whoever asks");
        assert!(said(&mut followed, 1015).unwrap().starts_with("2026-11-21"));

        // Another process, after a kill: goes on, notes where each is, and alarms end.
        let works = "echo '{\"revision\": \"abc\"}'";
        let mut followed = ground.sealed_days(works);
        assert_eq!(said(&mut followed, 2000).unwrap(), "2026-11-21 is at hf:owner/days@abc");
        assert!(said(&mut followed, 2000).unwrap().starts_with("2026-11-22 is at"));
        assert_eq!(said(&mut followed, 2000), None);
        assert_eq!(not_published(&ground.days()), Vec::<String>::new());
        assert_eq!(said(&mut ground.sealed_days(works), 3000), None, "never twice");
        assert_eq!(ground.asked().len(), 5);
        assert!(ground.asked().iter().all(|line| line.ends_with("--to hf:owner/days --json")));
        // Pictures may go where they are; at another repository they are not.
        let day = "2026-11-22".parse().unwrap();
        let picture = SealedFile { path: "artefacts/x.png".to_owned(), bytes: 1, digest: Digest::of("x") };
        assert!(followed.hold(&day, &picture));
        followed.repository = Some("owner/other".to_owned());
        assert!(!followed.hold(&day, &picture));
        (followed.repository, followed.folder) = (None, None);
        assert!(!followed.hold(&day, &picture), "published nowhere");
    }

    #[test]
    fn a_single_day_waits_for_its_upload_and_not_for_ever() {
        let ground = Ground::new(&["2026-11-22"]);
        let mut followed = ground.sealed_days("exit 5");
        let now = std::cell::Cell::new(0);
        let sleep = |_| {
            std::thread::sleep(std::time::Duration::from_millis(2));
            now.set(now.get() + 5);
            true
        };
        let said = followed.finish(sleep, || now.get());
        assert_eq!(said.len(), ONCE_ATTEMPTS as usize, "{said:?}");
        assert!(said[0].ends_with("it said nothing"));
    }
}
