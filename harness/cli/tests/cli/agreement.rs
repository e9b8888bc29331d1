//! Whatever is measured, no file of a run contradicts another: the sentence at the top, the leaderboard, the report (its
//! page and its Markdown), the terminal, the ranking, the estimates and the summary say the same of everybody.
//! (`analyze/src/stages/agreement.rs` holds many more contests to it within the numbers themselves.)

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::common::{Playground, candidate, derive, edgemaxx, retime};

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
/// Time of an answer relative to the baseline's: losers, equals, near equals and clear winners.
const TIMES: [f64; 8] = [1.3, 1.0, 0.999, 0.8, 0.502, 0.5, 0.45, 0.25];
const CONTESTS: u64 = 24;

fn json(run: &Path, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(run.join(name)).unwrap()).unwrap()
}

/// A text as a reader of the Markdown sees it.
fn plain(text: &str) -> String {
    let mut parts = text.split("&#");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (number, rest) = part.split_once(';').unwrap();
        plain.push(char::from_u32(number.parse().unwrap()).unwrap());
        plain.push_str(rest);
    }
    plain
}

/// The rows of a table of Markdown by the name in their second cell.
fn rows(markdown: &str) -> BTreeMap<String, Vec<String>> {
    let lines = markdown.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| #"));
    lines
        .map(|line| {
            let cells: Vec<String> =
                line.trim_matches('|').split('|').map(|cell| plain(cell.trim())).collect();
            (cells[1].clone(), cells)
        })
        .collect()
}

/// The rows of the leaderboard by candidate, and within a row by column.
fn leaderboard(run: &Path) -> BTreeMap<String, BTreeMap<String, String>> {
    let text = std::fs::read_to_string(run.join("leaderboard.csv")).unwrap();
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    lines
        .map(|line| {
            // The reasons come last, and may hold commas.
            let cells = line.splitn(names.len(), ',').map(str::to_owned);
            let row: BTreeMap<String, String> =
                names.iter().map(|name| (*name).to_owned()).zip(cells).collect();
            (row["candidate"].clone(), row)
        })
        .collect()
}

/// The interval that a claim rests on.
fn claimed(estimate: &Value) -> &Value {
    let all = &estimate["speedup_simultaneous"];
    if all.is_null() { &estimate["speedup"] } else { all }
}

fn number(cell: &str) -> Option<f64> {
    (!cell.is_empty()).then(|| cell.parse().unwrap())
}

/// What stands between two marks, from the first of the one to the next of the other.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text.split_once(from).unwrap_or_else(|| panic!("no {from:?}"));
    rest.split_once(to).unwrap_or_else(|| panic!("no {to:?} after {from:?}")).0
}

/// The text of HTML, of which whatever stands between angle brackets is none.
fn text(html: &str) -> String {
    html.split('<').map(|part| part.rsplit('>').next().unwrap_or_default()).collect()
}

/// Holds the report's page to the ranking and to the table of the Markdown: the sentence at the top, the one in short, and
/// every row of the leaderboard.
fn page_agrees(run: &Path, ranking: &Value, table: &BTreeMap<String, Vec<String>>, contest: u64) {
    let page = std::fs::read_to_string(run.join("report.html")).unwrap();
    let verdict = ranking["verdict"].as_str().unwrap();
    let said = |what: &str| format!("contest {contest}: {what}: {verdict}");
    assert_eq!(between(&page, "<p class=\"verdict\"><bdi>", "</bdi>"), verdict, "{}", said("page"));
    let short = text(between(&page, "<p class=\"won\">", "</p>"));
    let winner = ranking["winner"].as_str();
    match winner {
        Some(name) => assert!(short.trim().starts_with(&format!("{name} ")), "{}: {short}", said("in short")),
        None => assert!(!short.contains(" wins"), "{}: {short}", said("in short")),
    }
    let board = between(&page, "<table class=\"board\"", "</table>");
    let rows: Vec<&str> = board.split("<tr data-name=\"").skip(1).collect();
    let entries = ranking["entries"].as_array().unwrap();
    assert_eq!(rows.len(), entries.len(), "{}", said("rows"));
    for (row, entry) in rows.into_iter().zip(entries) {
        let name = entry["name"].as_str().unwrap();
        assert_eq!(row.split('"').next(), Some(name), "{}", said(name));
        assert_eq!(
            Some(between(row, "data-standing=\"", "\"")),
            entry["standing"].as_str(),
            "{}",
            said(name)
        );
        let (first, _) = row.split_once("<td").unwrap();
        assert_eq!(first.contains("class=\"winner\""), winner == Some(name), "{}", said(name));
        let cells: Vec<String> = row.split("<td").map(|cell| text(&format!("<td{cell}"))).collect();
        let expected = &table[name];
        let place = format!("<td data-key=\"{0}\">{0}</td>", expected[0]);
        assert!(row.contains(&place) && cells[2] == expected[2], "{}: place and tier: {row}", said(name));
        let shown = text(between(row, "<small>", "</small>"));
        assert!(row.contains(&format!("<small>{}</small>", expected[4])), "{}: {shown}", said(name));
        // Who is no candidate, or failed, has no score to show.
        assert!(cells[5] == expected[6] || cells[5] == "—", "{}: {cells:?}", said(name));
        let none = entry["standing"] == "control" || entry["standing"] == "failed";
        assert_eq!(cells[5] == "—", none, "{}", said(name));
        let weight = entry["weight"].as_f64().unwrap();
        let weight = if weight > 0.0 { format!("{:.1}%", 100.0 * weight) } else { "—".to_owned() };
        assert_eq!(cells[6], weight, "{}", said(name));
    }
}

