//! A validator killed at a hundred random moments, and after power cuts: the day ends as it would have.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::{CONTEST, chance, key};
use edgemaxx_contract::day::BlockRef;
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::plan::Day;
use edgemaxx_contract::weights::Weights;
use edgemaxx_seal::manifest;
use edgemaxx_validator::calendar::noon;
use edgemaxx_validator::driver::{Driver, Role, Settings};
use edgemaxx_validator::group::Group;
use edgemaxx_validator::policy::Policy;
use edgemaxx_validator::state::OnChain;
use edgemaxx_validator::store::Store;
use edgemaxx_validator::world::{
    Bench, BenchState, BenchTrouble, Chain, ChainTrouble, CheckpointTrouble, Checkpoints, Clock, Commitment,
    Compared, Head, Hindrance, Job, Measured, Pages, Seal, Snapshot,
};

const DAY: &str = "2026-03-06";
const SAMPLES: u64 = 60;

/// A world that is a folder: it outlives the validator. One line in a file is one thing that happened.
#[derive(Clone)]
struct Ground(std::path::PathBuf);

impl Ground {
    fn noon(&self) -> i64 {
        noon(&DAY.parse().unwrap()).unwrap()
    }

    fn lines(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.0.join(file)).unwrap_or_default();
        // What has no line feed was torn off by the cut.
        let whole = text.rfind('\n').map_or("", |at| &text[..at]);
        whole.lines().map(str::to_owned).collect()
    }

    fn append(&self, file: &str, line: &str) {
        let path = self.0.join(file);
        let text = fs::read(&path).unwrap_or_default();
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let mut file = OpenOptions::new().create(true).write(true).truncate(false).open(path).unwrap();
        file.set_len(whole as u64).unwrap();
        std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).unwrap();
        file.write_all(format!("{line}\n").as_bytes()).unwrap();
        file.sync_data().unwrap();
    }
}

impl Clock for Ground {
    fn now(&self) -> i64 {
        self.noon() + 600
    }

    fn sleep(&mut self, _: u64) -> bool {
        std::thread::sleep(Duration::from_millis(1));
        true
    }
}

impl Chain for Ground {
    fn head(&mut self) -> Result<Head, ChainTrouble> {
        Ok(Head { number: 1050, unix_s: self.noon() + 600 })
    }

    fn block_at(&mut self, _: i64) -> Result<Option<BlockRef>, ChainTrouble> {
        Ok(Some(BlockRef { number: 1000, hash: "0xabc".to_owned(), unix_s: self.noon() }))
    }

    fn snapshot(&mut self, _: &BlockRef) -> Result<Snapshot, ChainTrouble> {
        let hotkeys: Vec<String> = (0..8).map(|index| format!("m{index}")).collect();
        let commitments = hotkeys.iter().enumerate().map(|(index, hotkey)| Commitment {
            hotkey: hotkey.clone(),
            block: 900 + index as u64,
            source: format!("hf:{hotkey}/x@1"),
            seal: Seal::None,
            other_contest: None,
        });
        let commitments = commitments.collect();
        Ok(Snapshot { commitments, registered: (0..).zip(hotkeys).collect(), undecoded: Vec::new() })
    }

    fn places(&mut self, _: u64, _: &[String]) -> Result<BTreeMap<String, u32>, ChainTrouble> {
        Ok(BTreeMap::new())
    }

    fn sealed(&mut self, _: u64, _: &str) -> Result<Vec<Digest>, ChainTrouble> {
        Ok(Vec::new())
    }

    fn hindrances(&mut self) -> Result<Vec<Hindrance>, ChainTrouble> {
        Ok(Vec::new())
    }

    fn set_weights(&mut self, weights: &Weights, not_before: u64) -> Result<u64, ChainTrouble> {
        let set = |line: &String| line.split(' ').next().and_then(|block| block.parse::<u64>().ok());
        if let Some(block) = self.lines("chain").last().and_then(set).filter(|block| *block >= not_before) {
            return Ok(block);
        }
        std::thread::sleep(Duration::from_millis(4));
        self.append("chain", &format!("1053 {}", serde_json::to_string(weights).unwrap()));
        // Final, but the answer takes its time.
        std::thread::sleep(Duration::from_millis(4));
        Ok(1053)
    }

    fn commit_seal(&mut self, day: &Day, manifest: Digest) -> Result<u64, ChainTrouble> {
        let line = format!("{day} {manifest}");
        if self.lines("seals").last() != Some(&line) {
            std::thread::sleep(Duration::from_millis(2));
            self.append("seals", &line);
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(1055)
    }
}

impl Checkpoints for Ground {
    fn prepare(&mut self, source: &str) -> Option<Result<Digest, CheckpointTrouble>> {
        std::thread::sleep(Duration::from_millis(2));
        Some(Ok(Digest::of(source)))
    }

