//! Tiers by what candidates earn: who is the best is found where the data tell, equals share a tier.

use super::Row;
use super::checks::Plan;
use crate::estimators::multiplicity::holm;
use crate::estimators::student;
use crate::inference::earnings::{Earner, QualityFactor, compare_earnings};
use crate::inference::proofs::Proofs;
use crate::random::{Seed, Stream};

const LEVEL: f64 = 0.95;
/// Separations of equals.
const FALSE_TIERS: f64 = 0.055;
const METHOD: &str = "earnings, Shaffer";
/// The original subnet's.
const FACTOR: QualityFactor = QualityFactor { gate: 0.75, exponent: 0.25 };

/// What is simulated: every candidate's speedup and similarity, and how sessions scatter.
struct Shape<'a> {
    truth: &'a [(f64, f64)],
    sessions: u32,
    /// SD of a candidate's own part of its session means.
    own: f64,
    /// SD of the part that all candidates of a round share.
    shared: f64,
}

impl Shape<'_> {
    fn draw(&self, stream: &mut Stream) -> Vec<Earner> {
        let shared: Vec<f64> = (0..self.sessions).map(|_| self.shared * stream.normal()).collect();
        let one = |&(speedup, similarity): &(f64, f64)| Earner {
            rounds: (0..self.sessions).collect(),
            speeds: shared.iter().map(|shared| speedup.ln() + shared + self.own * stream.normal()).collect(),
            similarities: (0..self.sessions).map(|_| similarity + 0.005 * stream.normal()).collect(),
        };
        self.truth.iter().map(one).collect()
    }
}

/// The tier of each, best first as estimated, with their indices.
fn tiers(earners: &[Earner]) -> Vec<(usize, u32)> {
    let mut order: Vec<usize> = (0..earners.len()).collect();
    let earned: Vec<f64> = earners.iter().map(|earner| earner.estimate(FACTOR)).collect();
    order.sort_by(|&a, &b| earned[b].total_cmp(&earned[a]));
    let proofs = Proofs::of(order.len(), LEVEL, None, |a, b| {
        compare_earnings(&earners[order[a]], &earners[order[b]], FACTOR, 1.0)
    });
    let found = proofs.tiers(&(0..order.len()).collect::<Vec<_>>());
    order.into_iter().zip(found).collect()
}

/// Whether the first candidate alone is in the first tier.
fn first_alone(earners: &[Earner]) -> bool {
    let leaders: Vec<usize> =
        tiers(earners).into_iter().filter(|(_, tier)| *tier == 1).map(|(k, _)| k).collect();
    leaders == [0]
}

pub(super) fn all(repetitions: usize, seed: Seed) -> Vec<Row> {
    let plan = |check, generator, sessions| Plan {
        check,
        method: METHOD,
        generator,
        sessions,
        pairs: 1,
        repetitions,
        seed,
    };
    let mut rows = Vec::new();
    // Scores of 3, 2 and 1; and of 3, 2.5 and 2: the first one's is 20% above the next.
    let demo = [(4.0, 0.95), (3.0, 0.95), (2.0, 0.95)];
    let close = [(4.0, 0.95), (3.5, 0.95), (3.0, 0.95)];
    for (check, generator, truth, sessions, own, shared, at_least) in [
        ("4× wins over 3×, 2×", "SD 10%, own", demo, 5, 0.1, 0.0, None),
        ("4× wins over 3×, 2×", "SD 10%, own", demo, 8, 0.1, 0.0, Some(0.95)),
        ("4× wins over 3×, 2×", "SD 10%, most of it shared", demo, 5, 0.03, 0.095, Some(0.95)),
        ("a score 20% above wins", "SD 10%, own", close, 5, 0.1, 0.0, None),
        ("a score 20% above wins", "SD 10%, own", close, 20, 0.1, 0.0, Some(0.95)),
        ("a score 20% above wins", "SD 10%, most of it shared", close, 5, 0.03, 0.095, Some(0.95)),
    ] {
        let shape = Shape { truth: &truth, sessions, own, shared };
        rows.push(
            plan(check, generator, sessions as usize)
                .run(at_least, None, |stream| first_alone(&shape.draw(stream))),
        );
    }
    rows.extend(equals(repetitions, seed));
    rows
}

/// Whether anybody is put below the first tier.
fn separated(earners: &[Earner]) -> bool {
    tiers(earners).iter().any(|(_, tier)| *tier > 1)
}

