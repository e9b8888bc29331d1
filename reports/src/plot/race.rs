//! Two times as bars, for people who read no axes.

use super::svg::{Anchor, Svg};
use crate::escape::shorten;

/// Letters of a name that fit over a bar, before its time.
const NAME: usize = 30;

/// A bar: its name, its time in words and as a number.
pub(crate) struct Bar {
    pub name: String,
    pub words: String,
    pub time: f64,
}

/// One bar below another, each under its name and its time; as long as its time, the longest as wide as the plot.
pub(crate) fn race(id: &str, title: &str, bars: &[Bar; 2]) -> String {
    const WIDTH: f64 = 420.0;
    let longest = bars.iter().map(|bar| bar.time).fold(0.0, f64::max);
    let label = |bar: &Bar, name: &str| format!("{name}: {}", bar.words);
    let description = bars.iter().map(|bar| label(bar, &bar.name)).collect::<Vec<_>>().join("; ");
    let mut svg = Svg::new(id, WIDTH, 92.0, title, &description);
    for (index, (bar, class)) in bars.iter().zip(["bar base", "bar accepted"]).enumerate() {
        let top = 46.0 * index as f64;
        svg.text("name", Anchor::Start, 0.0, top + 14.0, &label(bar, &shorten(&bar.name, NAME)));
        svg.rect(class, 0.0, top + 21.0, WIDTH * bar.time / longest, 16.0);
    }
    svg.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hotkey_over_a_bar_leaves_room_for_its_time() {
        let hotkey = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
        let bar =
            |name: &str, time| Bar { name: name.to_owned(), words: "4.27 milliseconds".to_owned(), time };
        let svg = race("r", "Time", &[bar("baseline", 7.0), bar(hotkey, 4.27)]);
        assert!(svg.contains(hotkey), "the description names it in full");
        for text in svg.split("<text").skip(1) {
            let shown = text.split('>').nth(1).unwrap_or_default().split('<').next().unwrap_or_default();
            assert!(shown.ends_with("milliseconds") && shown.chars().count() <= 52, "{shown}");
        }
    }
}
