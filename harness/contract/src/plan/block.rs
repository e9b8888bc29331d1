//! Blocks: sessions of several candidates that share one launch of the baseline.

use super::types::{Plan, PlannedSession, Side};

/// The sessions of the next block, where candidates share a baseline: of the first round that is not
/// done, the next candidates still in the race, in the plan's order, and the control before them. The
/// first session carries the baseline. `None`: no candidate is left.
///
/// What is left of a round is cut into as few blocks as may be, of equal size.
pub fn next_block(
    plan: &Plan,
    taken: impl Fn(&PlannedSession) -> bool,
    stopped: impl Fn(&str) -> bool,
) -> Option<Vec<u32>> {
    let control = plan.control().map(|control| control.name.as_str());
    let is_control = |session: &PlannedSession| control == Some(session.candidate.as_str());
    let is_free = |session: &PlannedSession| !taken(session) && !stopped(&session.candidate);
    let is_left = |session: &&PlannedSession| !is_control(session) && is_free(session);
    let round = plan.sessions.iter().find(is_left)?.round;
    let of_round = || plan.sessions.iter().filter(|session| session.round == round);
    let left: Vec<u32> = of_round().filter(is_left).map(|session| session.index).collect();
    let blocks = left.len().div_ceil(plan.measurement.block.max(1) as usize);
    let control = of_round().find(|session| is_control(session) && is_free(session));
    let control = control.map(|session| session.index);
    Some(control.into_iter().chain(left.iter().copied().take(left.len().div_ceil(blocks))).collect())
}

/// Who takes turns in sessions that are launched together, in order: the session under which it is
/// recorded, and its side. `pair`: in which order they answer it; `None`: in which they are launched.
///
/// A block's order turns by one place with each pair, and runs backwards for every second one, so that
/// nobody answers at the same place, or after the same one, all the time.
pub fn turns(plan: &Plan, sessions: &[u32], pair: Option<u32>) -> Vec<(u32, Side)> {
    let planned = |index: u32| plan.sessions.get(index as usize);
    let Some((&lead, first)) = sessions.first().and_then(|lead| Some((lead, planned(*lead)?))) else {
        return Vec::new();
    };
    if !plan.is_shared() {
        let own = pair.and_then(|pair| first.pairs.get(pair as usize)).map_or(first.first, |pair| pair.first);
        return Side::both_from(own).map(|side| (lead, side)).to_vec();
    }
    let mut members = vec![Some((lead, Side::Baseline))];
    let has_control = plan.control().is_some_and(|control| control.name == first.candidate);
    members.extend((!has_control).then_some(None));
    members.extend(sessions.iter().map(|&session| Some((session, Side::Candidate))));
    let of_round = plan.sessions.iter().filter(|session| session.round == first.round);
    let drawn = std::iter::once(first).chain(of_round).find(|session| !session.order.is_empty());
    let mut order: Vec<usize> = match drawn {
        Some(session) => session.order.iter().map(|turn| *turn as usize).collect(),
        None => (0..members.len()).collect(),
    };
    if let Some(pair) = pair.filter(|_| !order.is_empty()) {
        let by = pair as usize % order.len();
        order.rotate_left(by);
        if pair % 2 == 1 {
            order.reverse();
        }
    }
    order.into_iter().filter_map(|turn| members.get(turn).copied().flatten()).collect()
}
