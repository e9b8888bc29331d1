//! How much slower something became: a difference of mean log latencies with a two-sided interval. What is said of it: [`super::row`].

use crate::estimators::{Method, Summary, student, welch};
use crate::inference::power::beyond_the_interval;
use crate::samples::CandidateSamples;
use crate::sequential::Looks;

/// More sessions than this are no advice.
const MOST_SESSIONS: usize = 1000;

/// Session means of one pipeline in one run, and the looks at which its measurement could have ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group<'a> {
    /// Mean log ratio to the baseline, by session.
    pub means: &'a [f64],
    /// Where measuring might have stopped because of what it showed.
    pub looks: Option<&'a Looks>,
}

/// A change on the scale of log latency: positive is slower.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    /// The change with its interval; no bounds where the data give none.
    pub summary: Summary,
    /// How it was computed.
    pub method: &'static str,
    /// For how many more sessions it would take.
    pub noise: Noise,
}

impl Change {
    /// Candidate against baseline inside one run: the mean over sessions.
    pub(crate) fn to_baseline(group: Group<'_>, level: f64) -> Self {
        let (summary, method) = own(group, level);
        Self { summary, method, noise: Noise::of(&[group.means]) }
    }

    /// One run against another: the difference of two means over separate sessions.
    ///
    /// With fixed numbers of sessions this is Welch's t. Where either run could have stopped
    /// because of its data, both get an interval that holds whenever it stopped, each with half
    /// of the error; the difference lies between their ends.
    pub(crate) fn between(reference: Group<'_>, subject: Group<'_>, level: f64) -> Self {
        let noise = Noise::of(&[reference.means, subject.means]);
        if reference.looks.is_none() && subject.looks.is_none() {
            let summary = welch::interval(subject.means, reference.means, level);
            return Self { summary, method: "Welch's t on the session means of both runs", noise };
        }
        let half = 1.0 - (1.0 - level) / 2.0;
        let (before, after) = (own(reference, half).0, own(subject, half).0);
        let minus = |a: Option<f64>, b: Option<f64>| Some(a? - b?);
        let summary = Summary {
            point: after.point - before.point,
            lower: minus(after.lower, before.upper),
            upper: minus(after.upper, before.lower),
            p_value: None,
            level,
            n: before.n.min(after.n),
            method: after.method,
        };
        Self { summary, method: "t on session means of each run, error spent over looks", noise }
    }

    /// The smallest true change whose interval would lie above `limit` in four of five cases: half of the interval found,
    /// and what is beyond it. `None` where there is no interval.
    pub(crate) fn detectable_beyond(&self, limit: f64) -> Option<f64> {
        let half = (self.summary.upper? - self.summary.lower?) / 2.0;
        let freedom = self.noise.units.checked_sub(1).filter(|freedom| *freedom > 0)? as f64;
        let error = (self.noise.variances.iter().sum::<f64>() / self.noise.units as f64).sqrt();
        let reach = half + beyond_the_interval(freedom) * error;
        reach.is_finite().then_some(limit + reach)
    }

    /// A measurement against itself: whatever became of the pipeline, the difference is nothing.
    pub(crate) fn of_the_same(sessions: usize, level: f64) -> Self {
        let summary = Summary::bare(0.0, level, sessions, Method::Student);
        Self { summary, method: "the same samples", noise: Noise { variances: Vec::new(), units: sessions } }
    }

    /// Whether it is of a measurement against itself.
    pub(crate) fn is_of_the_same(&self) -> bool {
        self.noise.variances.is_empty()
    }

    /// Why there is no interval, in words.
    pub(crate) fn why_no_interval(&self) -> &'static str {
        match self.noise.units {
            _ if self.is_of_the_same() => "a measurement against itself tells nothing of a change",
            0 | 1 => "too few sessions for an interval: processes differ, and five sessions show by how much",
            _ if self.noise.variances.contains(&0.0) => {
                "all sessions are equal to the last digit: a clock that coarse tells nothing"
            }
            _ => "too few sessions for an interval in a run that may end after each: measure more of them",
        }
    }
}

/// The interval of one run alone.
fn own(group: Group<'_>, level: f64) -> (Summary, &'static str) {
    match group.looks {
        None => (student::varying(group.means, level), "t on session means"),
        Some(looks) => {
            let boundary = looks.boundary(1.0 - level);
            let summary = boundary.interval(group.means, level, looks.first());
            (summary, "t on session means, error spent over looks")
        }
    }
}

/// Session means of one candidate; the looks are its run's.
pub(crate) fn means(samples: &CandidateSamples) -> Vec<f64> {
    samples.series().means
}

/// The spread of single units (sessions, or pairs), and how many there were.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Noise {
    /// Variance of one unit, for every group that enters a difference; 0 where all are equal to the last digit.
    variances: Vec<f64>,
    /// The fewest units of any group.
    pub units: usize,
}

impl Noise {
    /// The noise of a difference of these groups' means; of one mean, for a single group.
    pub(crate) fn of(groups: &[&[f64]]) -> Self {
        let variance = |values: &&[f64]| match student::mean_and_error(values) {
            Some((_, error)) if student::varies(values) => error.powi(2) * values.len() as f64,
            Some(_) => 0.0,
            None => f64::NAN,
        };
        Self {
            variances: groups.iter().map(variance).collect(),
            units: groups.iter().map(|group| group.len()).min().unwrap_or(0),
        }
    }

