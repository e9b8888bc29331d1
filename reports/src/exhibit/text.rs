//! Texts for the page: side by side, what differs marked from the first difference on, and the baseline's margin at
//! every place.

use std::fmt::Write as _;

use edgemaxx_contract::quality::QualityRecord;
use serde::Deserialize;

use super::task::{Exhibit, Shown};
use crate::escape::{escape, visible};
use crate::view::AnswerSource;

/// Shows texts.
pub(super) struct TextExhibit;

/// What the judge kept of a pair.
#[derive(Deserialize)]
struct Detail {
    baseline: Side,
    /// Absent: the same.
    candidate: Option<Side>,
}

#[derive(Deserialize)]
struct Side {
    pieces: Vec<String>,
    margins: Vec<f64>,
}

/// Margins above this are marked as far off.
const FAR: f64 = 1.0;

impl Exhibit for TextExhibit {
    fn timing(&self) -> &'static str {
        "For the same prompt, the time from the request fully sent to the answer fully received, on the harness's own \
         clock, divided by the tokens of the answer, for the baseline and for the candidate, one right after the other."
    }

    fn show(&self, pairs: &[&QualityRecord], _: &dyn AnswerSource, budget: usize) -> Vec<Option<Shown>> {
        let share = budget / pairs.len().max(1);
        let show = |record: &&QualityRecord| {
            let detail = Detail::deserialize(&record.detail).ok()?;
            let html = html(&detail);
            (html.len() <= share).then_some(Shown { html, narrow: false, reduced: None })
        };
        pairs.iter().map(show).collect()
    }

    fn reduced(&self, _: u32) -> String {
        String::new()
    }
}

fn html(detail: &Detail) -> String {
    let Some(candidate) = &detail.candidate else {
        return format!(
            "<div class=\"texts\">{}</div>",
            column("both the same", &detail.baseline, usize::MAX)
        );
    };
    let both = detail.baseline.pieces.iter().zip(&candidate.pieces);
    let same = both.take_while(|(a, b)| a == b).count();
    format!(
        "<div class=\"texts\">{}{}</div>{}",
        column("baseline", &detail.baseline, same),
        column("candidate", candidate, same),
        margins(candidate)
    )
}

/// A text; from piece `same` on it differs, and its tokens that the baseline's model would not have chosen are underlined.
fn column(title: &str, side: &Side, same: usize) -> String {
    let mut text = String::new();
    for (at, (piece, margin)) in side.pieces.iter().zip(&side.margins).enumerate() {
        let shown = escape(&visible(piece));
        match (at == same, *margin) {
            (true, _) => {
                let _ = write!(text, "<mark title=\"first difference\">{shown}</mark>");
            }
            (false, margin) if margin > 0.0 => {
                let class = if margin > FAR { "far" } else { "near" };
                let _ = write!(text, "<u class=\"{class}\" title=\"margin {margin}\">{shown}</u>");
            }
            (false, _) => text.push_str(&shown),
        }
    }
    format!("<div class=\"told\"><h5>{title}</h5><p>{text}</p></div>")
}

/// The margins of a text by position, as bars.
fn margins(side: &Side) -> String {
    const HEIGHT: f64 = 24.0;
    let most = side.margins.iter().copied().fold(FAR, f64::max);
    let mut bars = String::new();
    for (at, margin) in side.margins.iter().enumerate().filter(|(_, margin)| **margin > 0.0) {
        let height = (margin / most * HEIGHT).max(1.0);
        let _ = write!(
            bars,
            "<rect x=\"{}\" y=\"{:.1}\" width=\"3\" height=\"{height:.1}\"/>",
            at * 4,
            HEIGHT - height
        );
    }
    let width = side.margins.len() * 4;
    format!(
        "<svg class=\"margins\" role=\"img\" viewBox=\"0 0 {width} {HEIGHT}\" width=\"{width}\" height=\"{HEIGHT}\" \
         aria-label=\"By how much the baseline’s model prefers another token, at each of the candidate’s {} tokens; at most {most}\">{bars}</svg>",
        side.margins.len()
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use edgemaxx_contract::digest::Digest;
    use serde_json::json;

    use super::*;

    struct Nothing;

    impl AnswerSource for Nothing {
        fn file(&self, _: &Digest) -> Option<Vec<u8>> {
            None
        }
    }

    fn record(detail: serde_json::Value) -> QualityRecord {
        QualityRecord {
            candidate: "a".to_owned(),
            session: 0,
            pair: 0,
            request: 0,
            baseline_answer: Digest::of("a"),
            candidate_answer: Digest::of("b"),
            values: BTreeMap::new(),
            sides: BTreeMap::new(),
            follows: None,
            detail,
        }
    }

    #[test]
    fn the_first_difference_is_marked_and_nothing_foreign_is_left() {
        let record = record(json!({
            "baseline": { "pieces": ["A", " fox", " ran"], "margins": [0.0, 0.0, 0.0] },
            "candidate": { "pieces": ["A", " <b>", "\u{202e}!"], "margins": [0.0, 2.5, 0.2] },
        }));
        let shown = TextExhibit.show(&[&record], &Nothing, 100_000)[0].clone().unwrap();
        assert!(
            shown.html.contains("<p>A<mark title=\"first difference\"> fox</mark> ran</p>"),
            "{}",
            shown.html
        );
        assert!(shown.html.contains("<mark title=\"first difference\"> &lt;b&gt;</mark>"), "{}", shown.html);
        assert!(
            shown.html.contains("<u class=\"near\" title=\"margin 0.2\">⟨U+202E⟩!</u>"),
            "{}",
            shown.html
        );
        assert_eq!(shown.html.matches("<rect").count(), 2);
        assert_eq!(TextExhibit.show(&[&record], &Nothing, 10), [None], "too large");
        let same = self::record(json!({ "baseline": { "pieces": ["A"], "margins": [0.0] } }));
        assert!(
            TextExhibit.show(&[&same], &Nothing, 9000)[0].clone().unwrap().html.contains("both the same")
        );
        assert_eq!(TextExhibit.show(&[&self::record(json!(null))], &Nothing, 9000), [None]);
    }
}
