//! `junit.xml`: one test case per candidate, one for the A/A control.

use std::fmt::Write as _;

use edgemaxx_contract::estimate::CertificateVerdict;
use edgemaxx_contract::ranking::Standing;

use crate::number;
use crate::text::{escape, visible};
use crate::view::{RunView, standing_words};

/// One test case: what it is called, how long its measured requests took in seconds, what came of it.
pub(crate) struct Case {
    pub class: String,
    pub name: String,
    pub seconds: Option<f64>,
    pub result: CaseResult,
}

/// What came of a test case; the words say why.
pub(crate) enum CaseResult {
    Passed(String),
    Failed(String),
    Error(String),
    Skipped(String),
}

/// A run as JUnit: a candidate rejected for quality is a failure, one that could not be measured an
/// error, one not proven faster is skipped; an unfit run fails its control.
pub fn junit(view: &RunView<'_>) -> String {
    let cases: Vec<Case> = view
        .ranked()
        .into_iter()
        .map(|(entry, estimates)| {
            let mut words = standing_words(entry.standing).to_owned();
            for reason in &entry.reasons {
                words.push_str("; ");
                words.push_str(reason);
            }
            if let Some(s) = estimates.and_then(|e| e.speedup.as_ref()) {
                let ends = number::interval(s.lower, s.upper, number::speedup);
                let _ = write!(words, "; speedup {} [{ends}]", number::speedup(s.point));
            }
            let unfit = view.estimates.certificate.verdict == CertificateVerdict::Unfit;
            let result = match entry.standing {
                Standing::Control if unfit => CaseResult::Failed(view.estimates.certificate.reason.clone()),
                Standing::Accepted | Standing::Control => CaseResult::Passed(words),
                Standing::NotFaster | Standing::Copy => CaseResult::Skipped(words),
                Standing::RejectedQuality => CaseResult::Failed(words),
                Standing::Failed => CaseResult::Error(words),
            };
            let seconds =
                estimates.and_then(|e| Some(e.latency_ms.as_ref()?.mean.point * f64::from(e.pairs) / 1000.0));
            Case { class: view.contest.name.clone(), name: entry.name.clone(), seconds, result }
        })
        .collect();
    suite(&format!("edgemaxx {}", view.contest.name), &cases)
}

/// A test suite as the schema of Jenkins' xUnit plugin (`junit-10.xsd`) has it; that one counts
/// what was skipped by suite only.
pub(crate) fn suite(name: &str, cases: &[Case]) -> String {
    let attribute = |text: &str| escape(&visible(text)).replace('\n', "&#10;").replace('\t', "&#9;");
    let count = |pick: fn(&CaseResult) -> bool| cases.iter().filter(|c| pick(&c.result)).count();
    let failures = count(|r| matches!(r, CaseResult::Failed(_)));
    let errors = count(|r| matches!(r, CaseResult::Error(_)));
    let skipped = count(|r| matches!(r, CaseResult::Skipped(_)));
    let seconds = |v: Option<f64>| format!("{:.3}", v.filter(|v| v.is_finite() && *v > 0.0).unwrap_or(0.0));
    let total: f64 = cases.iter().filter_map(|c| c.seconds).filter(|s| s.is_finite()).sum();
    let counts = format!(
        "tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{}\"",
        cases.len(),
        seconds(Some(total))
    );
    let name = attribute(name);
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"{name}\" {counts}>\n  \
         <testsuite name=\"{name}\" {counts} skipped=\"{skipped}\">\n"
    );
    for case in cases {
        let _ = write!(
            xml,
            "    <testcase classname=\"{}\" name=\"{}\" time=\"{}\">",
            attribute(&case.class),
            attribute(&case.name),
            seconds(case.seconds)
        );
        match &case.result {
            CaseResult::Passed(words) => {
                let _ = write!(xml, "<system-out>{}</system-out>", escape(&visible(words)));
            }
            CaseResult::Failed(words) => {
                let _ = write!(xml, "<failure type=\"failure\" message=\"{}\"/>", attribute(words));
            }
            CaseResult::Error(words) => {
                let _ = write!(xml, "<error type=\"error\" message=\"{}\"/>", attribute(words));
            }
            CaseResult::Skipped(words) => {
                let _ = write!(xml, "<skipped message=\"{}\"/>", attribute(words));
            }
        }
        xml.push_str("</testcase>\n");
    }
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}
