//! Processor time for a request: what a change costs, whoever else is busy. Shown beside latency, never judged by.

use edgemaxx_contract::plan::Plan;
use edgemaxx_contract::sample::Log;

/// Log ratio of a candidate's processor time for a request to the baseline's, for each of its sessions in which both are
/// known: over the pairs that both answered, all of them or none, since the system counts it in coarse ticks.
pub(super) fn by_session(plan: &Plan, log: &Log, candidate: &str) -> Vec<f64> {
    let sessions = plan.sessions.iter().filter(|session| session.candidate == candidate);
    sessions
        .filter_map(|session| {
            let (mut baseline, mut own) = (0, 0);
            for (_, before, after) in log.session(session.index).complete_pairs(session.pairs.len() as u32) {
                baseline += before.cpu_ns?;
                own += after.cpu_ns?;
            }
            (baseline > 0 && own > 0).then(|| (own as f64 / baseline as f64).ln())
        })
        .collect()
}
