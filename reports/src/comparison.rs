//! A comparison for people and for CI: Markdown, JSON, JUnit, GitHub annotations.

use std::fmt::Write as _;

use edgemaxx_contract::comparison::{Comparison, ComparisonRow, Verdict};
use edgemaxx_contract::estimate::Estimate;

use crate::ReportError;
use crate::escape::visible;
use crate::junit::{Case, CaseResult, suite};
use crate::markdown::cell;
use crate::number;

/// The comparison as GitHub-flavoured Markdown.
pub fn comparison_markdown(comparison: &Comparison) -> String {
    let mut md = String::new();
    let verdict = comparison.verdict.words();
    let _ = writeln!(md, "## {}: {verdict}\n", cell(&comparison.subject.label, 200));
    let _ = writeln!(md, "**{}**\n", cell(&comparison.reason, 2000));
    let limits = &comparison.limits;
    let similarity = limits
        .min_similarity
        .map_or_else(String::new, |s| format!(", similarity at least {}", number::fixed(s, 3)));
    let _ = writeln!(
        md,
        "Compared with {}; tolerated: {} slower{similarity}; bounds at {}.\n",
        cell(&comparison.reference.label, 200),
        number::percent(limits.max_slowdown, 2),
        number::percent(limits.level, 0),
    );
    for warning in &comparison.warnings {
        let _ = writeln!(md, "Warning: {}\n", cell(warning, 1000));
    }
    for (title, differences) in
        [("differs", &comparison.differences), ("built otherwise", &comparison.builds)]
    {
        if differences.is_empty() {
            continue;
        }
        let _ = writeln!(md, "| {title} | reference | subject |\n|:--|:--|:--|");
        for d in differences {
            let _ = writeln!(
                md,
                "| {} | {} | {} |",
                cell(&d.what, 100),
                cell(&d.reference, 300),
                cell(&d.subject, 300)
            );
        }
        md.push('\n');
    }
    if !comparison.rows.is_empty() {
        let _ = writeln!(md, "| pipeline | verdict | latency | interval | similarity | why |");
        let _ = writeln!(md, "|:--|:--|--:|:--|--:|:--|");
        for row in &comparison.rows {
            let (point, ends) = slowdown(row.slowdown.as_ref());
            let _ = writeln!(
                md,
                "| {} | {} | {point} | {ends} | {} | {} |",
                cell(&row.name, 100),
                row.verdict.words(),
                similarity_text(row),
                cell(&explanation(row), 500),
            );
        }
        md.push('\n');
        for row in &comparison.rows {
            let _ = writeln!(md, "{}: {}.{}\n", cell(&row.name, 100), cell(&requests(row), 500), sight(row));
        }
    }
    let _ =
        writeln!(md, "Samples `{}` against `{}`.", comparison.subject.samples, comparison.reference.samples);
    md
}

/// The comparison as JUnit: regressed fails, cannot tell and a warning are skipped, unfit or incomparable is an error.
///
/// # Errors
/// [`ReportError::Junit`]: a defect of this program.
pub fn comparison_junit(comparison: &Comparison) -> Result<String, ReportError> {
    let name = format!("edgemaxx compare {} with {}", comparison.subject.label, comparison.reference.label);
    let case = |name: &str, verdict: Verdict, words: String| Case {
        class: comparison.subject.label.clone(),
        name: name.to_owned(),
        seconds: None,
        result: match verdict {
            Verdict::Improved | Verdict::Equivalent => CaseResult::Passed(words),
            Verdict::CannotTell => CaseResult::Skipped(words),
            Verdict::Regressed => CaseResult::Failed(words),
            Verdict::Unfit | Verdict::Incomparable => CaseResult::Error(words),
        },
    };
    let mut cases: Vec<Case> = comparison
        .rows
        .iter()
        .map(|row| case(&row.name, row.verdict, format!("{}: {}", row.verdict.words(), explanation(row))))
        .collect();
    if cases.is_empty() {
        cases.push(case("comparison", comparison.verdict, incomparable(comparison)));
    }
    let warning = |(n, words): (usize, &String)| {
        case(&format!("warning {}", n + 1), Verdict::CannotTell, words.clone())
    };
    cases.extend(comparison.warnings.iter().enumerate().map(warning));
    suite(&name, &cases)
}