/// Holds what the terminal shows to the estimates.
fn terminal_agrees(run: &Path, ranking: &Value, of: &dyn Fn(&str) -> Value, contest: u64) {
    let shown = edgemaxx().arg("rank").arg(run).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert_eq!(shown.lines().next(), ranking["verdict"].as_str(), "contest {contest}");
    let (lines, entries) = (shown.lines().skip(2), ranking["entries"].as_array().unwrap());
    assert_eq!(lines.clone().count(), entries.len(), "contest {contest}: {shown}");
    for (line, entry) in lines.zip(entries) {
        let lower = claimed(&of(entry["name"].as_str().unwrap()))["lower"].as_f64();
        let lower = lower.map_or("—".to_owned(), |lower| format!("≥ {lower:.3}×"));
        // The column after the tier's, up to the score.
        let (before, _) = line.split_once("  score ").unwrap();
        let column = before.rsplit("  ").next().unwrap().trim();
        assert_eq!(column, lower, "contest {contest}: {line}");
    }
}

/// Holds all files of a run to one another; the number of leaders.
fn agree(run: &Path, contest: u64) -> usize {
    let (ranking, estimates, summary) =
        (json(run, "ranking.json"), json(run, "estimates.json"), json(run, "summary.json"));
    let markdown = std::fs::read_to_string(run.join("report.md")).unwrap();
    let (board, table) = (leaderboard(run), rows(&markdown));
    let verdict = ranking["verdict"].as_str().unwrap();
    let said = |what: &str| format!("contest {contest}: {what}: {verdict}");
    assert!(markdown.lines().any(|line| plain(line) == format!("**{verdict}**")), "{}", said("Markdown"));
    assert_eq!(summary["verdict"], ranking["verdict"], "{}", said("summary"));
    let entries = ranking["entries"].as_array().unwrap();
    let of = |name: &str| {
        let all = estimates["candidates"].as_array().unwrap();
        all.iter().find(|candidate| candidate["name"] == name).unwrap()
    };
    page_agrees(run, &ranking, &table, contest);
    terminal_agrees(run, &ranking, &|name| of(name).clone(), contest);
    let mut last = (0, 0);
    let mut leaders = Vec::new();
    for (place, entry) in entries.iter().enumerate() {
        let name = entry["name"].as_str().unwrap();
        let (row, cells, estimate) = (&board[name], &table[name], of(name));
        let same = |column: &str, value: &Value| match (number(&row[column]), value.as_f64()) {
            (Some(cell), Some(value)) => (cell - value).abs() <= 1e-9 * value.abs().max(1.0),
            (cell, value) => cell == value,
        };
        let position = place as u64 + 1;
        assert!(entry["position"] == position && row["position"] == position.to_string(), "{}", said(name));
        assert_eq!(cells[0], position.to_string(), "{}", said(name));
        assert_eq!(entry["standing"], Value::from(row["standing"].as_str()), "{}", said(name));
        for (column, value) in [
            ("tier", &entry["tier"]),
            ("score", &entry["score"]),
            ("weight", &entry["weight"]),
            ("speedup_lower", &claimed(estimate)["lower"]),
            ("speedup_upper", &claimed(estimate)["upper"]),
            ("speedup", &estimate["speedup"]["point"]),
            ("rank_lower", &estimate["rank"]["lower"]),
            ("rank_upper", &estimate["rank"]["upper"]),
            ("p_best", &estimate["p_best"]),
            ("requests_compared", &estimate["counted"]["compared"]),
        ] {
            assert!(same(column, value), "{}: {column}: {} and {value}", said(name), row[column]);
        }
        let tier = entry["tier"].as_u64();
        assert_eq!(cells[2], tier.map_or("—".to_owned(), |tier| tier.to_string()), "{}", said(name));
        assert_eq!(cells[6], format!("{:.4}", entry["score"].as_f64().unwrap()), "{}", said(name));
        assert_eq!(cells[7], format!("{:.1}%", 100.0 * entry["weight"].as_f64().unwrap()), "{}", said(name));
        // Who earns less stands further down, and no tier comes back.
        if let Some(tier) = tier {
            assert!(tier == last.1 || tier == last.1 + 1, "{}", said(name));
            last.1 = tier;
        }
        if tier == Some(1) {
            leaders.push(name);
        }
        let faster = row["claim"] == "faster";
        assert!(entry["standing"] != "accepted" || faster, "{}", said(name));
        // Who is in the lead by score, where all are alike, is not proven slower than anybody, nor surely not the best.
        if tier == Some(1) {
            assert_eq!(estimate["rank"]["lower"], 1, "{}", said(name));
        }
        assert!(estimate["rank"]["lower"] == 1 || estimate["p_best"] == 0.0, "{}", said(name));
        last.0 = place;
    }
    assert_eq!((board.len(), table.len(), last.0 + 1), (entries.len(), entries.len(), entries.len()));
    let winner = ranking["winner"].as_str();
    match leaders[..] {
        [] => assert!(
            winner.is_none() && verdict.starts_with("No candidate is proven faster"),
            "{}",
            said("none")
        ),
        [alone] => {
            assert!(
                winner == Some(alone) && verdict.starts_with(&format!("{alone} wins: ")),
                "{}",
                said(alone)
            );
            // The bound in the sentence is the one beside it in every table.
            let bound = verdict.split("at least ").nth(1).and_then(|rest| rest.split('×').next()).unwrap();
            let lower = claimed(of(alone))["lower"].as_f64().unwrap();
            assert_eq!(bound, format!("{lower:.2}"), "{}", said(alone));
            let shown: f64 = table[alone][4].split(" … ").next().unwrap().parse().unwrap();
            assert!((lower - shown).abs() <= 0.00051, "{}: {shown}", said(alone));
        }
        _ => {
            assert!(winner.is_none() && verdict.contains("tie for the win"), "{}", said("several"));
            let named: Vec<&str> = verdict.split(" tie for").next().unwrap().split(", ").collect();
            assert_eq!(named, leaders, "{}", said("several"));
        }
    }
    leaders.len()
}