/// Who earns as much as another by other means: faster, and as much less alike.
fn as_good_as(speedup: f64, similarity: f64, faster: f64) -> (f64, f64) {
    let factor = FACTOR.at(similarity) * (speedup - 1.0) / (faster - 1.0);
    (faster, FACTOR.gate + (1.0 - FACTOR.gate) * factor.powf(FACTOR.exponent.recip()))
}

/// Those who are proven to gain over the baseline, all statements together.
fn accepted(all: Vec<Earner>) -> Vec<Earner> {
    let tested: Vec<_> = all.iter().map(|earner| student::interval(&earner.speeds, LEVEL)).collect();
    let adjusted = holm(&tested.iter().map(|found| found.p_value.unwrap_or(1.0)).collect::<Vec<_>>());
    let found = all.into_iter().zip(tested).zip(adjusted);
    found
        .filter(|((_, found), adjusted)| *adjusted <= 1.0 - LEVEL && found.point > 0.0)
        .map(|((earner, _), _)| earner)
        .collect()
}

/// Candidates who earn the same, and are to share a tier.
fn equals(repetitions: usize, seed: Seed) -> Vec<Row> {
    let plan = |generator, sessions| Plan {
        check: "equals are separated",
        method: METHOD,
        generator,
        sessions,
        pairs: 1,
        repetitions,
        seed,
    };
    let (first, second) = ((1.5, 0.94), as_good_as(1.5, 0.94, 1.6));
    let truth = [first, first, first, second, second, second];
    let mut rows = Vec::new();
    for (generator, own, shared) in [
        ("six, SD 1%, own", 0.01, 0.0),
        ("six, SD 1%, half of it shared", 0.007, 0.007),
        ("six, SD 10%, own", 0.1, 0.0),
    ] {
        let shape = Shape { truth: &truth, sessions: 5, own, shared };
        rows.push(plan(generator, 5).run(None, Some(FALSE_TIERS), |stream| separated(&shape.draw(stream))));
    }
    // Sixty-four equals of whom only some are proven faster than the baseline: who is accepted was
    // lucky, or scattered little, and is compared with the others who were.
    let truth = [(1.008, 0.95); 64];
    let shape = Shape { truth: &truth, sessions: 5, own: 0.003, shared: 0.0 };
    rows.push(
        plan("those accepted of 64, SD .3%", 5)
            .run(None, Some(FALSE_TIERS), |stream| separated(&accepted(shape.draw(stream)))),
    );
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_earn_the_same_by_other_means() {
        let earned = |(speedup, similarity): (f64, f64)| (speedup - 1.0) * FACTOR.at(similarity);
        for (speedup, similarity, faster) in [(1.5, 0.94, 1.6), (2.0, 0.9, 3.5), (1.2, 1.0, 1.2)] {
            let other = as_good_as(speedup, similarity, faster);
            assert!(other.0 == faster && (other.1 < similarity || faster == speedup), "{other:?}");
            assert!((earned(other) - earned((speedup, similarity))).abs() < 1e-12, "{other:?}");
        }
    }

    #[test]
    fn who_is_proven_to_gain_is_accepted_and_nobody_else() {
        let earner = |speeds: [f64; 4]| Earner {
            rounds: (0..4).collect(),
            speeds: speeds.into(),
            similarities: vec![0.95; 4],
        };
        let faster = earner([0.40, 0.41, 0.39, 0.40]);
        let others = [earner([-0.40, -0.41, -0.39, -0.40]), earner([0.10, -0.09, 0.05, -0.05])];
        let found = accepted(others.into_iter().chain([faster.clone()]).collect());
        assert_eq!(found, [faster]);
    }

    #[test]
    fn who_earns_far_less_is_separated_and_an_equal_is_not() {
        let mut stream = Seed::of("separated").stream(0);
        let mut draw =
            |truth: &[(f64, f64)]| Shape { truth, sessions: 8, own: 0.01, shared: 0.0 }.draw(&mut stream);
        assert!(!separated(&draw(&[(1.5, 0.94); 3])));
        assert!(separated(&draw(&[(1.5, 0.94), (3.0, 0.94)])));
        assert!(
            first_alone(&draw(&[(3.0, 0.94), (1.5, 0.94)]))
                && !first_alone(&draw(&[(1.5, 0.94), (3.0, 0.94)]))
        );
    }
}
