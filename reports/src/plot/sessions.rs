//! One candidate's sessions: latencies side by side, their ratios, and all in the order of time.

use super::latency::five_numbers;
use super::scale::Scale;
use super::svg::{Anchor, Svg};
use crate::number;

/// One request that gave a picture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimedAnswer {
    /// Baseline's or candidate's.
    pub candidate: bool,
    /// Milliseconds; of each unit where an answer has several.
    pub latency_ms: f64,
    /// Not analysed.
    pub warmup: bool,
    /// Clocks were lowered.
    pub throttled: bool,
}

/// One session in order of time.
#[derive(Debug, Clone, Default)]
pub(crate) struct SessionLatencies {
    /// Measured answers: whether the candidate's, units and whole latency in milliseconds.
    pub answers: Vec<(bool, (f64, f64))>,
    /// Every request that gave a picture, both sides.
    pub timed: Vec<TimedAnswer>,
    /// Requests that failed, by position in `timed`.
    pub failures: Vec<usize>,
    /// Baseline's over candidate's latency, pair by pair.
    pub ratios: Vec<f64>,
}

const LEFT: f64 = 64.0;
const RIGHT: f64 = 730.0;

/// A plot's extent across.
struct Panel {
    left: f64,
    right: f64,
}

const WIDE: Panel = Panel { left: LEFT, right: RIGHT };

impl Panel {
    /// Horizontal slots, one per session: start and width.
    fn slot(&self, index: usize, sessions: usize) -> (f64, f64) {
        let width = (self.right - self.left) / sessions.max(1) as f64;
        (self.left + width * index as f64, width)
    }

    fn frame(&self, svg: &mut Svg, y: &Scale, bottom: f64, unit: &str) {
        let ticks = y.ticks(5);
        let grid: Vec<_> = ticks.iter().map(|(v, _)| (self.left, y.at(*v), self.right - self.left)).collect();
        svg.levels("grid", &grid);
        for (value, label) in ticks {
            svg.text("tick", Anchor::End, self.left - 8.0, y.at(value) + 4.0, &(label + unit));
        }
        svg.line("frame", self.left, bottom, self.right, bottom);
    }

    fn session_labels(&self, svg: &mut Svg, sessions: usize, y: f64) {
        let every = sessions.div_ceil(((self.right - self.left) / 26.0) as usize).max(1);
        for index in (0..sessions).step_by(every) {
            let (x, width) = self.slot(index, sessions);
            svg.text("tick", Anchor::Middle, x + width / 2.0, y, &(index + 1).to_string());
        }
        svg.text("note", Anchor::Middle, (self.left + self.right) / 2.0, y + 18.0, "session");
    }
}

/// Measured latencies per session, a panel for each side with its own axis: they may be far apart.
pub(crate) fn strips(id: &str, name: &str, sessions: &[SessionLatencies], dots: bool) -> String {
    let (top, bottom) = (26.0, 190.0);
    let description = format!(
        "Latency in milliseconds of the baseline (left panel) and {name} (right panel) in each of {} sessions.",
        sessions.len()
    );
    let mut svg = Svg::new(id, 760.0, 232.0, "Latency by session", &description);
    for (side, class, label, left, right) in
        [(false, "base", "baseline, ms", LEFT, 385.0), (true, "cand", "candidate, ms", LEFT + 385.0, RIGHT)]
    {
        let panel = Panel { left, right };
        let measured: Vec<Vec<f64>> = sessions
            .iter()
            .map(|s| {
                s.timed.iter().filter(|s| !s.warmup && s.candidate == side).map(|s| s.latency_ms).collect()
            })
            .collect();
        let y = Scale::logarithmic(measured.iter().flatten().copied(), 0.06, bottom, top);
        panel.frame(&mut svg, &y, bottom, "");
        let (mut boxes, mut medians, mut points) = (Vec::new(), Vec::new(), Vec::new());
        for (index, values) in measured.iter().enumerate() {
            let Some(five) = five_numbers(values) else { continue };
            let [_, q1, median, q3, _] = five.map(|v| y.at(v));
            let (x, width) = panel.slot(index, sessions.len());
            let (middle, half) = (x + width * 0.5, (width * 0.3).min(16.0));
            boxes.push((middle - half, q3, 2.0 * half, (q1 - q3).max(1.0)));
            medians.push((middle - half, median, 2.0 * half));
            if dots {
                let spread = |i: usize| middle + ((i * 7 % 5) as f64 - 2.0) * half * 0.4;
                points.extend(values.iter().enumerate().map(|(i, v)| (spread(i), y.at(*v))));
            }
        }
        svg.rects(&format!("box cloud {class}"), &boxes);
        svg.levels("median", &medians);
        svg.dots(&format!("dots {class}"), points);
        svg.text("note", Anchor::Start, left, top - 12.0, label);
        panel.session_labels(&mut svg, sessions.len(), bottom + 18.0);
    }
    svg.finish()
}

