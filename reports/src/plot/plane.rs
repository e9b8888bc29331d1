//! The speed–quality plane: what a candidate gains against what it keeps.

use super::scale::Scale;
use super::svg::{Anchor, Svg};
use crate::escape::shorten;
use crate::number;

/// One candidate on the plane.
#[derive(Debug, Clone)]
pub(crate) struct Spot {
    /// Candidate.
    pub name: String,
    /// Its standing, as a style name.
    pub standing: &'static str,
    /// Speedup.
    pub speedup: f64,
    /// Its interval.
    pub speedup_ends: (Option<f64>, Option<f64>),
    /// Similarity.
    pub similarity: f64,
    /// One-sided lower bound of the similarity.
    pub similarity_lower: Option<f64>,
}

/// Candidates nobody beats in both speed and similarity, fastest first; the baseline itself, at
/// speedup 1, beats all that are slower.
pub(crate) fn pareto(spots: &[Spot]) -> Vec<usize> {
    let mut order: Vec<usize> =
        (0..spots.len()).filter(|i| spots[*i].standing != "control" && spots[*i].speedup > 1.0).collect();
    order.sort_by(|a, b| {
        let (a, b) = (&spots[*a], &spots[*b]);
        b.speedup.total_cmp(&a.speedup).then(b.similarity.total_cmp(&a.similarity)).then(a.name.cmp(&b.name))
    });
    let mut best = f64::NEG_INFINITY;
    order.retain(|index| {
        let better = spots[*index].similarity > best;
        best = best.max(spots[*index].similarity);
        better
    });
    order
}

/// Speedup (logarithmic) across, similarity up; below `gate` nothing is accepted.
pub(crate) fn plane(id: &str, spots: &[Spot], gate: f64, metric: &str) -> String {
    let (left, right, top, bottom) = (70.0, 730.0, 20.0, 360.0);
    let across = spots
        .iter()
        .flat_map(|s| [Some(s.speedup), s.speedup_ends.0, s.speedup_ends.1].into_iter().flatten());
    let x = Scale::logarithmic(across.chain([1.0]), 0.08, left, right);
    let up = spots.iter().flat_map(|s| [Some(s.similarity), s.similarity_lower].into_iter().flatten());
    let y = Scale::linear(up.chain([gate, 1.0]), 0.06, bottom, top);

    let front = pareto(spots);
    let names: Vec<&str> = front.iter().take(12).map(|i| spots[*i].name.as_str()).collect();
    let description = format!(
        "Each candidate by speedup and {metric}; the gate is at {}. Nobody beats these in both: {}. \
         The same numbers stand in the leaderboard.",
        number::significant(gate, 3),
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    );
    let mut svg = Svg::new(id, 760.0, 412.0, "Speed and similarity", &description);
    svg.rect("gate", left, y.at(gate), right - left, bottom - y.at(gate));
    for (value, label) in x.ticks(7) {
        svg.line("grid", x.at(value), top, x.at(value), bottom);
        svg.text("tick", Anchor::Middle, x.at(value), bottom + 18.0, &(label + "×"));
    }
    for (value, label) in y.ticks(6) {
        svg.line("grid", left, y.at(value), right, y.at(value));
        svg.text("tick", Anchor::End, left - 8.0, y.at(value) + 4.0, &label);
    }
    svg.line("axis", x.at(1.0), top, x.at(1.0), bottom);
    svg.line("rule", left, y.at(gate), right, y.at(gate));
    svg.text("note", Anchor::Start, left + 6.0, y.at(gate) + 15.0, "below the gate");
    svg.text("note", Anchor::Middle, (left + right) / 2.0, bottom + 38.0, "speedup → faster");
    svg.text("note", Anchor::Start, left, top - 7.0, &format!("{metric} ↑ more alike"));

    // The front as steps: what can be had at each speed.
    let mut steps: Vec<(f64, f64)> = Vec::new();
    for index in &front {
        let (px, py) = (x.at(spots[*index].speedup), y.at(spots[*index].similarity));
        if let Some((_, last)) = steps.last().copied() {
            steps.push((px, last));
        }
        steps.push((px, py));
    }
    svg.polyline("front", steps);

    for spot in spots {
        let (px, py) = (x.at(spot.speedup), y.at(spot.similarity));
        if let (Some(lower), Some(upper)) = spot.speedup_ends {
            svg.line("whisker", x.at(lower), py, x.at(upper), py);
        }
        if let Some(lower) = spot.similarity_lower {
            svg.line("whisker", px, y.at(lower), px, py);
        }
    }
    let mut taken: Vec<(f64, f64, f64, f64)> = spots
        .iter()
        .map(|s| {
            (x.at(s.speedup) - 6.0, y.at(s.similarity) - 6.0, x.at(s.speedup) + 6.0, y.at(s.similarity) + 6.0)
        })
        .collect();
    for spot in spots {
        let (px, py) = (x.at(spot.speedup), y.at(spot.similarity));
        let hint = format!(
            "{}: {}, {metric} {}",
            spot.name,
            number::speedup(spot.speedup),
            number::fixed(spot.similarity, 3)
        );
        svg.mark(spot.standing, px, py, &hint);
        let name = shorten(&spot.name, 22);
        if let Some((anchor, tx, ty, area)) = place(&name, px, py, &taken, (left, right, top, bottom)) {
            taken.push(area);
            svg.text("name", anchor, tx, ty, &name);
        }
    }
    svg.finish()
}

