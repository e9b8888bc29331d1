//! The forest plot: every candidate's speedup with its intervals on one axis.

use super::scale::{Scale, extent};
use super::svg::{Anchor, NAME, Svg};
use crate::escape::shorten;
use crate::number;

/// One line of the plot.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Candidate.
    pub name: String,
    /// Its standing, as a style name.
    pub standing: &'static str,
    /// The speedup, if there is one.
    pub point: Option<f64>,
    /// The interval that its claim rests on, which is the one in figures.
    pub decides: (Option<f64>, Option<f64>),
    /// Its own interval.
    pub inner: (Option<f64>, Option<f64>),
    /// The interval that holds for all candidates at once.
    pub outer: (Option<f64>, Option<f64>),
}

/// Speedups on a logarithmic axis: twice as fast is as far from 1 as half as fast. `required` is
/// the smallest speedup that earns anything, `noise` the relative half-width of the control's interval.
pub(crate) fn forest(id: &str, rows: &[Row], required: f64, noise: Option<f64>) -> String {
    const WIDTH: f64 = 760.0;
    const ROW: f64 = 26.0;
    let (left, right, top) = (190.0, 570.0, 34.0);
    let bottom = top + ROW * rows.len() as f64;
    // An end far beyond every point is drawn at the edge: few sessions must not flatten everybody else.
    let points = rows.iter().filter_map(|row| row.point).chain([1.0, required]);
    let (slowest, fastest) = extent(points.clone()).unwrap_or((1.0, 1.0));
    let ends = rows.iter().flat_map(|row| [row.inner.0, row.inner.1, row.outer.0, row.outer.1]);
    let near = ends.flatten().filter(|end| (slowest / 10.0..=fastest * 10.0).contains(end));
    let scale = Scale::logarithmic(points.chain(near), 0.05, left, right);

    let measured = rows.iter().filter(|row| row.point.is_some()).count();
    let description = format!(
        "Speedup over the baseline of {measured} candidates with intervals, on a logarithmic axis. \
         The same numbers stand in the leaderboard."
    );
    let mut svg = Svg::new(id, WIDTH, bottom + 40.0, "Speedup with intervals", &description);
    if let Some(noise) = noise.filter(|n| n.is_finite() && *n > 0.0) {
        let (from, to) = (scale.at(1.0 / (1.0 + noise)), scale.at(1.0 + noise));
        svg.rect("band", from, top - 6.0, to - from, bottom - top + 6.0);
    }
    for (value, label) in scale.ticks(7) {
        svg.line("grid", scale.at(value), top - 6.0, scale.at(value), bottom);
        svg.text("tick", Anchor::Middle, scale.at(value), bottom + 16.0, &(label + "×"));
    }
    svg.line("axis", scale.at(1.0), top - 12.0, scale.at(1.0), bottom);
    svg.text("note", Anchor::Middle, scale.at(1.0), top - 17.0, "baseline");
    if required > 1.0 {
        svg.line("rule", scale.at(required), top - 6.0, scale.at(required), bottom);
    }
    svg.text("note", Anchor::Middle, (left + right) / 2.0, bottom + 34.0, "slower ← speedup → faster");

    for (index, row) in rows.iter().enumerate() {
        let y = top + ROW * (index as f64 + 0.5);
        svg.text("name", Anchor::End, left - 14.0, y + 4.0, &shorten(&row.name, NAME));
        let (Some(point), (lower, upper)) = (row.point, row.decides) else {
            svg.text("note", Anchor::Middle, (left + right) / 2.0, y + 4.0, "not measured");
            svg.text("value", Anchor::Start, right + 14.0, y + 4.0, number::UNDEFINED);
            continue;
        };
        bar(&mut svg, "outer", &scale, row.outer, point, y);
        bar(&mut svg, &format!("inner {}", row.standing), &scale, row.inner, point, y);
        let values = format!("{} [{}]", number::speedup(point), bounds(lower, upper));
        svg.mark(row.standing, scale.at(point), y, &format!("{}: {values}", row.name));
        svg.text("value", Anchor::Start, right + 14.0, y + 4.0, &values);
    }
    svg.finish()
}

/// An interval; an open end reaches the edge of the plot.
fn bar(svg: &mut Svg, class: &str, scale: &Scale, ends: (Option<f64>, Option<f64>), point: f64, y: f64) {
    if ends == (None, None) {
        return;
    }
    let from = ends.0.map_or(f64::MIN_POSITIVE, |v| v.min(point));
    let to = ends.1.map_or(f64::MAX, |v| v.max(point));
    svg.line(class, scale.at(from), y, scale.at(to), y);
    for end in [ends.0, ends.1].into_iter().flatten().filter(|end| scale.holds(*end)) {
        svg.line(class, scale.at(end), y - 3.0, scale.at(end), y + 3.0);
    }
}

fn bounds(lower: Option<f64>, upper: Option<f64>) -> String {
    let side = |value: Option<f64>| number::optional(value, |v| number::fixed(v, 3));
    format!("{}, {}", side(lower), side(upper))
}

/// A single interval on its own small axis around 1: what the control says.
pub(crate) fn certificate(
    id: &str,
    point: f64,
    ends: (Option<f64>, Option<f64>),
    effect: Option<f64>,
) -> String {
    let (left, right, y) = (20.0, 460.0, 36.0);
    let effect = effect.filter(|e| e.is_finite() && *e > 0.0);
    let reach = effect.map_or([1.0, 1.0], |e| [1.0 / (1.0 + e), 1.0 + e]);
    let all = [Some(point), ends.0, ends.1].into_iter().flatten().chain(reach);
    let furthest =
        extent(all.map(|v| v.max(f64::MIN_POSITIVE).ln().abs())).map_or(0.01, |(_, high)| high.max(0.001));
    let scale = Scale::logarithmic([(-furthest).exp(), furthest.exp()], 0.12, left, right);
    let description = format!(
        "The baseline against itself: {} with interval {}.",
        number::speedup(point),
        number::interval(ends.0, ends.1, number::speedup)
    );
    let mut svg = Svg::new(id, 480.0, 84.0, "A/A interval", &description);
    if let Some(effect) = effect {
        let (from, to) = (scale.at(1.0 / (1.0 + effect)), scale.at(1.0 + effect));
        svg.rect("band", from, y - 20.0, to - from, 40.0);
    }
    for (value, label) in scale.ticks(4) {
        svg.line("grid", scale.at(value), y - 20.0, scale.at(value), y + 20.0);
        svg.text("tick", Anchor::Middle, scale.at(value), y + 38.0, &(label + "×"));
    }
    svg.line("axis", scale.at(1.0), y - 24.0, scale.at(1.0), y + 20.0);
    bar(&mut svg, "inner control", &scale, ends, point, y);
    svg.mark("control", scale.at(point), y, "");
    svg.finish()
}
