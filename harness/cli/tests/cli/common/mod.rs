//! A contest of scripted engines: quick, and as good or as bad as a test wants.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

pub mod pruned;
pub mod site;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use assert_cmd::Command;
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::plan::{Plan, Side};
use edgemaxx_contract::sample::{Chain, Log, Outcome, Phase, Record};
use tempfile::TempDir;

/// Waits for what `look` finds, and no longer than `patience`.
pub fn soon<T>(patience: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < patience, "{what}: not within {patience:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Address of Substrate's development key `//Alice`.
pub const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";

/// The key of [`ALICE`].
pub fn alice() -> edgemaxx_seal::Keypair {
    edgemaxx_seal::Keypair::insecure_dev("//Alice").expect("a development key")
}

/// The same key as a file that its owner alone may read.
pub fn alice_in(path: &Path) {
    secret(path, "e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a");
}

/// A file that its owner alone may read.
pub fn secret(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).expect("write");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("set permissions");
}

/// A folder with a contest, its prompts and a checkpoint that the mock engine ignores.
pub struct Playground {
    pub folder: TempDir,
}

impl Playground {
    /// `candidates` is TOML, e.g. from [`candidate`].
    pub fn new(candidates: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("write");
        std::fs::create_dir(folder.path().join("model")).expect("create");
        write("model/weights.safetensors", "not read by the mock");
        let prompts: String = (0..40).map(|n| format!("prompt {n}\n")).collect();
        write("prompts.txt", &prompts);
        write("contest.toml", &format!("{HEAD}{candidates}"));
        Self { folder }
    }

    /// The same with the tiny model in one step as the baseline, measured as briefly as can be.
    pub fn native(candidates: &str) -> Self {
        let ground = Self::new(candidates);
        let change = |from: &str, to: &str| ground.replace("contest.toml", from, to);
        change("engine = { command = [\"edgemaxx\", \"engine\", \"mock\", \"--latency-us\", \"4000\"] }", "");
        change(
            "checkpoint = \"model\"",
            &format!("checkpoint = {:?}", repository("fixtures/models/emoji-sdxl")),
        );
        change("steps = 20", "steps = 1");
        change("sessions = 5\npairs = 3", "sessions = 2\npairs = 1\nquick_sessions = 2\nquick_pairs = 1");
        change("load_timeout_s = 5\nrequest_timeout_s = 2", "load_timeout_s = 60");
        ground
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn contest(&self) -> PathBuf {
        self.path("contest.toml")
    }

    pub fn replace(&self, name: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path(name)).expect("read");
        assert!(text.contains(from), "{name} holds {from:?}");
        std::fs::write(self.path(name), text.replace(from, to)).expect("write");
    }

