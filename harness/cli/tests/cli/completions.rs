//! `edgemaxx completions`, `edgemaxx man` and `--version`: what packagers and shells take.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::common::edgemaxx;
use crate::node::skipped;

/// The verbs as `--help` lists them.
fn verbs() -> Vec<String> {
    let output = edgemaxx().arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let listed = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let verb = |line: &str| line.strip_prefix("  ")?.split(' ').next().map(str::to_owned);
    listed.lines().filter_map(verb).filter(|verb| !verb.is_empty() && verb != "help").collect()
}

#[test]
fn shells_complete_every_verb() {
    let verbs = verbs();
    assert!(verbs.len() >= 24, "{verbs:?}");
    for shell in ["bash", "zsh", "fish"] {
        let output = edgemaxx().args(["completions", shell]).output().unwrap();
        assert!(output.status.success());
        let script = String::from_utf8(output.stdout).unwrap();
        for verb in &verbs {
            assert!(script.contains(verb.as_str()), "{shell}: {verb}");
        }
        assert!(script.contains("max-slowdown"), "{shell}: options, too");
        // where the shell is, it reads what it is given
        let Ok(mut reader) =
            Command::new(shell).arg("-n").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()
        else {
            skipped(format_args!("{shell} is not here to read its completions"));
            continue;
        };
        reader.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        let read = reader.wait_with_output().unwrap();
        assert!(read.status.success(), "{shell}: {}", String::from_utf8_lossy(&read.stderr));
    }
}

#[test]
fn every_verb_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("share/man1");
    edgemaxx().arg("man").arg(&pages).assert().success();
    for verb in verbs() {
        let page = std::fs::read_to_string(pages.join(format!("edgemaxx-{verb}.1"))).expect(&verb);
        assert!(page.contains(".SH SYNOPSIS") && page.contains(".SH DESCRIPTION"), "{verb}");
    }
    let whole = std::fs::read_to_string(pages.join("edgemaxx.1")).unwrap();
    assert!(whole.contains("edgemaxx\\-run(1)"), "{whole}");
    assert!(pages.join("edgemaxx-miner-optimize.1").exists(), "verbs of verbs, too");
}

#[test]
fn the_version_says_how_it_was_built() {
    let output = edgemaxx().arg("--version").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let line = |name: &str| {
        let value =
            said.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name} {said}"));
        value.trim().to_owned()
    };
    assert_eq!(line("edgemaxx "), env!("CARGO_PKG_VERSION"));
    let commit = line("commit:");
    let hexadecimal = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(commit == "unknown" || hexadecimal(commit.trim_end_matches("+changes")), "{commit}");
    assert!(!line("profile:").is_empty() && line("compiler:").starts_with("rustc "), "{said}");
    line("features:");
}
