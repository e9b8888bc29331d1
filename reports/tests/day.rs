//! A validator's day: everybody stands there with what became of him, on every form of the report, measured or not.

mod common;

use edgemaxx_contract::day::{BlockRef, DayRecord, Fate, Repeats, Submission, Undecoded};
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::sealed_claim::{Claim, Salt};
use edgemaxx_contract::weights::{Origin, Weights, entries};
use edgemaxx_report::{
    DayView, FileDigest, QuietDay, RunView, day_html, day_markdown, history, html, markdown, tables,
};

const VALIDATOR: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";

fn fates() -> Vec<(&'static str, Fate, &'static str, &'static str)> {
    let digest = Digest::of("files");
    let repeats = Repeats { of: vec!["student-5".to_owned()], how: "98% of its own weights".to_owned() };
    vec![
        ("student-5", Fate::candidate(digest), "accepted", "sealed in block 90, opened in block 95"),
        (
            "steps-10",
            Fate::Candidate { digest, repeats: Some(repeats), by_engine: true },
            "accepted",
            "98% of its own weights",
        ),
        (
            "copy",
            Fate::Copy { of: "student-5".to_owned(), how: "the same files".to_owned(), digest: None },
            "copy",
            "of student-5",
        ),
        ("broken", Fate::Invalid { reason: "no <model_index.json>".to_owned() }, "invalid", "no &lt;model"),
        ("else", Fate::OtherContest { contest: "flux-m2".to_owned() }, "another contest", "for flux-m2"),
        ("gone", Fate::Unregistered, "not registered", "not registered when submissions closed"),
        ("shut", Fate::Sealed, "sealed", "was not opened in time"),
    ]
}

fn record() -> DayRecord {
    let block =
        |number| BlockRef { number, hash: format!("0x{}", Digest::of("block")), unix_s: 1_772_816_400 };
    let submission = |(index, (name, fate, ..)): (usize, (&str, Fate, &str, &str))| Submission {
        hotkey: name.to_owned(),
        uid: (fate != Fate::Unregistered).then_some(index as u16),
        since: 90 + index as u64,
        index: None,
        source: format!("hf:{name}/sdxl@0001"),
        claim: (name == "student-5").then(|| Claim {
            block: 90,
            digest: Digest::of("seal"),
            salt: Salt([1; 16]),
            opened: 95,
        }),
        fate,
    };
    DayRecord {
        format: DayRecord::expected_format(),
        day: "2026-03-06".parse().unwrap(),
        netuid: 39,
        validator: VALIDATOR.to_owned(),
        closed_unix_s: 1_772_816_400,
        block: Some(block(100)),
        opened: Some(block(250)),
        registered: vec!["student-5".to_owned()],
        submissions: fates().into_iter().enumerate().map(submission).collect(),
        undecoded: vec![Undecoded { hotkey: "old".to_owned(), reason: "commitment version 9".to_owned() }],
        not_measured: None,
    }
}

fn weights(origin: Origin) -> Weights {
    Weights {
        format: Weights::expected_format(),
        day: "2026-03-06".parse().unwrap(),
        origin,
        reason: "student-5 wins".to_owned(),
        ranking: None,
        earned: None,
        share: None,
        winner: Some("student-5".to_owned()),
        entries: entries([("student-5".to_owned(), 0.8), ("steps-10".to_owned(), 0.2)]),
    }
}

fn keep(name: &str, page: &str) {
    std::fs::write(std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name), page)
        .expect("target folder");
}

