//! One pipeline's verdict, from its change of latency and its similarity.

use edgemaxx_contract::comparison::{ComparisonRow, Verdict};
use edgemaxx_contract::counted::Counted;
use edgemaxx_contract::estimate::{CandidateEstimates, Estimate};
use edgemaxx_contract::metric::Metric;
use edgemaxx_contract::quality::QualityRecord;
use edgemaxx_contract::shown_text::decimals;

use super::CompareSettings;
use super::change::{Change, Group};
use super::likeness::Likeness;
use crate::estimators::multiplicity::simultaneous_level;
use crate::sequential::Looks;

/// All that one run knows of a candidate.
pub(crate) struct Side<'a> {
    pub name: String,
    /// Mean log ratio to the baseline, by session.
    pub means: Vec<f64>,
    /// The same without throttled pairs; `None`: none was throttled in the run.
    pub unthrottled: Option<Vec<f64>>,
    pub looks: Option<&'a Looks>,
    pub estimates: Option<&'a CandidateEstimates>,
    /// Log ratio of processor time for a request to the baseline's, by session.
    pub processor: Vec<f64>,
    pub metric: Metric,
    pub records: Vec<&'a QualityRecord>,
}

impl Side<'_> {
    fn group<'a>(&'a self, means: &'a [f64]) -> Group<'a> {
        Group { means, looks: self.looks }
    }

    /// The calm means, where throttled pairs were removed and enough is left to compare.
    fn calm(&self) -> Option<&[f64]> {
        let calm = self.unthrottled.as_deref()?;
        (calm.len() >= 2 && *calm != *self.means).then_some(calm)
    }

    /// Whether too few samples are left without the throttled ones to find a verdict again.
    fn is_throttled_through(&self) -> bool {
        self.means.len() >= 2 && self.unthrottled.as_deref().is_some_and(|calm| calm.len() < 2)
    }

    /// Its requests that count, and why others do not.
    pub(crate) fn counted(&self) -> Counted {
        self.estimates.map(|e| e.counted.clone()).unwrap_or_default()
    }

    /// Why its numbers count for nothing, if they do.
    fn failure(&self) -> Option<String> {
        let reasons = self.estimates.map(CandidateEstimates::counts_for_nothing);
        let reasons = reasons.unwrap_or_else(|| vec!["it was not measured".to_owned()]);
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }
}

/// The row of a candidate of which nothing can be told.
pub(crate) fn untold(name: &str, reason: String, counted: Counted) -> ComparisonRow {
    ComparisonRow {
        name: name.to_owned(),
        verdict: Verdict::CannotTell,
        reason,
        slowdown: None,
        detectable: None,
        processor: None,
        metric: None,
        similarity: None,
        more_sessions: None,
        counted,
        reference_counted: None,
    }
}

/// What can be said of a change of log latency against the largest tolerated one.
pub(crate) fn speed_verdict(change: &Change, limit: f64) -> Verdict {
    let (Some(lower), Some(upper)) = (change.summary.lower, change.summary.upper) else {
        return Verdict::CannotTell;
    };
    if lower > limit {
        Verdict::Regressed
    } else if upper < 0.0 {
        Verdict::Improved
    } else if upper <= limit {
        Verdict::Equivalent
    } else {
        Verdict::CannotTell
    }
}

