//! The section of a validator's day, and the page of one on which nothing was measured.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Fact;
use crate::day::{DayView, share};
use crate::escape::visible;
use crate::number::UNDEFINED;

/// The section.
#[derive(Debug, Serialize)]
pub(crate) struct DaySection {
    pub facts: Vec<Fact>,
    pub rows: Vec<Row>,
    pub verify: String,
}

/// One commitment.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub uid: String,
    pub hotkey: String,
    /// Of its own section, where it was measured.
    pub anchor: Option<String>,
    pub source: String,
    pub since: String,
    pub key: &'static str,
    pub words: &'static str,
    pub why: Vec<String>,
    pub share: String,
}

impl DaySection {
    /// The section; `anchors` are the sections of those who were measured.
    pub(crate) fn new(day: &DayView<'_>, anchors: &BTreeMap<&str, String>) -> Self {
        let row = |row: crate::day::DayRow| Row {
            uid: row.uid.map_or_else(|| UNDEFINED.to_owned(), |uid| uid.to_string()),
            anchor: anchors.get(row.hotkey.as_str()).cloned(),
            hotkey: visible(&row.hotkey),
            source: visible(&row.source),
            since: row.since.map_or_else(|| UNDEFINED.to_owned(), |since| since.to_string()),
            key: row.key,
            words: row.words,
            why: row.why.iter().map(|why| visible(why)).collect(),
            share: share(row.share),
        };
        Self {
            facts: day.facts().into_iter().map(|(label, text)| Fact::new(label, visible(&text))).collect(),
            rows: day.rows().into_iter().map(row).collect(),
            verify: visible(&day.verify()),
        }
    }
}

/// The page of a day on which nothing was measured.
#[derive(Debug, Serialize)]
pub(crate) struct DayPage {
    pub title: String,
    pub contest: String,
    pub date: String,
    pub verdict: String,
    pub why: Option<String>,
    pub submissions: DaySection,
    pub digests: Vec<Fact>,
}
