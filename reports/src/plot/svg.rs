//! A small SVG writer. Its text is escaped here; colours are the style sheet's.

use std::fmt::Write as _;

use crate::escape::{escape, visible};
use crate::number::coordinate as c;

/// Letters of a name that fit beside a plot, wide ones too: a hotkey's first and no others.
pub(super) const NAME: usize = 20;

/// Where text is anchored.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// A picture under construction.
#[derive(Debug)]
pub(crate) struct Svg {
    head: String,
    body: String,
}

impl Svg {
    /// A picture of `width` × `height` units; `id` is unique on the page, `title` and `description`
    /// say in words what it shows.
    pub(crate) fn new(id: &str, width: f64, height: f64, title: &str, description: &str) -> Self {
        let (id, title, description) = (escape(id), escape(&visible(title)), escape(&visible(description)));
        let head = format!(
            "<svg viewBox=\"0 0 {} {}\" width=\"{}\" height=\"{}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
             <title id=\"{id}-t\">{title}</title><desc id=\"{id}-d\">{description}</desc>",
            c(width),
            c(height),
            c(width),
            c(height)
        );
        Self { head, body: String::new() }
    }

    /// A straight line.
    pub(crate) fn line(&mut self, class: &str, x1: f64, y1: f64, x2: f64, y2: f64) {
        let _ = write!(self.body, "<path class=\"{class}\" d=\"M{} {}L{} {}\"/>", c(x1), c(y1), c(x2), c(y2));
    }

    /// A rectangle; negative sizes are none.
    pub(crate) fn rect(&mut self, class: &str, x: f64, y: f64, width: f64, height: f64) {
        let _ = write!(
            self.body,
            "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
            c(x),
            c(y),
            c(width.max(0.0)),
            c(height.max(0.0))
        );
    }

    /// A path; `data` consists of coordinates made here.
    pub(crate) fn path(&mut self, class: &str, data: &str) {
        if !data.is_empty() {
            let _ = write!(self.body, "<path class=\"{class}\" d=\"{data}\"/>");
        }
    }

    /// Dots of the style's stroke width, as one path; very many are set to whole units, which
    /// halves their size.
    pub(crate) fn dots(&mut self, class: &str, points: impl IntoIterator<Item = (f64, f64)>) {
        let points: Vec<(f64, f64)> = points.into_iter().collect();
        let unit = if points.len() > 60 { 1.0 } else { 0.1 };
        let mut data = String::new();
        let mut at = (0.0, 0.0);
        for (x, y) in points {
            let to = ((x / unit).round() * unit, (y / unit).round() * unit);
            let dy = c(to.1 - at.1);
            let space = if dy.starts_with('-') { "" } else { " " };
            let _ = write!(data, "m{}{space}{dy}h0", c(to.0 - at.0));
            at = to;
        }
        self.path(class, &data);
    }

    /// Rectangles (x, y, width, height) as one path.
    pub(crate) fn rects(&mut self, class: &str, rects: &[(f64, f64, f64, f64)]) {
        let mut data = String::new();
        for (x, y, width, height) in rects {
            let _ = write!(data, "M{} {}h{}v{}h{}z", c(*x), c(*y), c(*width), c(*height), c(-width));
        }
        self.path(class, &data);
    }

    /// Level lines (x, y, width) as one path.
    pub(crate) fn levels(&mut self, class: &str, lines: &[(f64, f64, f64)]) {
        let mut data = String::new();
        for (x, y, width) in lines {
            let _ = write!(data, "M{} {}h{}", c(*x), c(*y), c(*width));
        }
        self.path(class, &data);
    }

    /// A line through points.
    pub(crate) fn polyline(&mut self, class: &str, points: impl IntoIterator<Item = (f64, f64)>) {
        let mut data = String::new();
        for (x, y) in points {
            let _ = write!(data, "{}{} {}", if data.is_empty() { "M" } else { "L" }, c(x), c(y));
        }
        self.path(class, &data);
    }

    /// The mark of a candidate; its shape says how it stands, so that colour need not. `hint` is
    /// shown on hovering.
    pub(crate) fn mark(&mut self, standing: &str, x: f64, y: f64, hint: &str) {
        let data = match standing {
            "rejected_quality" => format!("M{} {}l8 8m0-8l-8 8", c(x - 4.0), c(y - 4.0)),
            "control" => format!("M{} {}l5 5l-5 5l-5-5z", c(x), c(y - 5.0)),
            "failed" => format!("M{} {}h8", c(x - 4.0), c(y)),
            _ => format!("M{} {}a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0z", c(x - 4.5), c(y)),
        };
        let hint = if hint.is_empty() {
            String::new()
        } else {
            format!("<title>{}</title>", escape(&visible(hint)))
        };
        let _ = write!(self.body, "<path class=\"mark {standing}\" d=\"{data}\">{hint}</path>");
    }

    /// A line of text.
    pub(crate) fn text(&mut self, class: &str, anchor: Anchor, x: f64, y: f64, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let _ = write!(
            self.body,
            "<text class=\"{class}\" x=\"{}\" y=\"{}\"{anchor}>{}</text>",
            c(x),
            c(y),
            escape(&visible(text))
        );
    }

    /// The finished element.
    pub(crate) fn finish(self) -> String {
        self.head + &self.body + "</svg>"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_nonsense_has_no_nan() {
        let mut svg = Svg::new("p", 10.0, 10.0, "a <b>", "\"q\"\u{202e}");
        svg.text("t", Anchor::Middle, f64::NAN, 1.0, "</svg><script>alert(1)</script>");
        svg.mark("accepted", 1.0, 2.0, "<x>");
        svg.rect("r", 0.0, 0.0, -1.0, f64::INFINITY);
        let text = svg.finish();
        assert!(!text.contains("<script>") && !text.contains("NaN") && !text.contains("inf"), "{text}");
        assert!(text.contains("a &lt;b&gt;") && text.contains("⟨U+202E⟩"));
    }
}
