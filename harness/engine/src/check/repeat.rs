//! The same request once more: answered from memory, otherwise, or at a price?
//!
//! A busy machine stops an engine for one request and not for the next, so one time says nothing about another. A
//! suspicion is looked into: [`PAIRS`] requests that were never asked, each asked twice. Were the second times no other
//! than the first, all of them would be shorter than all of these in one case of 252, whatever the machine does and
//! however its times scatter; and the suspicion comes first.

use edgemaxx_contract::sample::Failure;

use super::{Answered, Asker, Verdict, ms};
use crate::task::Probe;

/// A repeated request that takes less than this fraction of a fresh one was answered from memory.
const CACHED: f64 = 0.5;
/// Answers quicker than this hide nothing worth remembering, nanoseconds.
const WORTH_REMEMBERING_NS: u64 = 5_000_000;
/// Requests that are asked twice to look into a suspicion.
const PAIRS: u64 = 5;
/// One that takes more than so many times a fresh one shows that no time of this engine means much.
const UNSTEADY: f64 = 3.0;
/// Differences below this are nothing, nanoseconds.
const UNSTEADY_NS: u64 = 250_000_000;
/// Of the time that it took longer, it spent at least this part computing: who waits for a processor does not.
const COMPUTING: f64 = 0.5;

/// Something that is asked; the engine, but for tests.
pub(super) trait Asks {
    /// A request of its own, asked twice: both times, nanoseconds.
    fn twice(&mut self, probe: &Probe, n: u64) -> Result<(u64, u64), Failure>;
}

impl Asks for Asker<'_> {
    fn twice(&mut self, probe: &Probe, n: u64) -> Result<(u64, u64), Failure> {
        let another = self.exam.codec.another(probe, n);
        Ok((self.ask(&another)?.latency_ns, self.ask(&another)?.latency_ns))
    }
}

/// What is to be said of `again`, the answer to the same request as `fresh`.
///
/// # Errors
/// A further request failed.
pub(super) fn look(
    asker: &mut impl Asks,
    probe: &Probe,
    fresh: &Answered,
    again: &Answered,
) -> Result<(Verdict, String), Failure> {
    let ratio = again.latency_ns as f64 / fresh.latency_ns.max(1) as f64;
    if fresh.digest != again.digest {
        let detail = "gave another answer: fix every seed, so that results can be reproduced";
        return Ok((Verdict::Doubtful, detail.to_owned()));
    }
    if quicker(again.latency_ns, fresh.latency_ns)
        && let Some(least_ns) = remembers(asker, probe)?
    {
        let detail = format!(
            "took {ratio:.2} of the time of a fresh one, and so did {PAIRS} others, where every fresh one took {} or more: \
             answers must not be cached",
            ms(least_ns)
        );
        return Ok((Verdict::Doubtful, detail));
    }
    let longer_ns = again.latency_ns.saturating_sub(fresh.latency_ns);
    if ratio > UNSTEADY && longer_ns > UNSTEADY_NS {
        let computed_ns = again.busy_ns.zip(fresh.busy_ns).map(|(again, fresh)| again.saturating_sub(fresh));
        return Ok(match computed_ns {
            Some(ns) if ns as f64 >= COMPUTING * longer_ns as f64 => {
                let advice = "threads that wait actively? Nothing small can be told apart so";
                (
                    Verdict::Doubtful,
                    format!("the same answer, in {ratio:.1} times the time, computing: {advice}"),
                )
            }
            _ => (
                Verdict::Good,
                format!("the same answer, in {ratio:.1} times the time, waiting: a busy machine?"),
            ),
        });
    }
    Ok((Verdict::Good, format!("the same answer, in {ratio:.2} of the time")))
}

fn quicker(again_ns: u64, fresh_ns: u64) -> bool {
    fresh_ns > WORTH_REMEMBERING_NS && (again_ns as f64) < CACHED * fresh_ns as f64
}