/// The paired speedup of every session: pairs as dots, the session's geometric mean as a bar, the
/// estimate's interval as a band.
pub(crate) fn ratios(
    id: &str,
    name: &str,
    sessions: &[SessionLatencies],
    point: Option<f64>,
    ends: (Option<f64>, Option<f64>),
) -> String {
    let (top, bottom) = (14.0, 170.0);
    let all = sessions.iter().flat_map(|s| s.ratios.iter().copied());
    // The line of no difference is shown where it does not flatten everything else.
    let near = point.is_none_or(|p| (0.7..1.4).contains(&p)).then_some(1.0);
    let y = Scale::logarithmic(all.chain(point).chain(near), 0.06, bottom, top);
    let description = format!(
        "Speedup of {name} pair by pair in {} sessions; overall {} with interval {}.",
        sessions.len(),
        number::optional(point, number::speedup),
        number::interval(ends.0, ends.1, number::speedup)
    );
    let mut svg = Svg::new(id, 760.0, 212.0, "Speedup by session", &description);
    if let (Some(lower), Some(upper)) = ends {
        svg.rect("band", LEFT, y.at(upper), RIGHT - LEFT, (y.at(lower) - y.at(upper)).max(1.0));
    }
    WIDE.frame(&mut svg, &y, bottom, "×");
    if near.is_some() {
        svg.line("axis", LEFT, y.at(1.0), RIGHT, y.at(1.0));
    }
    let (mut points, mut means) = (Vec::new(), Vec::new());
    for (index, session) in sessions.iter().enumerate() {
        let (x, width) = WIDE.slot(index, sessions.len());
        let n = session.ratios.len();
        let spread = |i: usize| x + width * (0.2 + 0.6 * (i as f64 + 0.5) / n.max(1) as f64);
        points.extend(session.ratios.iter().enumerate().map(|(i, v)| (spread(i), y.at(*v))));
        if n > 0 {
            let mean = (session.ratios.iter().map(|r| r.ln()).sum::<f64>() / n as f64).exp();
            means.push((x + width * 0.15, y.at(mean), width * 0.7));
        }
    }
    svg.dots("dots cand", points);
    svg.levels("mean", &means);
    WIDE.session_labels(&mut svg, sessions.len(), bottom + 18.0);
    svg.finish()
}

/// Every request in the order of time: warm-up shaded, throttled ones and failures marked.
pub(crate) fn series(id: &str, name: &str, sessions: &[SessionLatencies]) -> String {
    let (top, bottom) = (22.0, 190.0);
    let y = Scale::logarithmic(
        sessions.iter().flat_map(|s| s.timed.iter().map(|s| s.latency_ms)),
        0.06,
        bottom,
        top,
    );
    let total: usize = sessions.iter().map(|s| s.timed.len() + 1).sum();
    let step = (RIGHT - LEFT) / total.max(1) as f64;
    let throttled = sessions.iter().flat_map(|s| &s.timed).filter(|s| s.throttled).count();
    let warm = sessions.iter().flat_map(|s| &s.timed).filter(|s| s.warmup).count();
    let failed: usize = sessions.iter().map(|s| s.failures.len()).sum();
    let description = format!(
        "Latency of every request to the baseline and {name} in order of time: {warm} for warm-up, \
         {throttled} throttled, {failed} failed."
    );
    let mut svg = Svg::new(id, 760.0, 232.0, "Latency over time", &description);
    let (mut base, mut cand, mut cold, mut hot) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut lost = Vec::new();
    let (mut starts, mut shaded) = (Vec::new(), Vec::new());
    let mut at = LEFT + step;
    for session in sessions {
        starts.push(at);
        let warm = session.timed.iter().take_while(|s| s.warmup).count();
        if warm > 0 {
            shaded.push((at - step / 2.0, top, step * warm as f64, bottom - top));
        }
        for (index, timed) in session.timed.iter().enumerate() {
            let point = (at + step * index as f64, y.at(timed.latency_ms));
            match (timed.warmup, timed.candidate) {
                (true, _) => cold.push(point),
                (false, true) => cand.push(point),
                (false, false) => base.push(point),
            }
            if timed.throttled {
                hot.push(point);
            }
        }
        lost.extend(session.failures.iter().map(|index| (at + step * *index as f64, top + 4.0)));
        at += step * (session.timed.len() + 1) as f64;
    }
    svg.rects("warm", &shaded);
    WIDE.frame(&mut svg, &y, bottom, "");
    for (index, start) in starts.iter().enumerate() {
        svg.line("grid", start - step, top, start - step, bottom);
        if sessions.len() <= 24 || index % sessions.len().div_ceil(24) == 0 {
            svg.text("tick", Anchor::Start, start - step + 2.0, bottom + 16.0, &(index + 1).to_string());
        }
    }
    svg.dots("dots cold", cold);
    svg.dots("dots base", base);
    svg.dots("dots cand", cand);
    for (x, y) in hot {
        svg.path("throttled", &format!("M{} {}l4-7h-8z", number::coordinate(x), number::coordinate(y - 5.0)));
    }
    for (x, y) in lost {
        svg.path(
            "lost",
            &format!("M{} {}l6 6m0-6l-6 6", number::coordinate(x - 3.0), number::coordinate(y - 3.0)),
        );
    }
    svg.text("note", Anchor::Start, LEFT, top - 9.0, "ms");
    svg.text(
        "note",
        Anchor::Middle,
        (LEFT + RIGHT) / 2.0,
        bottom + 36.0,
        "session, requests in order of time",
    );
    svg.finish()
}
