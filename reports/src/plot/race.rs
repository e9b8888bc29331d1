//! Two times as bars, for people who read no axes.

use super::svg::{Anchor, Svg};

/// One bar below another, each under its label; as long as its time, the longest as wide as the plot.
pub(crate) fn race(id: &str, title: &str, bars: &[(String, f64); 2]) -> String {
    const WIDTH: f64 = 420.0;
    let longest = bars.iter().map(|(_, time)| *time).fold(0.0, f64::max);
    let description = bars.iter().map(|(label, _)| label.as_str()).collect::<Vec<_>>().join("; ");
    let mut svg = Svg::new(id, WIDTH, 92.0, title, &description);
    for (index, ((label, time), class)) in bars.iter().zip(["bar base", "bar accepted"]).enumerate() {
        let top = 46.0 * index as f64;
        svg.text("name", Anchor::Start, 0.0, top + 14.0, label);
        svg.rect(class, 0.0, top + 21.0, WIDTH * time / longest, 16.0);
    }
    svg.finish()
}