/// The comparison as GitHub workflow commands, one annotation a line.
pub fn comparison_github(comparison: &Comparison) -> String {
    let mut text = String::new();
    let mut annotate = |verdict: Verdict, title: &str, message: &str| {
        let level = match verdict {
            Verdict::Improved | Verdict::Equivalent => "notice",
            Verdict::CannotTell => "warning",
            Verdict::Regressed | Verdict::Unfit | Verdict::Incomparable => "error",
        };
        let _ = writeln!(text, "::{level} title={}::{}", property(title), data(message));
    };
    for row in &comparison.rows {
        let (point, ends) = slowdown(row.slowdown.as_ref());
        let title = format!("{} {}", row.name, row.verdict.words());
        annotate(row.verdict, &title, &format!("{} (latency {point}, {ends})", explanation(row)));
    }
    if comparison.rows.is_empty() {
        annotate(comparison.verdict, comparison.verdict.words(), &incomparable(comparison));
    }
    for warning in &comparison.warnings {
        annotate(Verdict::CannotTell, "warning", warning);
    }
    text
}

fn incomparable(comparison: &Comparison) -> String {
    let differences: Vec<String> = comparison
        .differences
        .iter()
        .map(|d| format!("{}: {} in the reference, {} in the subject", d.what, d.reference, d.subject))
        .collect();
    if differences.is_empty() {
        return comparison.reason.clone();
    }
    format!("{} ({})", comparison.reason, differences.join("; "))
}

fn explanation(row: &ComparisonRow) -> String {
    let mut words = match row.more_sessions {
        Some(1) => format!("{}; about 1 more session would tell", row.reason),
        Some(more) => format!("{}; about {more} more sessions would tell", row.reason),
        None => row.reason.clone(),
    };
    if lacks_requests(row) {
        let _ = write!(words, "; {}", requests(row));
    }
    words
}

/// How many requests count, and why others do not.
fn requests(row: &ComparisonRow) -> String {
    match &row.reference_counted {
        Some(reference) => format!("{}; in the reference, {reference}", row.counted),
        None => row.counted.to_string(),
    }
}

/// Whether requests are missing on either side.
fn lacks_requests(row: &ComparisonRow) -> bool {
    [Some(&row.counted), row.reference_counted.as_ref()]
        .into_iter()
        .flatten()
        .any(|counted| !counted.is_whole())
}

/// What the samples of a row could show and could not, and what the quiet second metric says.
fn sight(row: &ComparisonRow) -> String {
    let Some(detectable) = row.detectable else { return String::new() };
    let detectable = number::percent(detectable, 2);
    let mut words = format!(
        " A slowdown of {detectable} or more would have been found in four of five cases; a smaller one may hide."
    );
    if row.processor.is_some() {
        let (point, ends) = slowdown(row.processor.as_ref());
        let _ = write!(words, " Processor time for a request: {point} ({ends}); no verdict rests on it.");
    }
    words
}

/// Point and interval of a relative change, with signs.
fn slowdown(estimate: Option<&Estimate>) -> (String, String) {
    let change = |v: f64| format!("{}{}", if v > 0.0 { "+" } else { "" }, number::percent(v, 2));
    match estimate {
        None => (number::UNDEFINED.to_owned(), number::UNDEFINED.to_owned()),
        Some(e) => (number::optional(Some(e.point), change), number::interval(e.lower, e.upper, change)),
    }
}

fn similarity_text(row: &ComparisonRow) -> String {
    let Some(similarity) = &row.similarity else { return number::UNDEFINED.to_owned() };
    let bound = number::optional(similarity.lower, |v| format!("≥ {}", number::fixed(v, 3)));
    row.metric.map_or_else(|| bound.clone(), |metric| format!("{} {bound}", cell(&metric.title(), 40)))
}

/// Escapes a workflow command's message.
fn data(text: &str) -> String {
    visible(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a workflow command's property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
