//! A pair of pictures with all that metrics are computed from.

use std::cell::RefCell;
use std::collections::BTreeMap;

use edgemaxx_contract::metric::Metric;
use edgemaxx_contract::quality::Judgement;
use edgemaxx_picture::Picture;

use super::lpips::Lpips;
use super::metrics::{FUNCTIONS, Found};
use crate::error::Result;

/// A pair of pictures with all that metrics are computed from; what is absent was not asked for.
pub(super) struct Prepared<'a> {
    /// The baseline's picture.
    pub(super) baseline: &'a Picture,
    /// The candidate's picture.
    pub(super) candidate: &'a Picture,
    /// CLIP's vectors of both.
    pub(super) embeddings: Option<[&'a [f32]; 2]>,
    /// CLIP's vector of what both should show.
    pub(super) prompt: Option<&'a [f32]>,
    /// The learned distance.
    pub(super) lpips: Option<&'a Lpips>,
    known: RefCell<BTreeMap<&'static str, Option<Found>>>,
}

impl<'a> Prepared<'a> {
    /// A pair with what models say of it, and the model that compares the pictures themselves.
    pub(super) fn new(
        [baseline, candidate]: [&'a Picture; 2],
        embeddings: Option<[&'a [f32]; 2]>,
        prompt: Option<&'a [f32]>,
        lpips: Option<&'a Lpips>,
    ) -> Self {
        Self { baseline, candidate, embeddings, prompt, lpips, known: RefCell::default() }
    }

    /// The value of the metric of that name, computed once.
    pub(super) fn value(&self, name: &str) -> Result<Option<f64>> {
        Ok(self.found(name)?.map(Found::value))
    }

    fn found(&self, name: &str) -> Result<Option<Found>> {
        if let Some(known) = self.known.borrow().get(name) {
            return Ok(*known);
        }
        let Some((name, function)) = FUNCTIONS.iter().find(|(known, _)| *known == name) else {
            return Ok(None);
        };
        let found = function(self)?.filter(|found| found.value().is_finite());
        self.known.borrow_mut().insert(name, found);
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
