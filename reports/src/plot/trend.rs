//! A quantity over days, with its intervals and change points.

use super::scale::Scale;
use super::svg::{Anchor, Svg};
use crate::number;

/// One day's value.
#[derive(Debug, Clone)]
pub(crate) struct TrendPoint {
    /// Day, as shown.
    pub day: String,
    /// The value.
    pub value: f64,
    /// Its interval.
    pub ends: (Option<f64>, Option<f64>),
    /// A lasting change starts here.
    pub change: bool,
}

/// Values in the order given, equally spaced; `unit` follows every number.
pub(crate) fn trend(id: &str, title: &str, points: &[TrendPoint], unit: &str) -> String {
    let (left, right, top, bottom) = (74.0, 730.0, 16.0, 170.0);
    let all = points.iter().flat_map(|p| [Some(p.value), p.ends.0, p.ends.1].into_iter().flatten());
    let y = Scale::linear(all, 0.08, bottom, top);
    let changes: Vec<&str> = points.iter().filter(|p| p.change).map(|p| p.day.as_str()).collect();
    let description = format!(
        "{} days; {}.",
        points.len(),
        if changes.is_empty() {
            "no change point".to_owned()
        } else {
            format!("changes on {}", changes.join(", "))
        }
    );
    let mut svg = Svg::new(id, 760.0, 204.0, title, &description);
    for (value, label) in y.ticks(5) {
        svg.line("grid", left, y.at(value), right, y.at(value));
        svg.text("tick", Anchor::End, left - 8.0, y.at(value) + 4.0, &(label + unit));
    }
    let step = (right - left) / points.len().max(1) as f64;
    let x = |index: usize| left + step * (index as f64 + 0.5);
    let every = points.len().div_ceil(7).max(1);
    for (index, point) in points.iter().enumerate() {
        if index % every == 0 {
            svg.text("tick", Anchor::Middle, x(index), bottom + 18.0, &point.day);
        }
        if point.change {
            svg.line("rule", x(index) - step / 2.0, top, x(index) - step / 2.0, bottom);
        }
        if let (Some(lower), Some(upper)) = point.ends {
            svg.line("inner accepted", x(index), y.at(lower), x(index), y.at(upper));
        }
    }
    svg.polyline("front", points.iter().enumerate().map(|(i, p)| (x(i), y.at(p.value))));
    for (index, point) in points.iter().enumerate() {
        let hint = format!("{}: {}{unit}", point.day, number::significant(point.value, 4));
        svg.mark("accepted", x(index), y.at(point.value), &hint);
    }
    svg.finish()
}
