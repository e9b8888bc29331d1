//! A validator that is killed while it measures: nothing goes on measuring, and the next one goes on where it stopped.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::common::soon;
use crate::node::{Node, Seed};
use crate::validator::Subnet;

/// Far beyond what a busy machine needs.
const PATIENCE: Duration = Duration::from_secs(300);

/// Every process below `root`, by the system's own list.
fn below(root: u32) -> Vec<u32> {
    let parent = |pid: u32| -> Option<u32> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold anything.
        text.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    let pids: Vec<u32> = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    let mut found = vec![root];
    let mut at = 0;
    while at < found.len() {
        let of = found[at];
        found.extend(pids.iter().copied().filter(|pid| parent(*pid) == Some(of)));
        at += 1;
    }
    found.split_off(1)
}

/// Whether a process runs: one that only waits to be reaped does not.
fn runs(pid: u32) -> bool {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    text.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z') && !rest.starts_with('X'))
}

fn samples(days: &Path) -> Option<(PathBuf, String)> {
    let folder = std::fs::read_dir(days).ok()?.flatten().next()?.path();
    let text = std::fs::read_to_string(folder.join("samples.jsonl")).ok()?;
    Some((folder, text))
}

#[test]
#[cfg(target_os = "linux")]
fn a_killed_validator_leaves_nothing_that_measures_and_the_next_goes_on() {
    let Some(node) = Node::start("Instant") else { return };
    let subnet = Subnet::new(node);
    // One miner is enough.
    subnet.node.seed(&Seed { rate_limit: 0, min_weights: 1, ..Seed::default() });
    subnet.submit(3, "fast", "40000");
    let mut validator = subnet
        .validator("now")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let days = subnet.path("validator").join("days");
    let (day, _) = soon(PATIENCE, "samples", || {
        assert!(validator.try_wait().unwrap().is_none(), "the validator ended by itself");
        samples(&days).filter(|(_, text)| text.lines().count() > 12)
    });
    let children = below(validator.id());
    // The contest's own process, and at least one engine with what confines it.
    assert!(children.len() >= 2, "{children:?}");
    kill(Pid::from_raw(validator.id().cast_signed()), Signal::SIGKILL).unwrap();
    validator.wait().unwrap();
    soon(PATIENCE, "everything below the validator ends", || {
        (!children.iter().any(|pid| runs(*pid))).then_some(())
    });
    let (_, measured) = samples(&days).unwrap();
    assert!(!day.join("report.html").exists(), "it was killed while it measured");

    // Nothing stands in the way of the next one, and nothing is measured twice.
    let output = subnet.validator("now").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    // Without a sandbox, or on a machine that is unfit, nothing is set: exit code 1.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{said}");
    assert!(!said.contains("warning"), "the next one waits for nothing: {said}");
    let whole = measured.rfind('\n').map_or(0, |end| end + 1);
    let (_, after) = samples(&days).unwrap();
    assert!(after.starts_with(&measured[..whole]) && after.len() > measured.len());
    assert!(day.join("manifest.json").is_file());
}
