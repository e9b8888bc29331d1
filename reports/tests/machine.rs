//! The forms for machines: summary, JUnit, Markdown.

mod common;

use edgemaxx_contract::format::Document as _;
use edgemaxx_report::{HistoryRun, Summary, history, junit, markdown, summary, summary_json};

#[test]
fn a_summary_is_read_as_it_was_written() {
    let run = common::run(&common::demo(), 3, 2, 0, None);
    let text = summary_json(&run.view()).expect("JSON");
    assert_eq!(Summary::from_json(&text).expect("round trip"), summary(&run.view()));
}

#[test]
fn junit_counts_every_standing() {
    let run = common::run(&common::demo(), 3, 2, 0, None);
    let xml = junit(&run.view()).expect("XML");
    assert!(xml.contains("tests=\"6\" skipped=\"1\" failures=\"1\" errors=\"1\" time="), "{xml}");
    assert_eq!(xml.matches("<testcase ").count(), 6);
    assert_eq!(xml.matches("</testcase>").count(), 6);
    assert!(
        xml.contains("<error message=\"failed; its engine died in every session\" type=\"error\"/>"),
        "{xml}"
    );
}

#[test]
fn markdown_is_one_table_with_a_verdict() {
    let run = common::run(&common::demo(), 3, 2, 0, None);
    let md = markdown(&run.view());
    assert!(md.starts_with("## Synthetic run\n\n**student-5 wins&#58; proven"), "{md}");
    let rows: Vec<&str> = md.lines().filter(|line| line.starts_with('|')).collect();
    assert_eq!(rows.len(), 8);
    assert!(rows.iter().all(|row| row.matches('|').count() == 10), "{rows:?}");
    let whole: u64 =
        run.estimates.candidates.iter().filter(|c| c.counted.is_whole()).map(|c| c.counted.compared).sum();
    assert!(
        md.contains(&format!("\n{whole} of {whole} requests of the others answered on both sides.")),
        "{md}"
    );
    let lacking = run.estimates.candidates.iter().find(|c| !c.counted.is_whole()).expect("one fails");
    assert!(md.contains(&format!("> {}: {}", lacking.name, lacking.counted)), "{md}");
}

#[test]
fn a_history_shows_the_day_a_candidate_became_faster() {
    let run = common::run(&common::demo(), 3, 2, 0, None);
    let base = summary(&run.view());
    let runs: Vec<HistoryRun> = (1..=12)
        .map(|day| {
            let mut summary = base.clone();
            summary.day = format!("2026-11-{day:02}").parse().expect("day");
            if day >= 7 {
                let speedup = summary.candidates[1].speedup.as_mut().expect("measured");
                for v in [Some(&mut speedup.point), speedup.lower.as_mut(), speedup.upper.as_mut()] {
                    *v.expect("bounded") *= 1.1;
                }
            }
            HistoryRun {
                summary,
                report: Some(format!("runs/{day}/report.html")),
                weights_block: Some(77),
                evidence: None,
            }
        })
        .collect();
    let files = history(&runs, &[]).expect("site");
    let page = &files[0].text;
    std::fs::write(std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("history.html"), page)
        .expect("folder");
    assert!(page.contains("2026-11-07: from ") && page.contains("(+10.0%)"), "the change is told");
    assert_eq!(page.matches(": from ").count(), 1, "and no other");
    assert!(page.contains("href=\"runs/12/report.html\""));
    // What a visitor reads first, before the tables: who won, for how long, and who did not.
    let table = page.find("By day").expect("the table");
    for text in [
        "href=\"runs/12/report.html#candidate-1\"",
        "It is about 6.2 times as fast as teacher, the baseline",
        "The winner has won all 12 runs.",
        "noisy</bdi></a> <bdi>was rejected: its pictures are not proven to be as good as the contest demands.",
        "broken</bdi></a> <bdi>failed",
    ] {
        assert!(page.find(text).is_some_and(|place| place < table), "no {text}");
    }
    let mut backwards = runs.clone();
    backwards.reverse();
    assert_eq!(history(&backwards, &[]).expect("site"), files, "the order of runs does not matter");
    let mut later = runs.clone();
    later[0].summary.winner = None;
    let page = &history(&later, &[]).expect("site")[0].text;
    assert!(page.contains("The winner has won the last 11 of 12 runs."), "{page}");
    let mut two = runs.clone();
    two[0].summary.contest = "another".to_owned();
    let page = &history(&two, &[]).expect("site")[0].text;
    assert!(page.contains("In short: another") && page.contains("In short: synthetic"));
    std::fs::write(std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("history-two.html"), page)
        .expect("folder");
    let mut hostile = runs;
    hostile[0].report = Some("javascript:alert(1)".to_owned());
    assert!(!history(&hostile, &[]).expect("site")[0].text.contains("javascript:"));
}