/// Limits and levels, the same for all pipelines.
pub(crate) struct Judge<'a> {
    settings: &'a CompareSettings,
    /// Largest tolerated change of log latency.
    limit: f64,
    /// Level of each interval, so that all of them hold together.
    level: f64,
    rows: usize,
    /// Why a machine was not fit to measure, if one was not.
    unfit: Option<String>,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(settings: &'a CompareSettings, rows: usize, unfit: Option<String>) -> Self {
        let level = simultaneous_level(settings.level, rows);
        Self { settings, limit: settings.max_slowdown.ln_1p(), level, rows, unfit }
    }

    /// A candidate of the subject against the same one of the reference.
    pub(crate) fn runs(&self, reference: Side<'_>, subject: Side<'_>, same: bool) -> ComparisonRow {
        let counted = Some(reference.counted());
        if let Some(row) = self.failed(&subject, reference.failure()) {
            return ComparisonRow { reference_counted: counted, ..row };
        }
        let change = |before: &[f64], after: &[f64]| {
            if same {
                return Change::of_the_same(after.len(), self.level);
            }
            Change::between(reference.group(before), subject.group(after), self.level)
        };
        let found = change(&reference.means, &subject.means);
        let calm = (reference.calm().is_some() || subject.calm().is_some()).then(|| {
            let before = reference.calm().unwrap_or(&reference.means);
            change(before, subject.calm().unwrap_or(&subject.means))
        });
        let throttled = !same && (reference.is_throttled_through() || subject.is_throttled_through());
        self.doubt_good_news(ComparisonRow {
            reference_counted: counted,
            ..self.row(&subject, &found, calm.as_ref(), throttled)
        })
    }

    /// A candidate against its own baseline.
    pub(crate) fn own_baseline(&self, subject: Side<'_>) -> ComparisonRow {
        if let Some(row) = self.failed(&subject, None) {
            return row;
        }
        let found = Change::to_baseline(subject.group(&subject.means), self.level);
        let calm = subject.calm().map(|calm| Change::to_baseline(subject.group(calm), self.level));
        let mut row = self.row(&subject, &found, calm.as_ref(), subject.is_throttled_through());
        // Nobody stops for it, and nobody claims anything by it: a plain interval.
        let processor = Group { means: &subject.processor, looks: None };
        row.processor = (!subject.processor.is_empty())
            .then(|| relative(&Change::to_baseline(processor, self.level), self.level));
        self.doubt_good_news(row)
    }

    /// No good news rests on a machine that was not fit, or on a part of the requests: which ones are missing is hardly by
    /// chance.
    fn doubt_good_news(&self, row: ComparisonRow) -> ComparisonRow {
        let counts = std::iter::once(&row.counted).chain(&row.reference_counted);
        let missing = counts.into_iter().find(|counted| !counted.is_whole());
        let missing = missing.map(|counted| format!("not of all requests: {counted}"));
        match (missing.or_else(|| self.unfit.clone()), row.verdict) {
            (Some(doubt), Verdict::Equivalent | Verdict::Improved) => ComparisonRow {
                verdict: Verdict::CannotTell,
                reason: format!("{}, but {doubt}", row.reason),
                ..row
            },
            _ => row,
        }
    }

    /// The row of a candidate that does not work, or did not before.
    fn failed(&self, subject: &Side<'_>, before: Option<String>) -> Option<ComparisonRow> {
        let (verdict, reason) = match (subject.failure(), before) {
            (None, None) => return None,
            (Some(now), None) => (Verdict::Regressed, format!("it fails: {now}")),
            (None, Some(before)) => {
                (Verdict::CannotTell, format!("it works, but failed in the reference: {before}"))
            }
            (Some(now), Some(_)) => (Verdict::CannotTell, format!("it fails in both runs: {now}")),
        };
        Some(ComparisonRow { verdict, ..untold(&subject.name, reason, subject.counted()) })
    }

    /// `calm`: the change without throttled samples, where there are any; `throttled`: there is hardly anything else.
    fn row(
        &self,
        subject: &Side<'_>,
        change: &Change,
        calm: Option<&Change>,
        throttled: bool,
    ) -> ComparisonRow {
        let mut speed = speed_verdict(change, self.limit);
        let mut reasons = vec![self.speed_reason(change, speed)];
        let differs = calm.is_some_and(|calm| speed_verdict(calm, self.limit) != speed);
        let disagrees = differs || throttled;
        if disagrees {
            speed = Verdict::CannotTell;
            reasons = vec![match throttled {
                true => "too few samples are left without the throttled ones".to_owned(),
                false => "the verdict differs with and without throttled samples".to_owned(),
            }];
        }
        let sessions = change.noise.units;
        let alpha = 1.0 - self.level;
        let unsure = speed == Verdict::CannotTell && !disagrees;
        let mut more = vec![];
        if unsure {
            let distance = (change.summary.point - self.limit).abs();
            more.push(change.noise.units_to_resolve(distance, alpha));
        }
        let likeness = Likeness::of(&subject.records, subject.metric, self.level);
        let mut alike = Verdict::Improved;
        if let Some(least) = self.settings.min_similarity {
            alike = likeness.as_ref().map_or(Verdict::CannotTell, |found| found.verdict(least));
            reasons.push(similarity_reason(likeness.as_ref(), alike, least));
            if alike == Verdict::CannotTell {
                more.push(likeness.as_ref().and_then(|found| found.sessions(least, alpha, sessions)));
            }
        }
        // Alike enough is no worse than the speed's own verdict.
        let verdict = if alike <= Verdict::Equivalent { speed } else { speed.max(alike) };
        let resolved = more.into_iter().collect::<Option<Vec<usize>>>().and_then(|n| n.into_iter().max());
        ComparisonRow {
            name: subject.name.clone(),
            verdict,
            reason: reasons.join("; "),
            slowdown: Some(self.slowdown(change)),
            detectable: change.detectable_beyond(self.limit).map(f64::exp_m1),
            processor: None,
            metric: likeness.is_some().then_some(subject.metric),
            similarity: likeness.map(|found| found.estimate),
            more_sessions: resolved
                .filter(|_| verdict == Verdict::CannotTell && !disagrees)
                .map(|n| n.saturating_sub(sessions).max(1) as u32),
            counted: subject.counted(),
            reference_counted: None,
        }
    }

    fn slowdown(&self, change: &Change) -> Estimate {
        let mut found = relative(change, self.settings.level);
        if self.rows > 1 {
            found.method += ", all pipelines at once";
        }
        found
    }

    fn speed_reason(&self, change: &Change, verdict: Verdict) -> String {
        let percent = |log: f64| decimals(100.0 * log.exp_m1(), 2) + "%";
        let tolerated = format!("{:.2}% tolerated", 100.0 * self.settings.max_slowdown);
        let (Some(lower), Some(upper)) = (change.summary.lower, change.summary.upper) else {
            return change.why_no_interval().to_owned();
        };
        match verdict {
            Verdict::Regressed => format!("at least {} slower, {tolerated}", percent(lower)),
            Verdict::Improved => format!("at least {:.2}% less latency", -100.0 * upper.exp_m1()),
            Verdict::Equivalent => format!("at most {} slower, {tolerated}", percent(upper)),
            _ => format!("may be up to {} slower, {tolerated}", percent(upper)),
        }
    }
}

/// A change as a share.
fn relative(change: &Change, level: f64) -> Estimate {
    let relative = |log: Option<f64>| log.map(f64::exp_m1);
    Estimate {
        point: change.summary.point.exp_m1(),
        lower: relative(change.summary.lower),
        upper: relative(change.summary.upper),
        method: change.method.to_owned(),
        n: change.summary.n as u32,
        level,
    }
}

fn similarity_reason(likeness: Option<&Likeness>, verdict: Verdict, least: f64) -> String {
    let Some(found) = likeness else {
        return "the similarity is not known of every pair".to_owned();
    };
    let bound = |bound: Option<f64>| bound.map_or("—".to_owned(), |b| format!("{b:.4}"));
    let estimate = &found.estimate;
    match verdict {
        Verdict::Equivalent => format!("similarity at least {}, {least} asked for", bound(estimate.lower)),
        Verdict::Regressed => format!("similarity at most {}, {least} asked for", bound(estimate.upper)),
        _ => format!("similarity proven to be {} only, {least} asked for", bound(estimate.lower)),
    }
}
