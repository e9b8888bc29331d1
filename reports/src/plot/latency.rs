//! Latency distributions as rainclouds: density above, box and single samples below.

use super::scale::{Scale, extent};
use super::svg::{Anchor, NAME, Svg};
use crate::escape::shorten;
use crate::number;

/// One distribution.
#[derive(Debug, Clone)]
pub(crate) struct Cloud {
    /// Pipeline.
    pub name: String,
    /// Style name.
    pub standing: &'static str,
    /// Latencies in milliseconds, in order of measurement.
    pub values: Vec<f64>,
}

/// Minimum, quartiles and maximum; linear interpolation between order statistics.
pub(crate) fn five_numbers(values: &[f64]) -> Option<[f64; 5]> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    Some([0.0, 0.25, 0.5, 0.75, 1.0].map(|share| {
        let position = share * last as f64;
        let below = position.floor() as usize;
        let rest = position - below as f64;
        sorted[below] + rest * (sorted[(below + 1).min(last)] - sorted[below])
    }))
}

/// One raincloud per pipeline on a common logarithmic axis.
pub(crate) fn clouds(id: &str, clouds: &[Cloud]) -> String {
    const ROW: f64 = 52.0;
    let (left, right, top) = (190.0, 730.0, 8.0);
    let bottom = top + ROW * clouds.len() as f64;
    let scale = Scale::logarithmic(clouds.iter().flat_map(|c| c.values.iter().copied()), 0.03, left, right);
    let medians: Vec<String> = clouds
        .iter()
        .filter_map(|c| Some(format!("{} {}", c.name, number::millis(five_numbers(&c.values)?[2]))))
        .collect();
    let description = format!("Distribution of latency of each pipeline. Medians: {}.", medians.join(", "));
    let mut svg = Svg::new(id, 760.0, bottom + 40.0, "Latency distributions", &description);
    for (value, label) in scale.ticks(7) {
        svg.line("grid", scale.at(value), top, scale.at(value), bottom);
        svg.text("tick", Anchor::Middle, scale.at(value), bottom + 16.0, &label);
    }
    svg.text("note", Anchor::Middle, (left + right) / 2.0, bottom + 34.0, "latency, ms → slower");
    for (index, cloud) in clouds.iter().enumerate() {
        let y = top + ROW * index as f64 + 32.0;
        svg.text("name", Anchor::End, left - 14.0, y + 2.0, &shorten(&cloud.name, NAME));
        let Some(five) = five_numbers(&cloud.values) else {
            svg.text("note", Anchor::Start, left + 6.0, y + 2.0, "not measured");
            continue;
        };
        let class = format!("cloud {}", cloud.standing);
        svg.path(&class, &density(&cloud.values, &scale, y - 3.0, 26.0));
        // Samples are spread by a fixed pattern so that equal ones stay apart.
        let spread = |i: usize| y + 8.0 + (i * 7 % 5) as f64 * 1.8;
        let dots = cloud.values.iter().enumerate().map(|(i, v)| (scale.at(*v), spread(i)));
        svg.dots(&format!("dots {}", cloud.standing), dots);
        boxplot(&mut svg, &class, &scale, five, y + 1.0);
    }
    svg.finish()
}

fn boxplot(svg: &mut Svg, class: &str, scale: &Scale, five: [f64; 5], y: f64) {
    let [_, q1, median, q3, _] = five.map(|v| scale.at(v));
    svg.rect(&format!("box {class}"), q1, y - 3.0, (q3 - q1).max(1.0), 6.0);
    svg.line("median", median, y - 5.0, median, y + 5.0);
}

/// A Gaussian kernel density of the values' coordinates, bandwidth after Silverman, as a closed area.
fn density(values: &[f64], scale: &Scale, base: f64, height: f64) -> String {
    use std::fmt::Write as _;
    let at: Vec<f64> = values.iter().filter(|v| v.is_finite()).map(|v| scale.at(*v)).collect();
    let n = at.len() as f64;
    let Some((low, high)) = extent(at.iter().copied()).filter(|_| at.len() > 2) else { return String::new() };
    let mean = at.iter().sum::<f64>() / n;
    let deviation = (at.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    let quartiles = five_numbers(&at).map_or(deviation, |five| (five[3] - five[1]) / 1.349);
    let width =
        (0.9 * deviation.min(if quartiles > 0.0 { quartiles } else { deviation }) * n.powf(-0.2)).max(1.0);
    const STEPS: usize = 48;
    let (from, to) = (low - 2.5 * width, high + 2.5 * width);
    let grid: Vec<(f64, f64)> = (0..=STEPS)
        .map(|step| {
            let x = from + (to - from) * step as f64 / STEPS as f64;
            (x, at.iter().map(|v| (-0.5 * ((x - v) / width).powi(2)).exp()).sum())
        })
        .collect();
    let peak = grid.iter().fold(0.0, |peak: f64, (_, d)| peak.max(*d));
    if peak <= 0.0 {
        return String::new();
    }
    let c = number::coordinate;
    let mut data = format!("M{} {}", c(from), c(base));
    for (x, d) in &grid {
        let _ = write!(data, "L{} {}", c(*x), c(base - height * d / peak));
    }
    let _ = write!(data, "L{} {}Z", c(to), c(base));
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_are_numpys() {
        // numpy.quantile([1, 2, 3, 4, 10], [0, .25, .5, .75, 1]); numpy.quantile([1, 2, 3, 4], .25)
        assert_eq!(five_numbers(&[10.0, 3.0, 1.0, 4.0, 2.0]), Some([1.0, 2.0, 3.0, 4.0, 10.0]));
        assert_eq!(five_numbers(&[4.0, 3.0, 2.0, 1.0]).map(|f| f[1]), Some(1.75));
        assert_eq!(five_numbers(&[f64::NAN]), None);
    }

    #[test]
    fn a_constant_and_an_empty_cloud_are_drawn() {
        let constant = Cloud { name: "c".to_owned(), standing: "accepted", values: vec![5.0; 9] };
        let empty = Cloud { name: "e".to_owned(), standing: "failed", values: Vec::new() };
        let svg = clouds("x", &[constant, empty]);
        assert!(svg.contains("not measured") && !svg.contains("NaN") && !svg.contains("inf"));
    }
}
