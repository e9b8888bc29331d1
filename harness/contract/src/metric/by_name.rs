//! A metric as documents name it: an entry of the table, or the same through held-back views.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::table::{Direction, Entry, Model, TABLE};

/// What stands before the name of a metric that is taken through held-back views.
const HELD_BACK: &str = "held_back_";

/// A number computed from a pair of answers: an entry of the [table](TABLE), or its worst over held-back views.
#[derive(Clone, Copy)]
pub struct Metric {
    entry: &'static Entry,
    held_back: bool,
}

static ALSO: OnceLock<&[Entry]> = OnceLock::new();

/// Adds metrics of a task that this release does not have; see [`crate::task::also`].
pub(crate) fn also(entries: &'static [Entry]) {
    let _ = ALSO.set(entries);
}

/// A name that no metric has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown metric `{found}`, expected one of {}", names())]
pub struct UnknownMetric {
    found: String,
}

fn names() -> String {
    Metric::all().map(|metric| metric.to_string()).collect::<Vec<_>>().join(", ")
}

impl Metric {
    /// All metrics, in the order of reports: those of the table, then those through held-back views.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::of(TABLE.iter().chain(ALSO.get().copied().unwrap_or_default()))
    }

    /// Those that this release has, whatever tests added.
    #[cfg(feature = "schema")]
    pub(crate) fn of_release() -> impl Iterator<Item = Self> {
        Self::of(TABLE.iter())
    }

    fn of(entries: impl Iterator<Item = &'static Entry> + Clone) -> impl Iterator<Item = Self> {
        let through_views = entries.clone().filter(|entry| entry.held_back).map(|entry| (entry, true));
        let plain = entries.map(|entry| (entry, false));
        plain.chain(through_views).map(|(entry, held_back)| Self { entry, held_back })
    }

    /// The metrics of a task, in the order of reports.
    pub fn of_task(task: &str) -> impl Iterator<Item = Self> {
        Self::all().filter(move |metric| metric.entry.task == task)
    }

    /// What tells, without a model, how alike two answers of a task are.
    pub fn likeness(task: &str) -> Option<Self> {
        Self::of_task(task).find(|metric| metric.needs().is_empty() && metric.is_similarity())
    }

    /// The metric of that name.
    ///
    /// # Errors
    /// [`UnknownMetric`] names all that are known.
    pub fn named(name: &str) -> Result<Self, UnknownMetric> {
        Self::all()
            .find(|metric| metric.name() == name)
            .ok_or_else(|| UnknownMetric { found: name.to_owned() })
    }

    /// Its entry in the table; of a held-back one, that of the metric it is the worst of.
    pub fn entry(self) -> &'static Entry {
        self.entry
    }

    /// The name used in files.
    pub fn name(self) -> Cow<'static, str> {
        if self.held_back {
            Cow::Owned(format!("{HELD_BACK}{}", self.entry.name))
        } else {
            Cow::Borrowed(self.entry.name)
        }
    }

    /// For people, in tables, with its unit.
    pub fn title(self) -> String {
        let unit = self.entry.unit.words();
        let unit = if unit.is_empty() { String::new() } else { format!(", {unit}") };
        let views = if self.held_back { ", worst held-back view" } else { "" };
        format!("{}{unit}{views}", self.entry.title)
    }

    /// The name of a column that holds it, with its unit.
    pub fn column(self) -> String {
        let name = self.name();
        let unit = self.entry.unit.words().to_lowercase();
        if name.ends_with(&unit) { name.into_owned() } else { format!("{name}_{unit}") }
    }

    /// A value of one pair for people, with what it is; `decimals` prints a number with so many decimals.
    pub fn caption(self, value: f64, decimals: impl Fn(f64, usize) -> String) -> String {
        let Entry { short, unit, digits, of_each_side, .. } = *self.entry;
        let views = if self.held_back { "held-back " } else { "" };
        let sign = if of_each_side && value > 0.0 { "+" } else { "" };
        let shown = decimals(value, unit.digits_of_one(digits));
        format!("{views}{short} {sign}{shown} {}", unit.words()).trim_end().to_owned()
    }

    /// Whether it is taken through held-back views.
    pub fn is_held_back(self) -> bool {
        self.held_back
    }

    /// Whether larger values mean more alike.
    pub fn higher_is_better(self) -> bool {
        self.entry.direction == Direction::HigherIsBetter
    }

    /// The smallest and the largest value it can take.
    pub fn range(self) -> (f64, f64) {
        self.entry.range
    }

    /// The models without which it is not computed.
    pub fn needs(self) -> &'static [Model] {
        self.entry.needs
    }

    /// Whether a score can multiply speed with it: 1 for answers that are the same, less for others, and known before
    /// all answers are made.
    pub fn is_similarity(self) -> bool {
        !self.held_back && !self.entry.of_each_side && self.higher_is_better() && self.entry.range.1 == 1.0
    }
}