#[test]
fn everybody_stands_there_with_what_became_of_him() {
    let run = common::run(&common::demo(), 3, 2, 16, None);
    let (record, weights) = (record(), weights(Origin::Earned));
    let view = run.view();
    let day = DayView { record: &record, weights: &weights, ranking: Some(view.ranking) };
    let view = RunView { day: Some(day), ..view };
    let page = html(&view, &run).expect("page");
    keep("report-day.html", &page);
    let section = &page[page.find("id=\"submissions\"").expect("the section")..];
    let md = markdown(&view);
    for (name, _, words, why) in fates() {
        for text in [name, words, why, &format!("hf:{name}/sdxl@0001")] {
            assert!(section.contains(text), "{name}: no {text:?}");
        }
        assert!(md.contains(&format!("| {name} |")) && md.contains(words), "{name}: {md}");
    }
    let block = "100, 0x";
    for text in [
        "39",
        VALIDATOR,
        block,
        "2026-03-06T17:00:00Z",
        "block 250",
        "80.0%",
        "commitment version 9",
        "undecodable",
    ] {
        // Markdown keeps GitHub from linking what has a colon.
        assert!(section.contains(text) && md.contains(&text.replace(':', "&#58;")), "no {text}: {md}");
    }
    // Whose weights nobody can compare is marked, once, wherever he stands.
    let mark = "no weights that can be compared";
    let csv = String::from_utf8(tables::submissions(&day).unwrap().to_csv().unwrap()).unwrap();
    for text in [section, &md, &csv] {
        assert_eq!(text.matches(mark).count(), 1, "{text}");
    }
    let verify = format!("edgemaxx verify 2026-03-06 --hotkey {VALIDATOR} --chain finney");
    assert!(section.contains(&verify) && md.contains(&verify));
    assert!(page.contains("href=\"#submissions\"") && section.contains("href=\"#candidate-1\""));
    let csv = String::from_utf8(tables::submissions(&day).unwrap().to_csv().unwrap()).unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "uid,hotkey,source,since_block,fate,share,why");
    assert_eq!(lines.len(), 9, "{csv}");
    assert!(
        lines[3].starts_with("2,copy,hf:copy/sdxl@0001,92,copy,0.0,")
            && lines[8].starts_with(",old,,,undecodable,"),
        "{csv}"
    );
    // A run by hand has no such section.
    let by_hand = html(&run.view(), &run).expect("page");
    assert!(!by_hand.contains("id=\"submissions\"") && !by_hand.contains("#submissions"));
}

#[test]
fn a_day_on_which_nothing_was_measured_has_a_page_too() {
    let record = DayRecord { not_measured: Some("the disk is <full>".to_owned()), ..record() };
    let weights = Weights { reason: "the disk is full; kept".to_owned(), ..weights(Origin::Kept) };
    let day = DayView { record: &record, weights: &weights, ranking: None };
    let files = [FileDigest { name: "day.json".to_owned(), digest: Digest::of(record.to_json()) }];
    let page = day_html("Contest <b>", &day, &files).expect("page");
    keep("day.html", &page);
    for text in [
        "the disk is &lt;full&gt;",
        "Contest &lt;b&gt;",
        "not measured",
        "of student-5: the same files",
        "kept from an earlier day",
    ] {
        assert!(page.contains(text), "no {text}");
    }
    assert!(page.contains(&files[0].digest.to_string()));
    assert!(day_markdown("Contest", &day).contains("nothing was measured"));
    // Nobody at all.
    let nobody = DayRecord { submissions: Vec::new(), undecoded: Vec::new(), block: None, ..record.clone() };
    let page = day_html("Contest", &DayView { record: &nobody, ..day }, &files).expect("page");
    assert!(page.contains("Nobody had committed") && page.contains("the chain could not be read"));

    let quiet = QuietDay {
        day: "2026-03-06".parse().unwrap(),
        report: "2026-03-06/report.html".to_owned(),
        reason: "nobody <submitted>".to_owned(),
        weights_block: Some(4711),
        contests: Vec::new(),
    };
    let site = &history(&[], &[quiet]).expect("site")[0].text;
    for text in ["2026-03-06/report.html", "nobody &lt;submitted&gt;", "4711"] {
        assert!(site.contains(text), "no {text}");
    }
}
