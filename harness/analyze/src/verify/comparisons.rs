//! `edgemaxx compare`: how often its verdicts are false, with planted changes of latency and 1%
//! tolerated.

use edgemaxx_contract::comparison::Verdict;

use super::checks::Plan;
use super::generators::{Generator, means};
use super::{Row, one_in};
use crate::random::{Seed, Stream};
use crate::stages::compare::{Change, Group, speed_verdict};

const LEVEL: f64 = 0.95;
/// Largest tolerated slowdown.
const TOLERATED: f64 = 0.01;
/// False statements of a comparison, both kinds together.
const FALSE_STATEMENTS: f64 = 0.055;
/// Sessions and pairs of each run.
const SESSIONS: usize = 8;
const PAIRS: usize = 20;

/// What is planted, and how its rows are called: the rate of false verdicts, and of the one hoped for.
const PLANTED: [(f64, &str, &str, Verdict); 5] = [
    (0.0, "compare +0%, false verdict", "compare +0%, passes", Verdict::Equivalent),
    (0.005, "compare +0.5%, false verdict", "compare +0.5%, passes", Verdict::Equivalent),
    (TOLERATED, "compare +1%, false verdict", "compare +1%, passes", Verdict::Equivalent),
    (0.02, "compare +2%, false verdict", "compare +2%, regressed", Verdict::Regressed),
    (0.10, "compare +10%, false verdict", "compare +10%, regressed", Verdict::Regressed),
];

/// Two runs of every kind of noise, and one run against its own baseline.
pub(super) fn all(repetitions: usize, seed: Seed) -> Vec<Row> {
    let mut rows = Vec::new();
    for generator in Generator::ALL {
        rows.extend(planted("two runs, Welch", generator, repetitions, seed, |change, stream| {
            let reference = means(&generator.draw(SESSIONS, PAIRS, stream));
            let subject = shifted(generator, change, stream);
            let group = |means| Group { means, looks: None };
            verdict(&Change::between(group(&reference), group(&subject), LEVEL))
        }));
    }
    let generator = Generator::ProcessVariance;
    rows.extend(planted("one run, student", generator, repetitions, seed, |change, stream| {
        let subject = shifted(generator, change, stream);
        verdict(&Change::to_baseline(Group { means: &subject, looks: None }, LEVEL))
    }));
    rows
}

fn shifted(generator: Generator, change: f64, stream: &mut Stream) -> Vec<f64> {
    means(&generator.draw(SESSIONS, PAIRS, stream)).iter().map(|mean| mean + change.ln_1p()).collect()
}

fn verdict(change: &Change) -> Verdict {
    speed_verdict(change, TOLERATED.ln_1p())
}

fn planted(
    method: &'static str,
    generator: Generator,
    repetitions: usize,
    seed: Seed,
    decide: impl Fn(f64, &mut Stream) -> Verdict + Sync,
) -> Vec<Row> {
    let mut rows = Vec::new();
    for (change, wrong, right, hoped) in PLANTED {
        let plan = |check| Plan {
            check,
            method,
            generator: generator.name(),
            sessions: SESSIONS,
            pairs: PAIRS,
            repetitions: one_in(4, repetitions),
            seed,
        };
        rows.push(
            plan(wrong).run(None, Some(FALSE_STATEMENTS), |stream| is_false(decide(change, stream), change)),
        );
        // Nobody misses ten per cent; for the others the rate shows what so many sessions can do.
        let at_least = (change == 0.10).then_some(0.99);
        rows.push(plan(right).run(at_least, None, |stream| {
            let found = decide(change, stream);
            if hoped == Verdict::Regressed { found == hoped } else { found <= hoped }
        }));
    }
    rows
}

/// Whether a verdict says what is not so when latency really rose by `change`.
fn is_false(verdict: Verdict, change: f64) -> bool {
    match verdict {
        Verdict::Improved => change >= 0.0,
        Verdict::Equivalent => change > TOLERATED,
        Verdict::Regressed => change <= TOLERATED,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_false_where_latency_did_not_do_what_it_says() {
        use Verdict::{Equivalent, Improved, Regressed};
        // By change of latency, where 1% is tolerated: improved, equivalent, regressed.
        for (change, expected) in [
            (-0.02, [false, false, true]),
            (0.0, [true, false, true]),
            (0.005, [true, false, true]),
            (TOLERATED, [true, false, true]),
            (0.02, [true, true, false]),
        ] {
            assert_eq!(
                [Improved, Equivalent, Regressed].map(|of| is_false(of, change)),
                expected,
                "{change}"
            );
        }
        assert!(!is_false(Verdict::CannotTell, 0.1), "nothing is claimed");
    }
}