    /// The folder of a finished run. Whether its real latencies make the A/A control a tie is left
    /// to chance and the machine's load: exit codes 0 and 3 are both right.
    pub fn measured(&self, out: &str) -> PathBuf {
        let output = self.run(out).output().expect("the program runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(0 | 3)), "{said}");
        self.path(out)
    }

    /// `edgemaxx run` of the contest into `out`.
    pub fn run(&self, out: &str) -> Command {
        let mut command = edgemaxx();
        command.arg("run").arg(self.contest()).arg("--out").arg(self.path(out)).args(["--day", "2026-11-22"]);
        command
    }
}

const HEAD: &str = r#"
format = 1
name = "mock"
[device]
kind = "cpu"
[request]
prompts = "prompts.txt"
width = 64
height = 64
[baseline]
checkpoint = "model"
generation = { steps = 20, guidance_scale = 5.0 }
engine = { command = ["edgemaxx", "engine", "mock", "--latency-us", "4000"] }
[measurement]
sessions = 5
pairs = 3
warmup_max = 3
load_timeout_s = 5
request_timeout_s = 2
exit_timeout_s = 1
[quality]
[[quality.gate]]
metric = "ssim_gray"
at_least = 0.5
reason = "a test"
[score]
similarity = "ssim-gray"
"#;

/// A candidate whose mock engine gets `arguments`.
pub fn candidate(name: &str, arguments: &[&str]) -> String {
    let words: Vec<String> =
        ["edgemaxx", "engine", "mock"].iter().chain(arguments).map(|word| format!("{word:?}")).collect();
    format!("[[candidate]]\nname = {name:?}\nengine = {{ command = [{}] }}\n", words.join(", "))
}

/// The program under test.
pub fn edgemaxx() -> Command {
    Command::new(env!("CARGO_BIN_EXE_edgemaxx"))
}

/// Standard error of a failed command, and its exit code.
pub fn failure(command: &mut Command) -> (i32, String) {
    let output = command.output().expect("the program runs");
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A source file's text before its tests, which stand last where they are not a file of their own.
pub fn before_tests(text: &str) -> &str {
    let inside = |at: &usize| text[*at..].lines().nth(1).is_some_and(|line| line.ends_with('{'));
    let end = text.match_indices("#[cfg(test)]").map(|(at, _)| at).find(inside);
    &text[..end.unwrap_or(text.len())]
}

/// A folder of the repository.
pub fn repository(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(relative)
}

/// Copies a folder with all that is in it.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("create");
    for entry in std::fs::read_dir(from).expect("read") {
        let path = entry.expect("entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("copy");
        }
    }
}

/// Gives every recorded picture of a run a latency of 4 ms, times `factor(candidate)` on the
/// candidate's side, with a little noise that depends on `seed`; the chain is made anew.
pub fn retime(run: &Path, seed: u64, factor: impl Fn(&str) -> f64) {
    let plan =
        Plan::from_json(&std::fs::read_to_string(run.join("plan.json")).expect("read")).expect("a plan");
    retime_log(&run.join("samples.jsonl"), &plan, seed, |side, candidate| match side {
        Side::Candidate => factor(candidate),
        Side::Baseline => 1.0,
    });
}

/// The same of a run of several lanes: times `factor(lane, side, candidate)` on either side.
pub fn retime_lanes(run: &Path, seed: u64, factor: impl Fn(u32, Side, &str) -> f64) {
    let plan =
        Plan::from_json(&std::fs::read_to_string(run.join("plan.json")).expect("read")).expect("a plan");
    for lane in 0..plan.lanes {
        let path = run.join(format!("lanes/{lane}/samples.jsonl"));
        let own = |side: Side, candidate: &str| factor(lane, side, candidate);
        retime_log(&path, &plan.of_lane(lane), seed + u64::from(lane) * 1000, own);
    }
}

fn retime_log(path: &Path, plan: &Plan, seed: u64, factor: impl Fn(Side, &str) -> f64) {
    let log = Log::parse_for(&std::fs::read_to_string(path).expect("read"), plan).expect("a log");
    let mut chain = Chain::default();
    let mut text = chain.append(Record::Header(log.header));
    for mut record in log.records {
        if let Record::Attempt(attempt) = &mut record
            && let Outcome::Answered { latency_ns, .. } = &mut attempt.outcome
        {
            let own = factor(attempt.side, &plan.sessions[attempt.session as usize].candidate);
            // Not of the record's place in the log: how many warm-up requests there were is the machine's doing.
            let place = match attempt.phase {
                Phase::Measured { pair } => pair,
                Phase::Warmup { index } => 1000 + index,
                Phase::Repeat { pair } => 2000 + pair,
            };
            let place = u64::from(attempt.session) << 12 | u64::from(place) << 1 | attempt.side as u64;
            *latency_ns = (4e6 * own * (1.0 + 0.004 * noise(seed, place))) as u64;
        }
        text += &chain.append(record);
    }
    std::fs::write(path, text).expect("write");
}

/// Every stage after `measure` again.
pub fn derive(run: &Path) {
    for verb in ["quality", "analyze", "rank", "report"] {
        edgemaxx().arg(verb).arg(run).assert().success();
    }
}

/// −1 to 1, always the same for the same arguments (SplitMix64).
fn noise(seed: u64, index: u64) -> f64 {
    let mut z = (seed << 32 | index).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}
