//! The published examples: from their raw logs, every byte of them again.

use std::fs;
use std::path::Path;

use crate::common::{copy_folder, edgemaxx, repository};

const EXAMPLE: &str = "reports/examples/emoji-cpu";
/// Published without their pictures; the second with telemetry.
const ON_GPUS: [&str; 2] = ["reports/examples/sdxl-random-h200", "reports/examples/sdxl-random-h100"];

/// What `analyze`, `rank` and `report` write, in that order.
const DERIVED: [&str; 11] = [
    "estimates.json",
    "ranking.json",
    "leaderboard.csv",
    "estimates.csv",
    "samples.csv",
    "quality.csv",
    "samples.parquet",
    "summary.json",
    "report.md",
    "junit.xml",
    "report.html",
];

/// The first line that differs, around the first byte that does.
fn difference(published: &[u8], found: &[u8]) -> String {
    let at = published.iter().zip(found).position(|(a, b)| a != b);
    let at = at.unwrap_or(published.len().min(found.len()));
    let line = published[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
    let around = |bytes: &[u8]| {
        let from = bytes[..at]
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |n| n + 1)
            .max(at.saturating_sub(100));
        let end = bytes.len().min(at + 100);
        let to = bytes[at..end].iter().position(|byte| *byte == b'\n').map_or(end, |n| at + n);
        String::from_utf8_lossy(&bytes[from..to]).into_owned()
    };
    format!("line {line}\n  published: {}\n  found:     {}", around(published), around(found))
}

#[test]
fn every_byte_of_the_examples_is_recomputed() {
    recompute(EXAMPLE);
    for name in ON_GPUS {
        recompute(name);
    }
}

/// Numbers that the README shows are those of the example that it names.
#[test]
fn the_readme_shows_the_published_example() {
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let report = fs::read_to_string(repository(EXAMPLE).join("report.md")).unwrap();
    let published: Vec<Vec<String>> =
        report.lines().filter(|line| line.starts_with("| ")).map(cells).collect();
    let readme = fs::read_to_string(repository("README.md")).unwrap();
    let table = readme.lines().skip_while(|line| !line.starts_with("| # | candidate |")).skip(2);
    let shown: Vec<Vec<String>> = table.take_while(|line| line.starts_with('|')).map(cells).collect();
    assert_eq!(shown.len(), 6, "{shown:?}");
    for row in shown {
        let name = row[2].split(',').next().unwrap();
        let own =
            published.iter().find(|own| own[2] == name).unwrap_or_else(|| panic!("{name} is not there"));
        // place, speedup, its interval, similarity
        assert_eq!([&row[1], &row[3], &row[4], &row[5]], [&own[1], &own[4], &own[5], &own[6]], "{name}");
    }
}

fn recompute(path: &str) {
    let example = repository(path);
    let folder = tempfile::tempdir().unwrap();
    let again = folder.path().join("run");
    copy_folder(&example, &again);
    for name in DERIVED {
        fs::remove_file(again.join(name)).unwrap_or_else(|error| panic!("{path}/{name}: {error}"));
    }
    for verb in ["analyze", "rank", "report"] {
        edgemaxx()
            .arg(verb)
            .arg(&again)
            .env("TZ", "Asia/Tokyo")
            .env("LC_ALL", "tr_TR.UTF-8")
            .assert()
            .success();
    }
    let mut wrong = Vec::new();
    for name in DERIVED {
        let (published, found) = (fs::read(example.join(name)).unwrap(), fs::read(again.join(name)).unwrap());
        if published != found {
            wrong.push(format!("{name}, {}", difference(&published, &found)));
        }
    }
    assert!(
        wrong.is_empty(),
        "{path} is not what this program makes of its raw log. If the change is meant, then\n\
         for verb in analyze rank report; do edgemaxx $verb {path}; done\n\n{}",
        wrong.join("\n\n")
    );
}

#[test]
fn the_example_holds_every_judged_picture_and_names_no_machine_folder() {
    let example = repository(EXAMPLE);
    let quality = fs::read_to_string(example.join("quality.jsonl")).unwrap();
    let digests = quality.lines().skip(1).flat_map(|line| {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        ["baseline_answer", "candidate_answer"].map(|side| record[side].as_str().unwrap().to_owned())
    });
    for digest in digests {
        assert!(example.join("artefacts").join(format!("{digest}.png")).is_file(), "{digest}");
    }
    assert!(!example.join("origin.json").exists());
    assert!(size(&example) < 4_000_000, "small enough to live in the repository");
}

fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|e| if e.path().is_dir() { size(&e.path()) } else { e.metadata().unwrap().len() }).sum()
}

#[test]
fn a_difference_is_shown_where_it_is() {
    let shown = difference(b"one\ntwo three\nfour", b"one\ntwo free\nfour");
    assert_eq!(shown, "line 2\n  published: two three\n  found:     two free");
    assert!(difference(b"one\n", b"one\ntwo").starts_with("line 2\n  published: \n  found:     two"));
}
