//! `edgemaxx history` through the program.

use std::fs;
use std::path::Path;

use crate::common::{Playground, candidate, edgemaxx, failure};
use serde_json::Value;

/// A folder with a run's report and its summary, changed.
fn day(runs: &Path, name: &str, from: &Path, change: impl Fn(&mut Value)) {
    let folder = runs.join(name);
    fs::create_dir_all(&folder).unwrap();
    fs::copy(from.join("report.html"), folder.join("report.html")).unwrap();
    let mut summary: Value = serde_json::from_slice(&fs::read(from.join("summary.json")).unwrap()).unwrap();
    change(&mut summary);
    fs::write(folder.join("summary.json"), summary.to_string()).unwrap();
}

fn history(runs: &Path, out: &Path) -> assert_cmd::assert::Assert {
    edgemaxx().arg("history").arg(runs).arg("--out").arg(out).assert()
}

#[test]
fn a_site_of_many_days_with_their_reports_and_a_lasting_change() {
    let ground = Playground::new(&candidate("mine", &["--latency-us", "1000"]));
    ground.measured("run");
    let (run, runs, site) = (ground.path("run"), ground.path("runs"), ground.path("site"));
    for number in 1..=12 {
        day(&runs, &format!("run-{number:02}"), &run, |summary| {
            summary["day"] = format!("2026-11-{number:02}").into();
            summary["samples"] = format!("{number:064x}").into();
            // From the 7th on the candidate is a tenth faster, with a little noise before and after.
            let speedup = if number < 7 { 2.0 } else { 2.2 } * (1.0 + 0.002 * f64::from(number % 3));
            let mine = summary["candidates"]
                .as_array_mut()
                .unwrap()
                .iter_mut()
                .find(|c| c["name"] == "mine")
                .unwrap();
            mine["speedup"] = serde_json::json!({"point": speedup, "lower": speedup - 0.02, "upper": speedup + 0.02, "level": 0.95});
            summary["baseline_latency_ms"] =
                serde_json::json!({"point": 4.0, "lower": 3.9, "upper": 4.1, "level": 0.95});
        });
    }
    fs::create_dir(runs.join("no run at all")).unwrap();
    fs::create_dir(runs.join("unreported")).unwrap();
    fs::copy(run.join("samples.jsonl"), runs.join("unreported/samples.jsonl")).unwrap();
    let said = history(&runs, &site).success();
    let said = String::from_utf8_lossy(&said.get_output().stderr).into_owned();
    assert!(said.contains("unreported: a run without summary.json, left out"), "{said}");
    assert!(!said.contains("no run at all"), "{said}");
    let page = fs::read_to_string(site.join("index.html")).unwrap();
    for number in 1..=12 {
        let link = format!("reports/2026-11-{number:02}-{}.html", &format!("{number:064x}")[..12]);
        assert!(page.contains(&format!("href=\"{link}\"")), "no {link}");
        assert_eq!(fs::read(site.join(link)).unwrap(), fs::read(run.join("report.html")).unwrap());
    }
    assert!(page.contains("2026-11-07: from 2.00"), "the change is told");
    assert_eq!(page.matches("2026-11-07: from").count(), 1, "and only of the candidate");
    assert!(page.contains("Baseline drift") && page.contains("12 runs, 2026-11-01 to 2026-11-12"));

    // Again, with a day less, in another locale: only what is left, the same bytes.
    let all = fs::read(site.join("index.html")).unwrap();
    fs::rename(runs.join("run-12"), ground.path("aside")).unwrap();
    history(&runs, &site).success();
    assert_eq!(fs::read_dir(site.join("reports")).unwrap().count(), 11);
    fs::rename(ground.path("aside"), runs.join("other name")).unwrap();
    edgemaxx()
        .arg("history")
        .arg(&runs)
        .arg("--out")
        .arg(&site)
        .env("LC_ALL", "tr_TR.UTF-8")
        .env("TZ", "Asia/Tokyo")
        .assert()
        .success();
    assert_eq!(fs::read(site.join("index.html")).unwrap(), all);
}

#[test]
fn copies_count_once_and_foreign_folders_are_left_alone() {
    let ground = Playground::new(&candidate("mine", &["--latency-us", "1000"]));
    ground.measured("run");
    let runs = ground.path("runs");
    day(&runs, "a", &ground.path("run"), |_| {});
    day(&runs, "b", &ground.path("run"), |_| {});
    fs::remove_file(runs.join("a/report.html")).unwrap();
    let shown = history(&runs, &ground.path("site")).success();
    let said = String::from_utf8_lossy(&shown.get_output().stderr).into_owned();
    assert!(
        said.contains("the same run as") && said.contains("no link") && said.contains("history: 1 run\n"),
        "{said}"
    );

    let precious = ground.path("precious");
    fs::create_dir(&precious).unwrap();
    fs::write(precious.join("mine"), "mine").unwrap();
    let (code, message) = failure(edgemaxx().arg("history").arg(&runs).arg("--out").arg(&precious));
    assert!(code == 2 && message.contains("no earlier site"), "{message}");
    let (code, message) =
        failure(edgemaxx().arg("history").arg(&precious).arg("--out").arg(ground.path("x")));
    assert!(code == 2 && message.contains("summary.json"), "{message}");
    day(&runs, "c", &ground.path("run"), |summary| summary["version"] = 99.into());
    let shown = history(&runs, &ground.path("site")).success();
    let said = String::from_utf8_lossy(&shown.get_output().stderr).into_owned();
    let left_out = said.lines().find(|line| line.starts_with("warning: ")).unwrap();
    assert!(left_out.contains("c/summary.json") && left_out.contains("99"), "{said}");
    assert!(said.contains("history: 1 run\n"), "{said}");
}
