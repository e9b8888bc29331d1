//! How far candidates lie above the least time that any engine needs.

use super::scale::Scale;
use super::svg::{Anchor, NAME, Svg};
use crate::escape::shorten;
use crate::number;

/// A candidate above its floor.
#[derive(Debug, Clone)]
pub(crate) struct Height {
    /// Its name.
    pub name: String,
    /// Style name.
    pub standing: &'static str,
    /// Its latency over its own floor.
    pub times: f64,
}

/// A line from the floor to each candidate, on a common logarithmic axis.
/// `device` says what it is that can do so much.
pub(crate) fn heights(id: &str, heights: &[Height], device: &str) -> String {
    const ROW: f64 = 28.0;
    let (left, right, top) = (190.0, 730.0, 8.0);
    let bottom = top + ROW * heights.len() as f64;
    let scale = Scale::logarithmic(heights.iter().map(|h| h.times).chain([1.0]), 0.05, left, right);
    let said: Vec<String> =
        heights.iter().map(|h| format!("{} {}", h.name, number::speedup(h.times))).collect();
    let description =
        format!("Latency of each candidate over the least that any engine needs: {}.", said.join(", "));
    let mut svg = Svg::new(id, 760.0, bottom + 40.0, "Distance to the floor", &description);
    for (value, label) in scale.ticks(7) {
        svg.line("grid", scale.at(value), top, scale.at(value), bottom);
        svg.text("tick", Anchor::Middle, scale.at(value), bottom + 16.0, &label);
    }
    svg.line("median", scale.at(1.0), top, scale.at(1.0), bottom);
    svg.text(
        "note",
        Anchor::Middle,
        (left + right) / 2.0,
        bottom + 34.0,
        &format!("latency over the floor at the declared precision, by {device}"),
    );
    for (index, height) in heights.iter().enumerate() {
        let y = top + ROW * (index as f64 + 0.5);
        svg.text("name", Anchor::End, left - 14.0, y + 4.0, &shorten(&height.name, NAME));
        svg.line("grid", scale.at(1.0), y, scale.at(height.times), y);
        let hint = format!("{}: {}", height.name, number::speedup(height.times));
        svg.mark(height.standing, scale.at(height.times), y, &hint);
    }
    svg.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_candidate_stands_above_one() {
        let height = |name: &str, times| Height { name: name.to_owned(), standing: "accepted", times };
        let svg = heights("a", &[height("b", 2.0), height("<c>", 0.001)], "5 Gflop/s");
        assert_eq!(svg.matches("class=\"mark accepted\"").count(), 2);
        assert!(svg.contains("&lt;c&gt;") && !svg.contains("NaN") && !svg.contains("inf"));
    }
}