#[test]
fn no_file_of_a_run_contradicts_another() {
    let candidates: String = NAMES.map(|name| candidate(name, &["--latency-us", "300"])).concat();
    let ground = Playground::new(&candidates);
    ground.replace("contest.toml", "\"4000\"]", "\"300\"]");
    ground.replace("contest.toml", "sessions = 5\npairs = 3", "sessions = 5\npairs = 2\nblock = 6");
    let run = ground.measured("run");
    let mut leaders = BTreeMap::<usize, u32>::new();
    let mut state = 1u64;
    for contest in 0..CONTESTS {
        let factors: BTreeMap<&str, f64> = NAMES
            .into_iter()
            .map(|name| {
                // Knuth's MMIX generator: the contests are the same wherever they are run.
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                // A third of the contests has nobody who is faster.
                let slow = contest % 3 == 0;
                (name, TIMES[(state >> 60) as usize % if slow { 3 } else { TIMES.len() }])
            })
            .collect();
        retime(&run, contest, |name| factors.get(name).copied().unwrap_or(1.0));
        derive(&run);
        *leaders.entry(agree(&run, contest).min(2)).or_default() += 1;
    }
    assert!(
        (0..=2).all(|count| leaders.get(&count) > Some(&1)),
        "all the cases there are did occur: {leaders:?}"
    );
}
