//! The lanes of a run: a row for each.

use edgemaxx_contract::estimate::{Estimate, LaneEstimates};
use serde::Serialize;

use crate::escape::visible;
use crate::number::{self, UNDEFINED};
use crate::view::RunView;

/// One lane.
#[derive(Debug, Serialize)]
pub(crate) struct LaneRow {
    pub lane: u32,
    pub place: String,
    pub sessions: String,
    pub control: String,
    pub offset: String,
    pub baseline: String,
    pub clock: String,
    pub verdict: &'static str,
    pub why: String,
}

/// A row for each lane; none of a run on one.
pub(crate) fn lanes(view: &RunView<'_>) -> Vec<LaneRow> {
    view.estimates.lanes.iter().map(row).collect()
}

fn row(lane: &LaneEstimates) -> LaneRow {
    let speedup = |of: &Option<Estimate>| {
        of.as_ref().map_or_else(
            || UNDEFINED.to_owned(),
            |s| {
                format!(
                    "{} [{}]",
                    number::speedup(s.point),
                    number::interval(s.lower, s.upper, number::speedup)
                )
            },
        )
    };
    let cores: Vec<String> = lane.cores.iter().map(u32::to_string).collect();
    let cores = (!cores.is_empty()).then(|| format!("processors {}", cores.join(", ")));
    let place: Vec<String> = lane.card.iter().map(|card| visible(card)).chain(cores).collect();
    let (verdict, why) = match (&lane.dropped, &lane.differs) {
        (Some(why), _) => ("dropped", visible(why)),
        (None, Some(why)) => ("differs", visible(why)),
        (None, None) => ("counts", String::new()),
    };
    LaneRow {
        lane: lane.lane,
        place: place.join("; "),
        sessions: format!("{} ({} pairs)", lane.sessions, lane.pairs),
        control: speedup(&lane.control),
        offset: speedup(&lane.offset),
        baseline: number::optional(lane.baseline_ms, |ms| format!("{} ms", number::significant(ms, 4))),
        clock: number::optional(lane.clock_mhz, |mhz| format!("{} MHz", number::significant(mhz, 4))),
        verdict,
        why,
    }
}
