//! Which checks there are, and what their tests share.

use edgemaxx_contract::plan::Extent;

use super::super::tests::simulated::{Run, noisy_run};
use super::*;

/// A run of few sessions.
pub(super) fn some_plan() -> Run {
    noisy_run("run", Extent::Quick, |_, _| {})
}

#[test]
fn checks_are_those_that_somebody_looked_for() {
    let run = some_plan();
    let recorded = run.log.sessions(&run.plan);
    let kinds = |plan: &Plan| {
        let found = checks(plan, &recorded, None, "quick", &[]);
        found.into_iter().map(|check| check.what).collect::<Vec<_>>()
    };
    let mut plan = run.plan.clone();
    plan.measurement.twins = 1;
    let all = [
        HonestyKind::Repeats,
        HonestyKind::Distinct,
        HonestyKind::Noise,
        HonestyKind::Pace,
        HonestyKind::Idle,
        HonestyKind::Load,
    ];
    assert_eq!(kinds(&plan), all);
    plan.measurement.twins = 0;
    assert_eq!(kinds(&plan), [all[0], all[1], all[4], all[5]]);
}
