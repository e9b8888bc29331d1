//! A day of several contests together: what each decided, and the weights that follow.

use std::fmt::Write as _;

use edgemaxx_contract::joint::{Joint, Part};
use edgemaxx_contract::weights::Weights;
use serde::Serialize;

use crate::day::share;
use crate::escape::visible;
use crate::html::render;
use crate::markdown::cell;
use crate::number::UNDEFINED;
use crate::page::Fact;
use crate::view::FileDigest;
use crate::{ReportError, page};

/// A day of several contests together as it was decided.
#[derive(Debug, Clone, Copy)]
pub struct JointView<'a> {
    /// The contests.
    pub joint: &'a Joint,
    /// What follows from theirs.
    pub weights: &'a Weights,
}

#[derive(Debug, Serialize)]
struct JointPage {
    title: String,
    date: String,
    verdict: String,
    facts: Vec<Fact>,
    contests: Vec<ContestRow>,
    weights: Vec<Fact>,
    verify: String,
    digests: Vec<Fact>,
}

#[derive(Debug, Serialize)]
struct ContestRow {
    name: String,
    share: String,
    day: String,
    /// Its page, beside this one's folder.
    link: Option<String>,
    manifest: String,
}

impl JointView<'_> {
    fn verify(&self) -> String {
        format!("edgemaxx verify {} --hotkey {} --chain finney", self.joint.day, self.joint.validator)
    }

    fn rows(&self) -> Vec<ContestRow> {
        let row = |part: &Part| ContestRow {
            name: visible(&part.contest),
            share: share(part.share),
            day: part.day.as_ref().map_or_else(|| UNDEFINED.to_owned(), ToString::to_string),
            link: part.day.as_ref().map(|day| format!("../{}/{day}/report.html", part.contest)),
            manifest: part.manifest.map_or_else(|| UNDEFINED.to_owned(), |digest| digest.to_string()),
        };
        self.joint.contests.iter().map(row).collect()
    }
}

/// Its page.
///
/// # Errors
/// [`ReportError::Template`]: a defect of this crate.
pub fn joint_html(view: &JointView<'_>, files: &[FileDigest]) -> Result<String, ReportError> {
    let joint = view.joint;
    let fact = |label: &str, text: &str| page::Fact::new(label, visible(text));
    let since = joint.since.map_or_else(|| UNDEFINED.to_owned(), |block| block.to_string());
    let shares = view.weights.entries.iter().map(|entry| fact(&entry.hotkey, &share(entry.share)));
    render(
        "joint.html",
        &JointPage {
            title: format!("All contests · {}", joint.day),
            date: joint.day.to_string(),
            verdict: visible(&view.weights.reason),
            facts: vec![
                fact("Subnet", &joint.netuid.to_string()),
                fact("Validator", &joint.validator),
                fact("Submissions closed at block", &since),
            ],
            contests: view.rows(),
            weights: shares.collect(),
            verify: visible(&view.verify()),
            digests: files.iter().map(|file| fact(&file.name, &file.digest.to_string())).collect(),
        },
    )
}

/// Its short form.
pub fn joint_markdown(view: &JointView<'_>) -> String {
    let joint = view.joint;
    let mut md = format!(
        "## All contests\n\n**{}**\n\n{} · subnet {} · {}\n\n",
        cell(&view.weights.reason, 2000),
        joint.day,
        joint.netuid,
        cell(&joint.validator, 100)
    );
    let _ = writeln!(md, "| contest | share | day | manifest |\n|:--|--:|:--|:--|");
    for row in view.rows() {
        let _ = writeln!(md, "| {} | {} | {} | {} |", cell(&row.name, 100), row.share, row.day, row.manifest);
    }
    let _ = writeln!(md, "\n| hotkey | share |\n|:--|--:|");
    for entry in &view.weights.entries {
        let _ = writeln!(md, "| {} | {} |", cell(&entry.hotkey, 100), share(entry.share));
    }
    let _ = writeln!(md, "\n`{}`", view.verify());
    md
}
