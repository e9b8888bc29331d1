//! `action.yml`: its inputs and its step agree, and the step does what GitHub expects of it.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::common::{Playground, edgemaxx, repository};

/// The keys below a top-level key, at two blanks.
fn keys<'a>(text: &'a str, section: &str) -> BTreeSet<&'a str> {
    let lines = text.lines().skip_while(|line| *line != format!("{section}:")).skip(1);
    let own = lines.take_while(|line| line.is_empty() || line.starts_with(' '));
    let key =
        |line: &'a str| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' '))?.strip_suffix(':');
    own.filter_map(key).collect()
}

/// What stands behind each `before` up to the first character of another kind.
fn named<'a>(text: &'a str, before: &str, of_name: impl Fn(char) -> bool) -> BTreeSet<&'a str> {
    let name = |rest: &'a str| &rest[..rest.find(|c| !of_name(c)).unwrap_or(rest.len())];
    text.split(before).skip(1).map(name).collect()
}

#[test]
fn the_action_uses_the_inputs_it_declares_and_no_others() {
    let action = fs::read_to_string(repository("action.yml")).unwrap();
    let script = fs::read_to_string(repository("scripts/ci-action")).unwrap();
    let declared = keys(&action, "inputs");
    assert!(declared.len() >= 9, "{declared:?}");
    let of_name = |c: char| c.is_ascii_lowercase() || c == '-';
    assert_eq!(named(&action, "inputs.", of_name), declared);

    // the script reads every variable that it is given, and is given every one that it reads
    let of_variable = |c: char| c.is_ascii_uppercase() || c == '_';
    let given: BTreeSet<&str> = named(&action, "        INPUT_", of_variable);
    let read: BTreeSet<&str> =
        named(&script, "INPUT_", of_variable).into_iter().map(|name| name.trim_end_matches(':')).collect();
    assert_eq!(given, read);

    // what GitHub puts in before a shell reads it would be run by that shell
    let run = action.split("run: |").nth(1).unwrap().split("\n    - ").next().unwrap();
    assert!(!run.contains("${{"), "{run}");
    for output in ["verdict", "report", "folder"] {
        assert!(action.contains(&format!("steps.compare.outputs.{output}")), "{output}");
        assert!(script.contains(&format!("echo \"{output}=")), "{output}");
    }
    for flag in named(&script, " --", of_name).into_iter().filter(|flag| !flag.is_empty()) {
        let help = edgemaxx().args(["ci", "--help"]).output().unwrap();
        let cargo = ["release", "locked", "manifest-path"];
        let known =
            String::from_utf8_lossy(&help.stdout).contains(&format!("--{flag}")) || cargo.contains(&flag);
        assert!(known, "--{flag} is no option of `edgemaxx ci`");
    }
}

#[test]
fn the_step_leaves_a_summary_and_outputs() {
    let ground = Playground::new("");
    ground.replace("contest.toml", "pairs = 3", "pairs = 2");
    let step = |flags: &str, name: &str| {
        let file = |what: &str| ground.path(&format!("{name}-{what}"));
        let output = Command::new(repository("scripts/ci-action"))
            .env("INPUT_CONTEST", ground.contest())
            .env("INPUT_AGAINST", "main")
            .env("INPUT_MAX_SLOWDOWN", "900%")
            .env("INPUT_MINUTES", "0.2")
            .env("INPUT_FLAGS", flags)
            .env("INPUT_BINARY", env!("CARGO_BIN_EXE_edgemaxx"))
            .env("RUNNER_TEMP", ground.folder.path())
            .env("GITHUB_STEP_SUMMARY", file("summary"))
            .env("GITHUB_OUTPUT", file("output"))
            .output()
            .expect("bash");
        let text = |what: &str| fs::read_to_string(file(what)).unwrap_or_default();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), text("summary"), text("output"), said)
    };
    // nothing to compare with: there is no repository
    let (code, summary, output, _) = step("", "nothing");
    assert_eq!(code, Some(2));
    assert!(summary.contains("compared nothing") && output.contains("verdict=none\n"), "{summary} {output}");

    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"];
        let mut command = Command::new("git");
        command.arg("-C").arg(ground.folder.path()).args(identity).args(arguments);
        assert!(command.output().expect("git").status.success(), "{arguments:?}");
    };
    git(&["init", "--quiet", "--initial-branch", "main"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "before"]);
    let (code, summary, output, said) = step("--attempts 1", "equal");
    assert!(matches!(code, Some(0 | 3)), "{code:?} {said}");
    assert!(summary.starts_with("## run-1: "), "{summary}");
    let report = output.lines().find_map(|line| line.strip_prefix("report=")).expect("a report");
    assert!(fs::metadata(report).unwrap().len() > 10_000);
    let verdict = output.lines().find_map(|line| line.strip_prefix("verdict=")).expect("a verdict");
    assert!(said.contains(&format!(" title=EdgeMaxx%3A {verdict}::")), "{said}");
}
