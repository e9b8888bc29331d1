//! `edgemaxx ci` through the program. Whether a real machine sees a small change is not for a test: the one here is tenfold.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::common::{Playground, edgemaxx, failure};

/// Mocks that answer after so many milliseconds.
fn mock(milliseconds: u32) -> String {
    format!("edgemaxx engine mock --latency-us {}", 1000 * milliseconds)
}

/// A contest without candidates, whose baseline is the pipeline under test.
fn ground() -> Playground {
    let ground = Playground::new("");
    ground.replace("contest.toml", "pairs = 3", "pairs = 2");
    ground
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(["-c", "user.name=test", "-c", "user.email=test@example.com"])
        .args(arguments)
        .output()
        .expect("git");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// The row of the change, unless the machine was too busy for the control to be a tie, or for anything to be told in the time.
fn row(out: &Path, code: Option<i32>) -> Option<Value> {
    let comparison: Value = serde_json::from_slice(&fs::read(out.join("comparison.json")).unwrap()).unwrap();
    let verdict = comparison["verdict"].as_str().unwrap();
    let busy = [("unfit", 3), ("cannot_tell", 0)].into_iter().find(|(busy, _)| *busy == verdict);
    match busy {
        Some((_, expected)) => assert_eq!(code, Some(expected), "{comparison:#}"),
        None => return Some(comparison["rows"][0].clone()),
    }
    None
}

#[test]
fn two_commands_are_measured_in_one_run() {
    let ground = ground();
    let out = ground.path("out");
    let run = edgemaxx()
        .arg("ci")
        .arg(ground.contest())
        .args(["--reference", &mock(4), "--change", &mock(40), "--minutes", "0.2", "--attempts", "1"])
        .arg("--out")
        .arg(&out)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    let Some(row) = row(&out, run.status.code()) else { return };
    assert_eq!((run.status.code(), row["verdict"].as_str()), (Some(1), Some("regressed")), "{said} {row:#}");
    assert_eq!(row["name"], "change");
    assert!(row["detectable"].as_f64().unwrap() > 0.01, "{row:#}");
    assert!(row["processor"]["point"].is_number(), "processor time is recorded: {row:#}");
    let markdown = fs::read_to_string(out.join("comparison.md")).unwrap();
    assert!(markdown.contains("would have been found in four of five cases"), "{markdown}");
    assert!(markdown.contains("Processor time for a request: "), "{markdown}");
    for file in ["comparison.xml", "report.html", "run-1/samples.jsonl"] {
        assert!(out.join(file).is_file(), "{file}");
    }
    assert!(!out.join("run-2").exists(), "one attempt was asked for");
}

#[test]
fn the_version_of_a_revision_is_built_and_measured_beside_the_files_as_they_are() {
    let ground = ground();
    let repository = ground.folder.path();
    git(repository, &["init", "--quiet", "--initial-branch", "main"]);
    // the checkpoint is in no repository, as large files often are
    fs::write(repository.join(".gitignore"), "model\nbuilt\n").unwrap();
    git(repository, &["add", "."]);
    git(repository, &["commit", "--quiet", "-m", "before"]);
    let commit = git(repository, &["rev-parse", "HEAD"]);
    ground.replace("contest.toml", "4000\"", "40000\"");

    let out = ground.path("out");
    let log = ground.path("built");
    let run = edgemaxx()
        .arg("ci")
        .arg(ground.contest())
        .args(["--minutes", "0.2", "--attempts", "1", "--build"])
        .arg(format!("pwd >> {}", log.display()))
        .arg("--out")
        .arg(&out)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(said.contains(&format!("reference: main at {commit}")), "{said}");
    let built = fs::read_to_string(&log).unwrap();
    assert_eq!(built.lines().count(), 2, "both trees: {built}");
    assert!(built.lines().any(|folder| folder.ends_with("out/reference")), "{built}");
    assert_eq!(git(repository, &["worktree", "list"]).lines().count(), 1, "the worktree is gone");
    let contest = fs::read_to_string(out.join("contest.toml")).unwrap();
    let contest: toml::Table = contest.parse().unwrap();
    assert_eq!(contest["baseline"]["engine"]["command"][4].as_str(), Some("4000"));
    assert_eq!(contest["candidate"][0]["engine"]["command"][4].as_str(), Some("40000"));
    if let Some(row) = row(&out, run.status.code()) {
        assert_eq!(
            (run.status.code(), row["verdict"].as_str()),
            (Some(1), Some("regressed")),
            "{said} {row:#}"
        );
    }

    let ask = |revision: &str, out: &str| {
        failure(
            edgemaxx()
                .arg("ci")
                .arg(ground.contest())
                .arg(format!("--against={revision}"))
                .arg("--out")
                .arg(ground.path(out)),
        )
    };
    let (code, message) = ask("no-such", "other");
    assert!(code == 2 && message.contains("--against no-such: not a revision"), "{message}");
    let (code, message) = ask("--output=x", "another");
    assert!(code == 2 && message.contains("not a revision"), "{message}");
    let (code, message) = ask("main", "out");
    assert!(code == 2 && message.contains("exists; name a new folder"), "{message}");
}

#[test]
fn a_build_that_fails_ends_it() {
    let ground = ground();
    git(ground.folder.path(), &["init", "--quiet", "--initial-branch", "main"]);
    git(ground.folder.path(), &["add", "."]);
    git(ground.folder.path(), &["commit", "--quiet", "-m", "before"]);
    let mut command = edgemaxx();
    command.arg("ci").arg(ground.contest()).args(["--build", "exit 7", "--out"]).arg(ground.path("out"));
    let (code, message) = failure(&mut command);
    assert!(code == 4 && message.contains("--build in ") && message.contains("exit status: 7"), "{message}");
}

/// A build that leaves nothing in the reference's tree would measure the change against itself.
#[test]
fn a_reference_without_an_engine_of_its_own_is_refused() {
    let ground = ground();
    let mock = "[\"edgemaxx\", \"engine\", \"mock\", \"--latency-us\", \"4000\"]";
    ground.replace("contest.toml", mock, "[\"built/engine\"]");
    git(ground.folder.path(), &["init", "--quiet", "--initial-branch", "main"]);
    fs::write(ground.path(".gitignore"), "model\nbuilt\n").unwrap();
    git(ground.folder.path(), &["add", "."]);
    git(ground.folder.path(), &["commit", "--quiet", "-m", "before"]);
    fs::create_dir(ground.path("built")).unwrap();
    fs::write(ground.path("built/engine"), "").unwrap();
    let mut command = edgemaxx();
    command.arg("ci").arg(ground.contest()).args(["--build", "true", "--out"]).arg(ground.path("out"));
    let (code, message) = failure(&mut command);
    assert_eq!(code, 2, "{message}");
    assert!(message.contains("warning: the reference has no own built/engine"), "{message}");
    assert!(message.contains("since the reference has no engine of its own"), "{message}");

    let shallow = ground.path("shallow");
    let from = format!("file://{}", ground.folder.path().display());
    git(ground.folder.path(), &["commit", "--quiet", "--allow-empty", "-m", "after"]);
    git(ground.folder.path(), &["clone", "--quiet", "--depth", "1", &from, &shallow.display().to_string()]);
    let mut command = edgemaxx();
    command.arg("ci").arg(shallow.join("contest.toml")).args(["--against", "HEAD~1", "--out"]);
    let (code, message) = failure(command.arg(ground.path("other")));
    assert!(code == 2 && message.contains("shallow clone: `git fetch --unshallow`"), "{message}");
}
