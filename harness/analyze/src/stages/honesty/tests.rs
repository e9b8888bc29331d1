//! Which checks there are, and what their tests share.

use std::collections::BTreeMap;

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
    let nothing = Derived::told(BTreeMap::new(), []);
    let kinds_by = |plan: &Plan, telemetry: Option<&Derived>| {
        let found = checks(plan, &recorded, telemetry, "quick", &[]);
        found.into_iter().map(|check| check.what).collect::<Vec<_>>()
    };
    let kinds = |plan: &Plan| kinds_by(plan, None);
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
    // By telemetry, of a card only where there is one.
    let own = [all[0], all[1], all[4], all[5]].to_vec();
    for (kind, more) in [
        (DeviceKind::Cuda, [HonestyKind::GpuIdle, HonestyKind::Clocks].to_vec()),
        (DeviceKind::Cpu, vec![HonestyKind::Clocks]),
    ] {
        plan.device.kind = kind;
        assert_eq!(kinds_by(&plan, Some(&nothing)), [own.clone(), more].concat(), "{kind:?}");
    }
}

#[test]
fn a_check_looks_at_a_candidates_own_sessions() {
    let run = some_plan();
    let recorded = run.log.sessions(&run.plan);
    let verdicts = |name: &str| {
        let found = checks(&run.plan, &recorded, None, name, &[]);
        found.into_iter().map(|check| check.verdict).collect::<Vec<_>>()
    };
    assert_eq!(verdicts("quick")[1], HonestyVerdict::Passed);
    assert!(verdicts("nobody").iter().all(|verdict| *verdict == HonestyVerdict::Unknown));
}
