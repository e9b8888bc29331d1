//! The page: one file, no request to any host, nothing runs but what the policy's digests name.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use edgemaxx_contract::digest::Digest;
use serde::Serialize;
use tera::{Context, Tera};

use crate::ReportError;
use crate::day::DayView;
use crate::escape::visible;
use crate::page::{DayPage, DaySection, Fact, Page};
use crate::view::{AnswerSource, FileDigest, RunView};

const STYLE: &str = include_str!("../templates/style.css");
const SCRIPT: &str = include_str!("../templates/script.js");
const TEMPLATES: [(&str, &str); 12] = [
    ("base.html", include_str!("../templates/base.html")),
    ("report.html", include_str!("../templates/report.html")),
    ("front.html", include_str!("../templates/front.html")),
    ("entry.html", include_str!("../templates/entry.html")),
    ("board.html", include_str!("../templates/board.html")),
    ("candidate.html", include_str!("../templates/candidate.html")),
    ("submissions.html", include_str!("../templates/submissions.html")),
    ("day.html", include_str!("../templates/day.html")),
    ("joint.html", include_str!("../templates/joint.html")),
    ("trust.html", include_str!("../templates/trust.html")),
    ("provenance.html", include_str!("../templates/provenance.html")),
    ("history.html", include_str!("../templates/history.html")),
];

/// The report as one self-contained HTML file.
///
/// # Errors
/// [`ReportError::Template`]: a template does not fit its values; a defect of this crate.
pub fn html(view: &RunView<'_>, answers: &dyn AnswerSource) -> Result<String, ReportError> {
    render("report.html", &Page::new(view, answers))
}

/// The page of a validator's day on which nothing was measured; `contest` is the contest's title.
///
/// # Errors
/// As [`html`].
pub fn day_html(contest: &str, day: &DayView<'_>, files: &[FileDigest]) -> Result<String, ReportError> {
    let page = DayPage {
        title: format!("{} · {}", visible(contest), day.record.day),
        contest: visible(contest),
        date: day.record.day.to_string(),
        verdict: visible(&day.weights.reason),
        why: day.record.not_measured.as_deref().map(visible),
        submissions: DaySection::new(day, &std::collections::BTreeMap::new()),
        digests: files.iter().map(|file| Fact::new(file.name.as_str(), file.digest.to_string())).collect(),
    };
    render("day.html", &page)
}

/// Renders one of the page templates around the shared style and script. Their names end in `.html`, for which Tera escapes
/// every value.
pub(crate) fn render(template: &str, page: &impl Serialize) -> Result<String, ReportError> {
    let mut tera = Tera::new();
    tera.add_raw_templates(TEMPLATES).map_err(ReportError::from)?;
    let mut context = Context::new();
    context.insert("page", page);
    context.insert("policy", &policy());
    context.insert("style", STYLE);
    context.insert("script", SCRIPT);
    Ok(tera.render(template, &context)?)
}

/// The content security policy: the inline style and script by digest, pictures from `data:`, else nothing.
fn policy() -> String {
    let source = |text: &str| format!("'sha256-{}'", BASE64_STANDARD.encode(Digest::of(text).as_bytes()));
    format!(
        "default-src 'none'; style-src {}; script-src {}; img-src data:; base-uri 'none'; form-action 'none'",
        source(STYLE),
        source(SCRIPT)
    )
}
