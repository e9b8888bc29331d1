//! A pair of pictures with all that metrics are computed from.

use std::cell::RefCell;
use std::collections::BTreeMap;

use edgemaxx_contract::metric::Metric;
use edgemaxx_contract::quality::{Judgement, Sides};
use edgemaxx_picture::Picture;

use super::lpips::Lpips;
use super::pixelwise::PerceptualHash;
use crate::error::Result;

/// What a metric says of a pair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Found {
    /// A value of the pair.
    One(f64),
    /// A value of each side; the metric is their difference.
    Each(Sides),
}

impl Found {
    /// The metric's value.
    pub(super) fn value(self) -> f64 {
        match self {
            Self::One(value) => value,
            Self::Each(sides) => sides.candidate - sides.baseline,
        }
    }
}

/// Computes a metric; `None`: it has no value of this pair, or a model that it needs is not there.
pub(super) type Function = fn(&Prepared<'_>) -> Result<Option<Found>>;

/// Functions by the names of their metrics.
pub(super) type Functions = &'static [(&'static str, Function)];

/// A picture with all that is known of it alone, found once for all pairs that it is in.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    /// The picture.
    pub(super) picture: &'a Picture,
    /// Its perceptual hash.
    pub(super) hash: PerceptualHash,
    /// CLIP's vector of it.
    pub(super) embedding: Option<&'a [f32]>,
}

/// A pair of pictures with all that metrics are computed from; what is absent was not asked for.
pub(super) struct Prepared<'a> {
    /// The baseline's picture.
    pub(super) baseline: Known<'a>,
    /// The candidate's picture.
    pub(super) candidate: Known<'a>,
    /// CLIP's vector of what both should show.
    pub(super) prompt: Option<&'a [f32]>,
    /// The learned distance.
    pub(super) lpips: Option<&'a Lpips>,
    functions: Functions,
    values: RefCell<BTreeMap<&'static str, Option<Found>>>,
}

impl<'a> Prepared<'a> {
    /// A pair, the model that compares the pictures themselves, and how metrics are computed.
    pub(super) fn new(
        [baseline, candidate]: [Known<'a>; 2],
        prompt: Option<&'a [f32]>,
        lpips: Option<&'a Lpips>,
        functions: Functions,
    ) -> Self {
        Self { baseline, candidate, prompt, lpips, functions, values: RefCell::default() }
    }

    /// CLIP's vectors of both.
    pub(super) fn embeddings(&self) -> Option<[&'a [f32]; 2]> {
        Some([self.baseline.embedding?, self.candidate.embedding?])
    }

    /// The value of the metric of that name, computed once.
    pub(super) fn value(&self, name: &str) -> Result<Option<f64>> {
        Ok(self.found(name)?.map(Found::value))
    }

    fn found(&self, name: &str) -> Result<Option<Found>> {
        if let Some(known) = self.values.borrow().get(name) {
            return Ok(*known);
        }
        let Some((name, function)) = self.functions.iter().find(|(known, _)| *known == name) else {
            return Ok(None);
        };
        let found = function(self)?.filter(|found| found.value().is_finite());
        self.values.borrow_mut().insert(name, found);
        Ok(found)
    }
}

/// All that the metrics say of a pair, and of it through held-back `views`: there the worst counts.
pub(super) fn judgement(pair: &Prepared<'_>, views: &[Prepared<'_>]) -> Result<Judgement> {
    let mut judgement = Judgement::default();
    for metric in Metric::of_task("picture") {
        let entry = metric.entry();
        if metric.is_held_back() {
            let seen: Option<Vec<f64>> =
                views.iter().map(|view| view.value(entry.name)).collect::<Result<_>>()?;
            let worst = seen.and_then(|seen| entry.direction.worst(seen.into_iter()));
            judgement.values.extend(worst.map(|worst| (metric, worst)));
        } else if let Some(found) = pair.found(entry.name)? {
            judgement.values.insert(metric, found.value());
            if let Found::Each(sides) = found {
                judgement.sides.insert(metric, sides);
            }
        }
    }
    Ok(judgement)
}
