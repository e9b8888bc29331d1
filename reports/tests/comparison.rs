//! A comparison in every form.

use edgemaxx_contract::comparison::{
    ComparedRun, Comparison, ComparisonLimits, ComparisonRow, RunDifference, Verdict,
};
use edgemaxx_contract::counted::Counted;
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::estimate::Estimate;
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::metric::Metric;
use edgemaxx_report::{comparison_github, comparison_junit, comparison_markdown};

fn estimate(point: f64, half: f64) -> Estimate {
    Estimate {
        point,
        lower: Some(point - half),
        upper: Some(point + half),
        method: "t on session means".to_owned(),
        n: 8,
        level: 0.95,
    }
}

fn row(name: &str, verdict: Verdict, slowdown: f64, more_sessions: Option<u32>) -> ComparisonRow {
    ComparisonRow {
        name: name.to_owned(),
        verdict,
        reason: format!("{slowdown} against 1% tolerated"),
        slowdown: Some(estimate(slowdown, 0.004)),
        detectable: None,
        processor: None,
        metric: Some(Metric::named("ssim_gray").expect("known")),
        similarity: Some(estimate(0.97, 0.01)),
        more_sessions,
        counted: Counted::all(40),
        reference_counted: None,
    }
}

fn comparison(rows: Vec<ComparisonRow>, differences: Vec<RunDifference>) -> Comparison {
    let verdict = rows.iter().map(|r| r.verdict).max().unwrap_or(Verdict::Incomparable);
    Comparison {
        format: Comparison::expected_format(),
        reference: ComparedRun { label: "main".to_owned(), samples: Digest::of("a") },
        subject: ComparedRun { label: "change".to_owned(), samples: Digest::of("b") },
        limits: ComparisonLimits { max_slowdown: 0.01, min_similarity: Some(0.9), level: 0.95 },
        verdict,
        reason: "see below".to_owned(),
        differences,
        warnings: Vec::new(),
        builds: Vec::new(),
        rows,
    }
}

#[test]
fn every_verdict_reads_right_in_every_form() {
    let mut c = comparison(
        vec![
            row("same", Verdict::Equivalent, 0.0, None),
            row("slow", Verdict::Regressed, 0.1, None),
            row("unsure", Verdict::CannotTell, 0.008, Some(4)),
            row("quick", Verdict::Improved, -0.2, None),
        ],
        Vec::new(),
    );
    c.rows[2].counted.compared = 38;
    c.rows[2].counted.leave_out(2, "failed");
    c.rows[1].reference_counted = Some(Counted::all(60));
    let md = comparison_markdown(&c);
    assert!(md.contains("same: 40 of 40 requests answered on both sides.\n"), "{md}");
    assert!(
        md.contains("slow: 40 of 40 requests answered on both sides; in the reference, 60 of 60 "),
        "{md}"
    );
    let missing = "would tell; 38 of 40 requests answered on both sides; 2 failed";
    assert!(md.contains(&format!("{missing} |")), "{md}");
    for text in [comparison_junit(&c).expect("XML"), comparison_github(&c)] {
        assert_eq!(text.matches(missing).count(), text.matches("answered on both sides").count(), "{text}");
        assert!(text.contains(missing), "{text}");
    }
    assert!(md.starts_with("## change: regressed\n"), "{md}");
    assert!(md.contains("| slow | regressed | +10.00% | +9.60% … +10.40% | SSIM ≥ 0.960 |"), "{md}");
    assert!(md.contains("about 4 more sessions would tell") && md.contains("| −20.00% |"), "{md}");
    let xml = comparison_junit(&c).expect("XML");
    for counts in ["skipped=\"1\" failures=\"1\" errors=\"0\"", "skipped=\"1\" errors=\"0\" failures=\"1\""] {
        assert!(xml.contains(&format!("tests=\"4\" {counts} time=\"0.000\">")), "{xml}");
    }
    let github = comparison_github(&c);
    let levels: Vec<&str> = github.lines().filter_map(|l| l.split(' ').next()).collect();
    assert_eq!(levels, ["::notice", "::error", "::warning", "::notice"]);
    assert!(
        github.contains("::error title=slow regressed::0.1 against 1%25 tolerated (latency +10.00%25"),
        "{github}"
    );
    let json = c.to_json();
    assert_eq!(Comparison::from_json(&json).expect("round trip"), c);
}

#[test]
fn incomparable_runs_name_the_difference() {
    let differs =
        RunDifference { what: "processor".to_owned(), reference: "A".to_owned(), subject: "B".to_owned() };
    let c = comparison(Vec::new(), vec![differs]);
    assert!(comparison_markdown(&c).contains("| processor | A | B |"));
    assert!(comparison_junit(&c).expect("XML").contains("errors=\"1\""));
    assert!(
        comparison_github(&c)
            .contains("::error title=incomparable::see below (processor: A in the reference")
    );
}

#[test]
fn hostile_names_stay_text() {
    let name = "x\n::error title=pwned::|<script>&\u{202e}%0A,:";
    let c = comparison(vec![row(name, Verdict::Regressed, 0.1, None)], Vec::new());
    let github = comparison_github(&c);
    assert_eq!(github.lines().count(), 1, "{github}");
    assert!(github.contains("%250A%2C%3A"), "{github}");
    assert!(!comparison_markdown(&c).contains("<script>"));
    let xml = comparison_junit(&c).expect("XML");
    assert!(!xml.contains("<script>") && xml.contains("&lt;script&gt;") && !xml.contains('\u{202e}'));
}

#[test]
fn a_warning_is_in_every_form() {
    let mut c = comparison(vec![row("same", Verdict::Equivalent, 0.0, None)], Vec::new());
    c.warnings = vec!["change was measured on an unfit machine: clocks: low".to_owned()];
    let junit = comparison_junit(&c).unwrap();
    for text in [&comparison_markdown(&c), &junit, &comparison_github(&c)] {
        assert!(text.contains("change was measured on an unfit machine"), "{text}");
    }
    assert!(junit.contains("skipped"), "{junit}");
    assert!(comparison_github(&c).contains("::warning title=warning::change was measured"));
}
