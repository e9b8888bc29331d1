//! How each metric of texts is computed. What a metric is called, means and needs stands in
//! [`edgemaxx_contract::metric::TABLE`].

use std::collections::BTreeSet;

use edgemaxx_contract::metric::Metric;
use edgemaxx_contract::quality::{Judgement, Sides};

use super::reader::Read;

/// Two answers to the same request.
pub(super) struct Texts<'a> {
    /// Tokens of both.
    pub(super) ids: [&'a [u32]; 2],
    /// What the baseline's model says of both, where it is here.
    pub(super) read: Option<[&'a Read; 2]>,
    /// What both engines say of the baseline's, where they were asked.
    pub(super) said: Option<Said>,
}

/// What both engines say of the baseline's answer, beside what is known of it otherwise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Said {
    /// How far it lies from the baseline's model, where that is here.
    pub(super) divergence: Option<Sides>,
    /// The share of their own tokens that it puts first, where tokens are what comes first.
    pub(super) own_choices: Option<Sides>,
}

/// What a metric says.
pub(super) enum Found {
    /// A value of the pair.
    One(f64),
    /// A value of each side; the metric is their difference.
    Each(Sides),
}

type Function = fn(&Texts<'_>) -> Option<Found>;

/// One function for each metric of texts, by the name it has in the table.
pub(super) const FUNCTIONS: &[(&str, Function)] = &[
    ("same_start", |texts| {
        let [a, b] = texts.ids;
        let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        Some(Found::One(same as f64 / a.len().max(b.len()).max(1) as f64))
    }),
    ("agreement_change", |texts| each(texts, Read::agreement)),
    ("first_agreement_change", |texts| each(texts, Read::first)),
    ("margin_change", |texts| each(texts, Read::margin)),
    ("nll_change", |texts| each(texts, Read::nll_per_token)),
    ("nll_fall", |texts| {
        texts
            .read
            .map(|[baseline, candidate]| Found::One(baseline.nll_per_token() - candidate.nll_per_token()))
    }),
    ("kl_change", |texts| texts.said?.divergence.map(Found::Each)),
    ("own_choice_change", |texts| texts.said?.own_choices.map(Found::Each)),
    ("repetition_change", |texts| {
        let [baseline, candidate] = texts.ids.map(repetition);
        Some(Found::Each(Sides { baseline, candidate }))
    }),
    ("shorter", |texts| Some(Found::One(0.0 - longer(texts)))),
    ("longer", |texts| Some(Found::One(longer(texts)))),
    // A text that is the baseline's own is never worse than it, whatever the model says of both.
    ("agreement", |texts| {
        texts.read.map(|[baseline, candidate]| {
            Found::One(1.0 - (baseline.agreement() - candidate.agreement()).max(0.0))
        })
    }),
];

/// seq-rep-4: the share of runs of four tokens that are not the first of their kind; 0 of a text too short to have two.
fn repetition(ids: &[u32]) -> f64 {
    let runs = ids.windows(4);
    let count = runs.len().max(1);
    let different = runs.collect::<BTreeSet<_>>().len().max(1);
    1.0 - different as f64 / count as f64
}

fn longer(texts: &Texts<'_>) -> f64 {
    let [baseline, candidate] = texts.ids.map(|ids| ids.len().max(1) as f64);
    // A difference of zero has no sign.
    if baseline == candidate { 0.0 } else { (candidate / baseline).ln() }
}

fn each(texts: &Texts<'_>, of: fn(&Read) -> f64) -> Option<Found> {
    let [baseline, candidate] = texts.read?.map(of);
    Some(Found::Each(Sides { baseline, candidate }))
}

/// All that the metrics say of two texts.
pub(super) fn judgement(texts: &Texts<'_>) -> Judgement {
    let mut judgement = Judgement::default();
    for metric in Metric::of_task("text") {
        let function = FUNCTIONS.iter().find(|(name, _)| *name == metric.entry().name);
        let Some(found) = function.and_then(|(_, function)| function(texts)) else { continue };
        let value = match found {
            Found::One(value) => value,
            Found::Each(sides) => {
                judgement.sides.insert(metric, sides);
                sides.candidate - sides.baseline
            }
        };
        judgement.values.insert(metric, value);
    }
    judgement
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::metric::TABLE;

    use super::*;

    #[test]
    fn every_metric_of_texts_is_computed_and_no_other() {
        let described: Vec<&str> =
            TABLE.iter().filter(|entry| entry.task == "text").map(|entry| entry.name).collect();
        let computed: Vec<&str> = FUNCTIONS.iter().map(|(name, _)| *name).collect();
        assert_eq!(computed.iter().collect::<BTreeSet<_>>(), described.iter().collect());
        assert_eq!(computed.len(), described.len(), "each once");
    }

    #[test]
    fn values_are_those_of_the_definitions() {
        let read = |agrees: &[bool], margins: &[f64], nll: f64| Read {
            agrees: agrees.to_vec(),
            margins: margins.to_vec(),
            nll,
        };
        let baseline = read(&[true, true, true, true], &[0.0; 4], 4.0);
        let candidate = read(&[false, true], &[3.0, 0.0], 5.0);
        let texts = Texts { ids: [&[1, 2, 3, 4], &[1, 9]], read: Some([&baseline, &candidate]), said: None };
        let found = judgement(&texts);
        let value = |name: &str| found.values[&Metric::named(name).unwrap()];
        assert_eq!(value("same_start"), 0.25);
        assert_eq!((value("agreement"), value("agreement_change")), (0.5, -0.5));
        assert_eq!((value("first_agreement_change"), value("margin_change")), (-1.0, 1.5));
        assert_eq!((value("nll_change"), value("nll_fall")), (1.5, -1.5));
        assert_eq!((value("shorter"), value("longer")), (2f64.ln(), -(2f64.ln())));
        // A baseline that keeps fewer bits than its model as stored does not always agree with it either.
        let own =
            judgement(&Texts { ids: [&[1, 9], &[1, 9]], read: Some([&candidate, &candidate]), said: None });
        assert_eq!(own.values[&Metric::named("agreement").unwrap()], 1.0);
        let alone = judgement(&Texts { read: None, ..texts });
        assert_eq!(alone.values.len(), 4, "what needs no model");
        let said = Said {
            divergence: Some(Sides { baseline: 0.25, candidate: 0.75 }),
            own_choices: Some(Sides { baseline: 1.0, candidate: 0.5 }),
        };
        let scored = judgement(&Texts { said: Some(said), read: None, ..texts });
        let value = |name: &str| scored.values[&Metric::named(name).unwrap()];
        assert_eq!((value("kl_change"), value("own_choice_change"), scored.values.len()), (0.5, -0.5, 6));
    }

    #[test]
    fn repetition_counts_runs_of_four_that_stood_there_before() {
        let shares = [
            (&[1, 2, 3, 4, 5, 6, 7][..], 0.0),
            // Five runs, of which the fifth is the first again.
            (&[1, 2, 3, 4, 1, 2, 3, 4], 0.2),
            (&[7; 8], 0.8),
            (&[1, 2, 3], 0.0),
            (&[], 0.0),
        ];
        for (ids, share) in shares {
            assert!((repetition(ids) - share).abs() < 1e-12, "{ids:?}");
        }
    }
}