/// Whether all second times are far below all first ones: then the least first one, nanoseconds.
fn remembers(asker: &mut impl Asks, probe: &Probe) -> Result<Option<u64>, Failure> {
    let (mut least_first, mut most_again) = (u64::MAX, 0);
    for n in 1..=PAIRS {
        let (first, again) = asker.twice(probe, n)?;
        (least_first, most_again) = (least_first.min(first), most_again.max(again));
        if !quicker(most_again, least_first) {
            return Ok(None);
        }
    }
    Ok(Some(least_first))
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::digest::Digest;
    use edgemaxx_contract::task::picture::Request;

    use super::*;
    use crate::task::Codec as _;
    use crate::task::picture::PICTURE;

    /// Uniform in (0, 1), from a seed (SplitMix64).
    struct Chance(u64);

    impl Chance {
        fn uniform(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            (((z ^ (z >> 31)) >> 12) as f64 + 0.5) / (1u64 << 52) as f64
        }

        fn exponential(&mut self) -> f64 {
            -self.uniform().ln()
        }
    }

    /// What waiting for a processor adds to a request, milliseconds.
    type Machine = fn(&mut Chance) -> f64;

    /// From quiet to one where nearly all of a request's time is waiting, a little or wildly scattered.
    const MACHINES: [(&str, Machine); 4] = [
        ("quiet", |c| 0.2 * c.uniform()),
        ("stalls", |c| if c.uniform() < 0.3 { 200.0 * c.exponential() } else { 1.0 }),
        ("ten times busier", |c| 60.0 * c.exponential()),
        ("wild", |c| (2.0 * c.exponential()).exp()),
    ];

    /// Answers new requests after `own_ms` of its own, those that it remembers at once.
    struct Engine {
        machine: Machine,
        chance: Chance,
        own_ms: f64,
        remembers: bool,
    }

    impl Engine {
        fn time(&mut self, new: bool) -> u64 {
            let own = if new || !self.remembers { self.own_ms } else { 0.1 };
            ((own + (self.machine)(&mut self.chance)) * 1e6) as u64
        }

        fn verdict(&mut self, probe: &Probe, digest: Digest) -> Verdict {
            let mut answered = |new| Answered {
                latency_ns: self.time(new),
                busy_ns: None,
                bytes: 1,
                digest,
                kept: Vec::new(),
            };
            let (fresh, again) = (answered(true), answered(false));
            look(self, probe, &fresh, &again).expect("no failure").0
        }
    }

    impl Asks for Engine {
        fn twice(&mut self, _: &Probe, _: u64) -> Result<(u64, u64), Failure> {
            Ok((self.time(true), self.time(false)))
        }
    }

    fn probe() -> Probe {
        let request =
            Request { prompts: String::new(), negative_prompt: String::new(), width: 64, height: 64 };
        PICTURE.probes(&request.checked().unwrap()).unwrap().remove(1)
    }

    fn answered(latency_ns: u64, busy_ns: Option<u64>, content: &str) -> Answered {
        Answered { latency_ns, busy_ns, bytes: 1, digest: Digest::of(content), kept: Vec::new() }
    }

    /// Share of doubtful verdicts.
    fn doubted(machine: Machine, own_ms: f64, remembers: bool) -> f64 {
        const ENGINES: u64 = 20_000;
        let (probe, seen) = (probe(), Digest::of("a"));
        let doubted = (0..ENGINES).filter(|seed| {
            let chance = Chance(seed.wrapping_mul(0xD134_2543_DE82_EF95));
            Engine { machine, chance, own_ms, remembers }.verdict(&probe, seen) == Verdict::Doubtful
        });
        doubted.count() as f64 / ENGINES as f64
    }

    #[test]
    fn hardly_an_honest_engine_is_doubted_on_any_machine() {
        for (name, machine) in MACHINES {
            for own_ms in [0.1, 3.0, 30.0, 1000.0] {
                let rate = doubted(machine, own_ms, false);
                assert!(rate <= 0.001, "{name}, {own_ms} ms: {rate}");
            }
        }
    }

    #[test]
    fn who_remembers_is_doubted_where_its_own_time_is_beyond_the_noise() {
        for (name, machine, own_ms, least) in [
            ("quiet", MACHINES[0].1, 10.0, 1.0),
            ("stalls", MACHINES[1].1, 2000.0, 0.95),
            ("ten times busier", MACHINES[2].1, 1000.0, 0.99),
        ] {
            let rate = doubted(machine, own_ms, true);
            assert!(rate >= least, "{name}, {own_ms} ms: {rate}");
        }
    }

    #[test]
    fn every_pair_of_a_suspicion_is_a_request_of_its_own() {
        let asked = probe();
        let seeds: Vec<u64> = (1..=PAIRS).map(|n| PICTURE.another(&asked, n).planned.seed).collect();
        assert!(seeds.is_sorted_by(|a, b| a < b) && seeds.iter().all(|seed| *seed > 4), "{seeds:?}");
    }

    #[test]
    fn a_repeat_is_neither_another_nor_far_slower_by_its_own_doing() {
        let mut nobody =
            Engine { machine: MACHINES[0].1, chance: Chance(1), own_ms: 1000.0, remembers: true };
        let mut judged = |again: Answered| {
            look(&mut nobody, &probe(), &answered(1_000_000_000, Some(900_000_000), "a"), &again).unwrap()
        };
        let s = 1_000_000_000;
        for (again, verdict, words) in [
            (answered(s, Some(s), "a"), Verdict::Good, "in 1.00 of the time"),
            (answered(s / 10, Some(0), "a"), Verdict::Doubtful, "must not be cached"),
            (answered(s, Some(s), "b"), Verdict::Doubtful, "gave another answer"),
            (answered(s / 10, Some(s), "b"), Verdict::Doubtful, "gave another answer"),
            (answered(48 * s, Some(90 * s), "a"), Verdict::Doubtful, "in 48.0 times the time, computing"),
            (answered(48 * s, Some(s), "a"), Verdict::Good, "in 48.0 times the time, waiting"),
            (answered(48 * s, None, "a"), Verdict::Good, "waiting"),
        ] {
            let (found, detail) = judged(again);
            assert!(found == verdict && detail.contains(words), "{detail}");
        }
    }
}