    fn copies(&mut self, _: &[(String, u64, String)], _: &str) -> Result<Compared, String> {
        Ok(Compared::default())
    }
}

impl Pages for Ground {
    fn write(&mut self, _: &Path) -> Result<(), String> {
        Ok(())
    }
}

impl Bench for Ground {
    /// The plan once, then one sample each time, then the ranking.
    fn advance(&mut self, job: &Job) -> Result<BenchState, BenchTrouble> {
        fs::create_dir_all(&job.folder).unwrap();
        let plan = Digest::of_fields([job.contest.as_bytes(), job.entropy.as_bytes()]);
        if self.lines("plans").is_empty() {
            self.append("plans", &plan.to_string());
        }
        let planned = self.lines("plans");
        assert_eq!(planned, [plan.to_string()], "the plan of a day never changes");
        let done = self.lines("samples").len() as u64;
        if done < SAMPLES {
            std::thread::sleep(Duration::from_millis(2));
            self.append("samples", &format!("sample {done}"));
            let measured = Measured { done: done + 1, total: SAMPLES, ..Measured::default() };
            return Ok(BenchState::Running(measured));
        }
        let truth: Vec<(String, f64)> = (0..8).map(|n| (format!("m{n}"), 1.1 + 0.2 * f64::from(n))).collect();
        let estimates = crate::common::estimates(&truth, (0.001, 1), "x", false);
        let contest = edgemaxx_contract::contest::Contest::parse(&job.contest).unwrap();
        let ranking = edgemaxx_analyze::rank(
            &estimates,
            &contest,
            &edgemaxx_contract::environment::Environment::mock(),
        );
        let text = edgemaxx_contract::format::Document::to_json(&ranking);
        edgemaxx_files::write_whole(&job.folder.join("ranking.json"), text.as_bytes()).unwrap();
        Ok(BenchState::Finished)
    }

    fn stop(&mut self) {}
}

/// Runs the day in `folder` to its end; the block that its weights stand in.
fn run_day(folder: &Path) -> u64 {
    let ground = Ground(folder.to_owned());
    let (mut hands, key) = (crate::common::hands(&ground), key());
    let world = crate::common::world(&mut hands, &key);
    let policy = Policy { look_s: 0, retry_s: 0, ..Policy::default() };
    let settings = Settings {
        netuid: 39,
        contest: CONTEST.to_owned(),
        days: folder.join("days"),
        publish: None,
        policy,
        role: Role::Alone,
    };
    let store = Store::open(folder).unwrap();
    let mut group = Group::alone(Driver::begin(settings, store, world, false).unwrap());
    let mut ticks = 0;
    group
        .run(true, |status| {
            ticks += 1;
            assert!(ticks < 20_000, "the day does not end: {status:?}");
            Vec::new()
        })
        .unwrap();
    match group.head().state().on_chain {
        Some(OnChain::Set { block }) => block,
        ref other => panic!("{other:?}"),
    }
}

/// What must be true of a day that ended, however often it was begun.
fn ended_well(folder: &Path) {
    let ground = Ground(folder.to_owned());
    let samples: Vec<String> = (0..SAMPLES).map(|index| format!("sample {index}")).collect();
    assert_eq!(ground.lines("samples"), samples, "none lost, none repeated");
    assert_eq!(ground.lines("plans").len(), 1);
    assert_eq!(ground.lines("chain").len(), 1, "weights are set once");
    let day = folder.join("days").join(DAY);
    let (manifest, digest) = manifest::read(&day).unwrap();
    assert_eq!(ground.lines("seals"), [format!("{DAY} {digest}")], "the digest is committed once");
    manifest::check_signature(&manifest).unwrap().expect("signed");
    manifest::check_files(&day, &manifest).unwrap();
    let set: Weights = serde_json::from_str(ground.lines("chain")[0].split_once(' ').unwrap().1).unwrap();
    let text = fs::read_to_string(day.join("weights.json")).unwrap();
    assert_eq!(edgemaxx_contract::format::Document::to_json(&set), text);
    assert_eq!(set.winner.as_deref(), Some("m7"));
}

/// Not a test by itself: the validator that the tests below kill.
#[test]
fn child() {
    if let Some(folder) = std::env::var_os("EDGEMAXX_KILLED_FOLDER") {
        run_day(Path::new(&folder));
    }
}

fn spawn(folder: &Path) -> std::process::Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "killed::child"]).env("EDGEMAXX_KILLED_FOLDER", folder);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// A folder in memory where there is one: a killed process loses nothing of what it wrote, on no disk, and
/// these tests write durably some ten thousand times.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

#[test]
fn killed_at_a_hundred_random_moments_the_day_ends_the_same() {
    let mut kills = 0;
    let mut day = 0;
    while kills < 100 {
        let folder = scratch();
        loop {
            let mut child = spawn(folder.path());
            if kills == 100 {
                assert!(child.wait().unwrap().success());
                break;
            }
            let pause = 20 + ((chance(day, &format!("{kills}")) + 1.0) * 60.0) as u64;
            std::thread::sleep(Duration::from_millis(pause));
            if child.try_wait().unwrap().is_some() {
                break;
            }
            // SIGKILL: nothing can be tidied up.
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
        }
        ended_well(folder.path());
        day += 1;
    }
}

/// A power cut takes what was not yet on the disk: the end of any file that was being written.
#[test]
fn after_power_cuts_the_day_ends_the_same() {
    for cut in 0..24u32 {
        let folder = scratch();
        for round in 0..4 {
            let mut child = spawn(folder.path());
            std::thread::sleep(Duration::from_millis(60 + u64::from(cut) * 5));
            let _ = child.kill();
            child.wait().unwrap();
            let part = (chance(u64::from(cut), &format!("{round}")) + 1.0) / 2.0;
            // The database's newest pages, and a sample torn in the middle.
            if let Ok(wal) = OpenOptions::new().write(true).open(folder.path().join("validator.db-wal")) {
                let length = wal.metadata().unwrap().len() as f64;
                wal.set_len((length * part) as u64).unwrap();
            }
            if folder.path().join("samples").exists() {
                let mut samples =
                    OpenOptions::new().append(true).open(folder.path().join("samples")).unwrap();
                samples.write_all(b"sample 9").unwrap();
            }
        }
        assert_eq!(run_day(folder.path()), 1053);
        ended_well(folder.path());
    }
}