type Area = (f64, f64, f64, f64);

/// The first free place for a label around a point; none if all are taken.
fn place(name: &str, px: f64, py: f64, taken: &[Area], plot: Area) -> Option<(Anchor, f64, f64, Area)> {
    let width = 7.2 * name.chars().count() as f64;
    let candidates = [
        (Anchor::Start, px + 9.0, py - 6.0),
        (Anchor::End, px - 9.0, py - 6.0),
        (Anchor::Start, px + 9.0, py + 15.0),
        (Anchor::End, px - 9.0, py + 15.0),
        (Anchor::Middle, px, py - 12.0),
        (Anchor::Middle, px, py + 22.0),
        (Anchor::Start, px + 9.0, py + 30.0),
        (Anchor::End, px - 9.0, py + 30.0),
        (Anchor::Start, px + 9.0, py - 21.0),
        (Anchor::End, px - 9.0, py - 21.0),
    ];
    candidates.into_iter().find_map(|(anchor, tx, ty)| {
        let from = match anchor {
            Anchor::Start => tx,
            Anchor::Middle => tx - width / 2.0,
            Anchor::End => tx - width,
        };
        let area = (from, ty - 11.0, from + width, ty + 3.0);
        let inside = area.0 >= plot.0 && area.2 <= plot.1 && area.1 >= plot.2 - 4.0 && area.3 <= plot.3;
        let free = taken
            .iter()
            .all(|other| area.2 < other.0 || other.2 < area.0 || area.3 < other.1 || other.3 < area.1);
        (inside && free).then_some((anchor, tx, ty, area))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot(name: &str, speedup: f64, similarity: f64) -> Spot {
        Spot {
            name: name.to_owned(),
            standing: "accepted",
            speedup,
            speedup_ends: (None, None),
            similarity,
            similarity_lower: None,
        }
    }

    #[test]
    fn the_front_is_who_nobody_beats_in_both() {
        let spots = [
            spot("slow-good", 1.1, 0.99),
            spot("beaten", 1.2, 0.8),
            spot("slower", 0.9, 0.995),
            spot("fast", 3.0, 0.85),
            spot("fast-bad", 3.0, 0.5),
        ];
        assert_eq!(pareto(&spots), [3, 0]);
    }

    #[test]
    fn no_candidates_still_make_a_plot() {
        let svg = plane("p", &[], 0.85, "ssim");
        assert!(svg.starts_with("<svg") && !svg.contains("NaN"));
    }
}
