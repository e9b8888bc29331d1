//! `report.md`: fit for a GitHub job summary.

use std::fmt::Write as _;

use edgemaxx_contract::estimate::CertificateVerdict;
use edgemaxx_contract::plan::Extent;

use crate::day::{DayView, share};
use crate::escape::{escape, shorten, visible};
use crate::number;
use crate::page::device;
use crate::standing::standing_words;
use crate::view::RunView;

/// The report in short, as GitHub-flavoured Markdown.
pub fn markdown(view: &RunView<'_>) -> String {
    let mut md = String::new();
    let c = &view.estimates.certificate;
    let _ = writeln!(md, "## {}\n", cell(&view.contest.title, 200));
    let _ = writeln!(md, "**{}**\n", cell(&view.ranking.verdict, 2000));
    let extent = if view.plan.extent == Extent::Quick { "quick look" } else { "full run" };
    let fitness = if c.verdict == CertificateVerdict::Fit { "fit" } else { "**unfit**" };
    let _ = writeln!(
        md,
        "{} · {extent} · {} · A/A {fitness}: noise floor {}, smallest effect found {}\n",
        view.plan.day,
        cell(&device(view), 100),
        number::optional(c.noise_floor, |v| format!("±{}", number::percent(v, 2))),
        number::optional(c.minimum_detectable_effect, |v| number::percent(v, 2)),
    );
    if let Some(reason) = &view.ranking.weights_refused {
        let _ = writeln!(md, "> No weights may be set from this run: {}\n", cell(reason, 500));
    }
    let similarity = view.contest.score.similarity.title();
    let level = number::percent(view.estimates.level, 0);
    let _ = writeln!(
        md,
        "| # | candidate | tier | speedup | {level} interval | {similarity} | score | weight | standing |"
    );
    let _ = writeln!(md, "|--:|:--|--:|--:|:--|--:|--:|--:|:--|");
    for (entry, estimates) in view.ranked() {
        let speedup = estimates.and_then(|e| e.speedup.as_ref());
        let proven = estimates.and_then(|e| e.claimed_speedup());
        let lower = estimates.and_then(|e| e.similarity.as_ref()?.lower);
        let reasons = entry.reasons.iter().map(|r| cell(r, 300)).collect::<Vec<_>>().join("; ");
        let standing = standing_words(entry.standing);
        let _ = writeln!(
            md,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            entry.position,
            cell(&entry.name, 100),
            entry.tier.map_or_else(|| "—".to_owned(), |t| t.to_string()),
            number::optional(speedup.map(|s| s.point), number::speedup),
            proven.map_or_else(
                || "—".to_owned(),
                |s| number::interval(s.lower, s.upper, |v| number::fixed(v, 3))
            ),
            number::optional(lower, |v| format!("≥ {}", number::fixed(v, 3))),
            number::fixed(entry.score, 4),
            number::percent(entry.weight, 1),
            if reasons.is_empty() { standing.to_owned() } else { format!("{standing}: {reasons}") },
        );
    }
    let counted =
        view.ranked().into_iter().filter_map(|(entry, estimates)| Some((entry, &estimates?.counted)));
    let (whole, lacking): (Vec<_>, Vec<_>) = counted.partition(|(_, counted)| counted.is_whole());
    let requests: u64 = whole.iter().map(|(_, counted)| counted.compared).sum();
    let all = if lacking.is_empty() { "" } else { " of the others" };
    let _ = writeln!(md, "\n{requests} of {requests} requests{all} answered on both sides.");
    for (entry, counted) in lacking {
        let _ = writeln!(md, "\n> {}: {}", cell(&entry.name, 100), cell(&counted.to_string(), 500));
    }
    let _ = writeln!(md, "\nSamples `{}`, plan `{}`.", view.log.chain.head(), view.estimates.plan);
    if let Some(day) = &view.day {
        md += &submissions(day);
    }
    md
}

/// The report of a day on which nothing was measured.
pub fn day_markdown(contest: &str, day: &DayView<'_>) -> String {
    let (contest, reason) = (cell(contest, 200), cell(&day.weights.reason, 2000));
    format!("## {contest}\n\n**{reason}**\n\n{} · nothing was measured\n{}", day.record.day, submissions(day))
}

/// Everybody who had committed, and what became of it.
fn submissions(day: &DayView<'_>) -> String {
    let mut md = "\n### Submissions of the day\n\n".to_owned();
    for (label, text) in day.facts() {
        let _ = writeln!(md, "- {label}: {}", cell(&text, 2000));
    }
    let _ = writeln!(md, "\n| uid | hotkey | repository | since block | what became of it | share |");
    let _ = writeln!(md, "|--:|:--|:--|--:|:--|--:|");
    for row in day.rows() {
        let or_none =
            |number: Option<u64>| number.map_or_else(|| "—".to_owned(), |number| number.to_string());
        let why = row.why.iter().map(|why| cell(why, 300)).collect::<Vec<_>>().join("; ");
        let _ = writeln!(
            md,
            "| {} | {} | {} | {} | {} | {} |",
            or_none(row.uid.map(u64::from)),
            cell(&row.hotkey, 100),
            cell(&row.source, 200),
            or_none(row.since),
            if why.is_empty() { row.words.to_owned() } else { format!("{}: {why}", row.words) },
            share(row.share),
        );
    }
    let _ = writeln!(
        md,
        "\nThe block of the weights, which are set after this page is sealed: [all days](../index.html), and on chain."
    );
    let _ = writeln!(md, "\nCheck it: `{}`", day.verify().replace('`', ""));
    md
}

/// Foreign text in a table cell: one line, no markup of Markdown's or HTML's.
pub(crate) fn cell(text: &str, limit: usize) -> String {
    let line = visible(text).replace(['\n', '\t'], " ");
    let mut safe = String::new();
    for c in escape(&shorten(&line, limit)).chars() {
        if "\\`*_{}[]()!|~$@:".contains(c) {
            // As a character reference: a backslash would not keep GitHub from linking @names and addresses.
            let _ = write!(safe, "&#{};", u32::from(c));
        } else {
            safe.push(c);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn foreign_text_cannot_mark_up() {
        let text = cell("a|b <img src=x> [x](http://e) @all `c`\nd", 100);
        assert!(!text.contains(['|', '<', '[', '@', '`', '\n']), "{text}");
        assert_eq!(cell("steps-10", 100), "steps-10");
        assert_eq!(cell("abcdef", 3), "ab…");
    }
}
