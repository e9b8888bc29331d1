//! Latency against the length of answers.

use super::scale::Scale;
use super::svg::{Anchor, Svg};

/// An answer: units, milliseconds.
pub(crate) type Answer = (f64, f64);

/// The answers of both sides, each a dot.
pub(crate) fn length(id: &str, name: &str, units: &str, [baseline, candidate]: [&[Answer]; 2]) -> String {
    let (left, right, top, bottom) = (70.0, 730.0, 10.0, 210.0);
    let all = || baseline.iter().chain(candidate);
    let across = Scale::linear(all().map(|answer| answer.0).chain([0.0]), 0.03, left, right);
    let up = Scale::linear(all().map(|answer| answer.1).chain([0.0]), 0.05, bottom, top);
    let description = format!(
        "Latency of every measured answer of the baseline ({}) and {name} ({}) against its {units}.",
        baseline.len(),
        candidate.len()
    );
    let mut svg = Svg::new(id, 760.0, 250.0, "Latency against length", &description);
    for (value, label) in across.ticks(8) {
        svg.line("grid", across.at(value), top, across.at(value), bottom);
        svg.text("tick", Anchor::Middle, across.at(value), bottom + 16.0, &label);
    }
    for (value, label) in up.ticks(5) {
        svg.line("grid", left, up.at(value), right, up.at(value));
        svg.text("tick", Anchor::End, left - 8.0, up.at(value) + 4.0, &label);
    }
    svg.text(
        "note",
        Anchor::Middle,
        (left + right) / 2.0,
        bottom + 34.0,
        &format!("{units} of the answer; up: latency, ms"),
    );
    // Beside one another, so that neither hides the other.
    for (class, answers, aside) in [("dots base", baseline, -2.5), ("dots cand", candidate, 2.5)] {
        svg.dots(class, answers.iter().map(|(units, ms)| (across.at(*units) + aside, up.at(*ms))));
    }
    svg.finish()
}

#[cfg(test)]
mod tests {
    use super::length;

    #[test]
    fn every_answer_is_a_dot() {
        let svg = length("a", "b <i>", "tokens", [&[(16.0, 20.0), (64.0, 90.0)], &[(16.0, 10.0)]]);
        assert_eq!(svg.matches("h0").count(), 3);
        assert!(svg.contains("b &lt;i&gt;") && !svg.contains("NaN"));
        assert!(!length("a", "b", "tokens", [&[], &[]]).contains("NaN"));
    }
}