impl PartialEq for Metric {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Metric {}

impl PartialOrd for Metric {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// By name, those through held-back views last.
impl Ord for Metric {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.held_back, self.entry.name).cmp(&(other.held_back, other.entry.name))
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name())
    }
}

impl fmt::Debug for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Metric({self})")
    }
}

impl FromStr for Metric {
    type Err = UnknownMetric;

    fn from_str(name: &str) -> Result<Self, UnknownMetric> {
        Self::named(name)
    }
}

impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name())
    }
}

impl<'de> Deserialize<'de> for Metric {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Cow::<'de, str>::deserialize(deserializer)?;
        Self::named(&name).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn names_lead_back_to_their_metric_and_are_unique() {
        let mut seen = BTreeSet::new();
        for metric in Metric::all() {
            assert_eq!(metric.to_string().parse(), Ok(metric));
            assert!(seen.insert(metric.to_string()), "{metric} twice");
            assert!(!metric.entry().name.starts_with(HELD_BACK), "{metric}");
            let (low, high) = metric.range();
            assert!(low < high, "{metric}");
        }
    }

    #[test]
    fn unknown_names_are_refused_naming_the_known() {
        let error = serde_json::from_str::<Metric>("\"beauty\"").unwrap_err().to_string();
        assert!(error.contains("`beauty`") && error.contains("ssim_gray, psnr_db"), "{error}");
        assert!(error.contains("held_back_clip_image_cosine"), "{error}");
        assert!("held_back_lpips".parse::<Metric>().is_err(), "it is not taken through views");
    }

    #[test]
    fn documents_hold_names() {
        let values = BTreeMap::from([(Metric::named("held_back_ssim_gray").unwrap(), 0.5)]);
        let json = serde_json::to_string(&values).unwrap();
        assert_eq!(json, r#"{"held_back_ssim_gray":0.5}"#);
        assert_eq!(serde_json::from_str::<BTreeMap<Metric, f64>>(&json).unwrap(), values);
    }

    #[test]
    fn held_back_variants_follow_from_the_entry() {
        let plain = Metric::named("ssim_gray").unwrap();
        let held_back = Metric::named("held_back_ssim_gray").unwrap();
        assert_eq!(held_back.entry(), plain.entry());
        assert_ne!(held_back, plain);
        assert_eq!(held_back.title(), "SSIM, worst held-back view");
        assert!(plain.is_similarity() && !held_back.is_similarity());
        assert_eq!(Metric::named("phash_distance").unwrap().title(), "perceptual hash distance, bits");
    }

    #[test]
    fn the_first_metric_of_a_task_needs_no_model() {
        let tasks: BTreeSet<&str> = TABLE.iter().map(|entry| entry.task).collect();
        for task in tasks {
            let first = Metric::of_task(task).next().unwrap();
            assert!(first.needs().is_empty() && first.is_similarity(), "{task}");
        }
    }
}