    /// The fewest units *in each group* with which a true value this far from the limit would be
    /// told apart from it in four of five cases, at two-sided error `alpha`; `None` where no
    /// sensible number would do.
    pub(crate) fn units_to_resolve(&self, distance: f64, alpha: f64) -> Option<usize> {
        let (sum, squares) =
            self.variances.iter().fold((0.0, 0.0), |(sum, squares), v| (sum + v, squares + v * v));
        if !(sum > 0.0 && distance > 0.0) {
            return None;
        }
        let enough = |n: usize| {
            let freedom = sum * sum / squares * (n - 1) as f64;
            let reach = student::critical(alpha, freedom) + beyond_the_interval(freedom);
            reach * (sum / n as f64).sqrt() <= distance
        };
        let mut high = 2;
        while !enough(high) {
            high *= 2;
            if high > 2 * MOST_SESSIONS {
                return None;
            }
        }
        let mut low = high / 2;
        while high - low > 1 {
            let middle = low.midpoint(high);
            if middle < 2 || !enough(middle) { low = middle } else { high = middle }
        }
        (high <= MOST_SESSIONS).then_some(high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimators::known::{A, B, assert_close};

    fn group<'a>(means: &'a [f64], looks: Option<&'a Looks>) -> Group<'a> {
        Group { means, looks }
    }

    #[test]
    fn two_runs_are_compared_by_welch() {
        // scipy 1.17.1: ttest_ind(B, A, equal_var=False).confidence_interval(.95)
        let change = Change::between(group(&A, None), group(&B, None), 0.95).summary;
        assert_close(change.point, 0.0083);
        assert_close(change.lower.unwrap(), -0.018781504023502885);
        assert_close(change.upper.unwrap(), 0.03538150402350289);
    }

    #[test]
    fn runs_that_could_stop_get_wider_intervals_and_one_session_gets_none() {
        let looks = Looks::new(5, 8);
        let fixed = Change::between(group(&A, None), group(&B, None), 0.95).summary;
        let spent = Change::between(group(&A, Some(&looks)), group(&B, None), 0.95).summary;
        assert_eq!(spent.point, fixed.point);
        assert!(spent.lower < fixed.lower && spent.upper > fixed.upper, "{spent:?}");
        let one = Change::between(group(&A, None), group(&B[..1], None), 0.95);
        assert_eq!((one.summary.lower, one.noise.units_to_resolve(0.01, 0.05)), (None, None));
        assert_eq!(Change::to_baseline(group(&B[..1], None), 0.95).summary.upper, None);
    }

    #[test]
    fn it_is_said_why_there_is_no_interval() {
        let looks = Looks::new(5, 8);
        let why = |means: &[f64], looks: Option<&Looks>| {
            let change = Change::to_baseline(group(means, looks), 0.95);
            assert_eq!(change.summary.lower, None, "{means:?}");
            change.why_no_interval()
        };
        assert!(why(&B[..1], None).starts_with("too few sessions for an interval: processes differ"));
        assert!(why(&[0.1; 3], None).starts_with("all sessions are equal to the last digit"));
        assert!(
            why(&B[..2], Some(&looks)).ends_with("in a run that may end after each: measure more of them")
        );
        assert!(Change::of_the_same(5, 0.95).why_no_interval().starts_with("a measurement against itself"));
    }

    #[test]
    fn what_could_be_seen_is_what_so_many_sessions_resolve() {
        // 34 sessions of standard deviation 1 tell half of it from nothing: see the next test
        let means: Vec<f64> = (0..34).map(|n| if n % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let scale = student::mean_and_error(&means).unwrap().1 * 34f64.sqrt();
        let means: Vec<f64> = means.iter().map(|mean| mean / scale).collect();
        let seen = Change::to_baseline(group(&means, None), 0.95).detectable_beyond(0.0).unwrap();
        assert!((0.48..=0.5).contains(&seen), "{seen}");
        let limited = Change::to_baseline(group(&means, None), 0.95).detectable_beyond(0.1).unwrap();
        assert_close(limited, seen + 0.1);
        assert_eq!(Change::to_baseline(group(&means[..1], None), 0.95).detectable_beyond(0.0), None);
    }

    #[test]
    fn sessions_to_resolve_agree_with_the_power_of_t() {
        // One group of standard deviation 1, a distance of half of it, two-sided 5%, power 80%:
        // t(.975, n−1) + t(.8, n−1) ≤ .5·√n first holds at 34. (scipy 1.17.1;
        // the noncentral t of exact power gives the same 34 and 64)
        let noise = Noise { variances: vec![1.0], units: 5 };
        assert_eq!(noise.units_to_resolve(0.5, 0.05), Some(34));
        // Two groups of equal variance: twice the variance, twice the freedom.
        let two = Noise { variances: vec![1.0, 1.0], units: 5 };
        assert_eq!(two.units_to_resolve(0.5, 0.05), Some(64));
        assert_eq!(noise.units_to_resolve(1e-4, 0.05), None);
        assert_eq!(noise.units_to_resolve(0.0, 0.05), None);
    }
}
