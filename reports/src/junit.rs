//! `junit.xml`: one test case per candidate, one for the A/A control.

use std::fmt::Write as _;
use std::time::Duration;

use edgemaxx_contract::estimate::CertificateVerdict;
use edgemaxx_contract::ranking::Standing;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::ReportError;
use crate::escape::visible;
use crate::number;
use crate::standing::standing_words;
use crate::view::RunView;

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
///
/// # Errors
/// [`ReportError::Junit`]: a defect of this program.
pub fn junit(view: &RunView<'_>) -> Result<String, ReportError> {
    let cases: Vec<Case> = view
        .ranked()
        .into_iter()
        .map(|(entry, estimates)| {
            let mut words = standing_words(entry.standing).to_owned();
            for reason in &entry.reasons {
                words.push_str("; ");
                words.push_str(reason);
            }
            if let Some(s) = estimates.and_then(|e| e.claimed_speedup()) {
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

/// A report of one suite, in Jenkins' format.
pub(crate) fn suite(name: &str, cases: &[Case]) -> Result<String, ReportError> {
    let time = |seconds: Option<f64>| {
        let seconds = seconds.filter(|v| v.is_finite() && *v > 0.0).unwrap_or(0.0);
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    };
    let name = visible(name);
    let mut suite = TestSuite::new(name.as_str());
    for case in cases {
        let non_success = |kind, word: &str, message: &str| {
            let mut status = TestCaseStatus::non_success(kind);
            status.set_type(word).set_message(visible(message));
            status
        };
        let status = match &case.result {
            CaseResult::Passed(_) => TestCaseStatus::success(),
            CaseResult::Failed(words) => non_success(NonSuccessKind::Failure, "failure", words),
            CaseResult::Error(words) => non_success(NonSuccessKind::Error, "error", words),
            CaseResult::Skipped(words) => {
                let mut status = TestCaseStatus::skipped();
                status.set_message(visible(words));
                status
            }
        };
        let mut test = TestCase::new(visible(&case.name), status);
        test.set_classname(visible(&case.class)).set_time(time(case.seconds));
        if let CaseResult::Passed(words) = &case.result {
            test.set_system_out(visible(words));
        }
        suite.add_test_case(test);
    }
    let total = time(Some(cases.iter().filter_map(|c| c.seconds).filter(|s| s.is_finite()).sum()));
    suite.set_time(total);
    let mut report = Report::new(name);
    report.set_time(total).add_test_suite(suite);
    Ok(report.to_string()?)
}
