//! `edgemaxx compare` through the program. Latencies are rewritten, so that no machine's load
//! decides; everything else is as a run with scripted engines left it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{Playground, candidate, copy_folder, derive, edgemaxx, failure, retime};
use serde_json::Value;

/// A measured run, and one copy of it for each `(name, factor of the candidate's latency)`.
fn runs(copies: &[(&str, f64)]) -> (Playground, Vec<PathBuf>) {
    let ground = Playground::new(&candidate("mine", &["--latency-us", "1000"]));
    ground.measured("measured");
    let paths = copies.iter().enumerate().map(|(seed, (name, factor))| {
        let path = ground.path(name);
        copy_folder(&ground.path("measured"), &path);
        retime(&path, seed as u64, |candidate| if candidate == "mine" { *factor } else { 1.0 });
        derive(&path);
        path
    });
    let paths = paths.collect();
    (ground, paths)
}

fn compare(reference: &Path, subject: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output =
        edgemaxx().arg("compare").arg(reference).arg(subject).args(arguments).output().expect("runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

#[test]
fn verdicts_forms_and_exit_codes() {
    let (_ground, paths) = runs(&[("main", 0.25), ("slow", 0.275), ("quick", 0.2), ("same", 0.2501)]);
    let [main, slow, quick, same] = [0, 1, 2, 3].map(|index: usize| paths[index].as_path());
    let json = |arguments: &[&str], reference, subject| -> (i32, Value) {
        let (code, out, message) = compare(reference, subject, &[arguments, &["--json"]].concat());
        (code, serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out} {message}")))
    };
    let (code, answer) = json(&[], main, slow);
    assert_eq!((code, answer["verdict"].as_str()), (1, Some("regressed")), "{answer:#}");
    assert!((answer["rows"][0]["slowdown"]["point"].as_f64().unwrap() - 0.1).abs() < 0.01, "{answer:#}");
    let (code, answer) = json(&["--max-slowdown", "20%"], main, slow);
    assert_eq!((code, answer["verdict"].as_str()), (0, Some("equivalent")), "{answer:#}");
    let (code, answer) = json(&[], main, quick);
    assert_eq!((code, answer["verdict"].as_str()), (0, Some("improved")), "{answer:#}");
    let (code, answer) = json(&["--max-slowdown", "0.04%"], main, same);
    assert_eq!((code, answer["verdict"].as_str()), (0, Some("cannot_tell")), "{answer:#}");
    assert!(answer["rows"][0]["more_sessions"].as_u64().unwrap() > 1, "{answer:#}");
    assert_eq!(json(&["--max-slowdown", "0.04%", "--strict"], main, same).0, 1);
    let (code, answer) = json(&["--max-slowdown", "900%"], main, main);
    assert_eq!((code, answer["verdict"].as_str()), (0, Some("cannot_tell")), "{answer:#}");
    assert_eq!(json(&["--max-slowdown", "900%", "--strict"], main, main).0, 1, "a run against itself");

    let (code, text, message) = compare(main, slow, &[]);
    assert!(code == 1 && text.starts_with("## slow: regressed\n"), "{text}");
    assert!(message.contains("error: mine regressed"), "{message}");
    assert!(compare(main, slow, &["--format", "junit"]).1.contains("failures=\"1\""));
    assert!(compare(main, slow, &["--format", "github"]).1.starts_with("::error title=mine regressed::"));
}

#[test]
fn a_candidate_against_its_own_baseline() {
    let (_ground, paths) = runs(&[("run", 0.9)]);
    let run = |arguments: &[&str]| {
        let output = edgemaxx().arg("compare").arg(&paths[0]).args(arguments).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, text) = run(&["--candidate", "mine"]);
    assert!(code == 0 && text.contains("| mine | improved |"), "{text}");
    assert!(text.contains("Compared with baseline, the baseline;"), "{text}");
    // The mock's pictures are equal, so their similarity is 1 and no more.
    assert_eq!(run(&["--min-similarity", "1"]).0, 0);
    let (code, message) = failure(edgemaxx().arg("compare").arg(&paths[0]).args(["--candidate", "yours"]));
    assert!(code == 2 && message.contains("candidates are: mine"), "{message}");
}

#[test]
fn what_cannot_be_compared_is_refused_by_name() {
    let (ground, paths) = runs(&[("here", 0.5), ("there", 0.5), ("unfit", 0.5)]);
    let file = paths[1].join("environment.json");
    let mut environment: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    environment["cpu"] = "A faster processor".into();
    fs::write(&file, environment.to_string()).unwrap();
    let (code, text, message) = compare(&paths[0], &paths[1], &["--format", "md"]);
    assert_eq!(code, 2);
    assert!(message.contains("the runs differ in: processor"), "{message}");
    assert!(text.contains("| processor |") && text.contains("A faster processor"), "{text}");

    retime(&paths[2], 7, |candidate| if candidate == "control" { 1.2 } else { 0.5 });
    derive(&paths[2]);
    let (code, _, message) = compare(&paths[0], &paths[2], &[]);
    assert!(code == 3 && message.contains("unfit is unfit"), "{message}");

    let (code, _, message) = compare(&paths[0], &ground.path("nowhere"), &[]);
    assert!(code == 2 && message.contains("no run folder"), "{message}");
    for wrong in
        [&["--max-slowdown", "1"][..], &["--max-slowdown", "-1%"], &["--level", "20%"], &["--max-drift", "x"]]
    {
        let (code, _, message) = compare(&paths[0], &paths[0], wrong);
        assert!(code == 2 && message.contains("expected"), "{wrong:?}: {message}");
    }
}

/// The script of harness/docs/CI.md, with a shell.
#[cfg(unix)]
#[test]
fn the_script_for_any_ci_measures_compares_and_leaves_its_files() {
    // Long beside what a busy machine adds, or an answer that comes faster the second time looks remembered.
    let ground = Playground::new(&candidate("mine", &["--latency-us", "20000"]));
    ground.replace("contest.toml", "\"4000\"]", "\"40000\"]");
    let script = |reference: &str, out: &str| {
        let mut command = std::process::Command::new(crate::common::repository("scripts/ci-compare"));
        command.arg(ground.contest()).arg(ground.path(reference)).arg(ground.path(out));
        command.env("EDGEMAXX", env!("CARGO_BIN_EXE_edgemaxx")).env_remove("GITHUB_ACTIONS");
        command.env("MAX_SLOWDOWN", "900%").env("COMPARE_FLAGS", "--max-drift 900%");
        command.output().expect("a shell")
    };
    let first = script("none", "first");
    let said = String::from_utf8_lossy(&first.stderr).into_owned();
    // An unfit control (one honest run in a hundred) ends the script as it ends `edgemaxx run`.
    if first.status.code() == Some(3) {
        return;
    }
    assert!(first.status.success() && said.contains("nothing is compared"), "{said}");
    let second = script("first/run", "second");
    if second.status.code() == Some(3) {
        return;
    }
    assert!(second.status.success(), "{}", String::from_utf8_lossy(&second.stderr));
    for (name, holds) in
        [("compare.md", "## run: "), ("compare.json", "\"verdict\""), ("compare.xml", "<testsuites")]
    {
        let text = fs::read_to_string(ground.path("second").join(name)).unwrap();
        assert!(text.contains(holds), "{name}: {text}");
    }
}
