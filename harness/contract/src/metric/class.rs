//! Classes of quality: gates under one name, calibrated with engines of which it is known what they do.

use super::by_name::Metric;
use super::gate::{Gate, Statistic};

/// Gates under one name, which a contest asks for as `quality.class`.
#[derive(Debug, PartialEq)]
pub struct Class {
    /// As contests name it.
    pub name: &'static str,
    /// The task whose answers it bounds.
    pub task: &'static str,
    /// Its gates.
    gates: &'static [Bound],
}

/// A gate: metric, quantile (`None`: the mean), bound, and why.
type Bound = (&'static str, Option<f64>, f64, &'static str);

/// How the bounds of texts were found stands in METHODOLOGY.md, with what the candidates of the demo reached.
pub const CLASSES: &[Class] = &[
    Class {
        name: "lossless",
        task: "text",
        gates: &[
            ("agreement_change", None, -0.005, "f16 loses nothing; eight bits lose half a point"),
            ("agreement", Some(0.2), 0.95, "of 16 tokens not one may differ in four prompts of five"),
            (
                "first_agreement_change",
                None,
                -0.05,
                "a first token that is another's shows in one prompt of twenty",
            ),
            ("nll_change", None, 0.005, "a text may not be less likely to the baseline's model than its own"),
            ("nll_fall", None, 0.005, "nor more likely: what repeats itself is"),
            ("shorter", None, 0.02, "an answer may not end early"),
            ("longer", None, 0.02, "nor late"),
        ],
    },
    Class {
        name: "8-bit",
        task: "text",
        gates: &[
            ("agreement_change", None, -0.02, "eight bits lose half a point, four bits eight points"),
            (
                "agreement",
                Some(0.2),
                0.85,
                "two tokens of 16 in one prompt of five: no prompt may pay for the others",
            ),
            (
                "first_agreement_change",
                None,
                -0.15,
                "eight bits change one first token of a hundred, who guesses it nine of ten",
            ),
            (
                "margin_change",
                None,
                0.01,
                "eight bits choose otherwise only where two tokens are all but equal",
            ),
            (
                "nll_change",
                None,
                0.08,
                "eight bits lose .014 where texts are sampled, and other texts scatter",
            ),
            ("nll_fall", None, 0.08, "what repeats itself is more likely than what the baseline says"),
            ("shorter", None, 0.05, "an answer may not end early"),
            ("longer", None, 0.05, "nor late"),
        ],
    },
    Class {
        name: "4-bit",
        task: "text",
        gates: &[
            ("agreement_change", None, -0.14, "four bits lose eight points, wrong positions twenty-six"),
            (
                "agreement",
                Some(0.2),
                0.5,
                "of 16 tokens eight in one prompt of five: no prompt may pay for the others",
            ),
            (
                "first_agreement_change",
                None,
                -0.4,
                "four bits change one first token of six, who guesses it nine of ten",
            ),
            (
                "margin_change",
                None,
                0.05,
                "four bits lose .027, half of a prompt left unread .064, wrong positions .47",
            ),
            ("nll_change", None, 0.15, "four bits lose .02, wrong positions .48"),
            ("nll_fall", None, 0.15, "what repeats itself is more likely than what the baseline says"),
            ("shorter", None, 0.1, "MLPerf's: lengths within a tenth"),
            ("longer", None, 0.1, "MLPerf's: lengths within a tenth"),
        ],
    },
];

impl Class {
    /// The classes of a task.
    pub fn of_task(task: &str) -> impl Iterator<Item = &'static Self> {
        CLASSES.iter().filter(move |class| class.task == task)
    }

    /// Its gates, as a contest would write them one by one.
    pub fn gates(&self) -> Vec<Gate> {
        let gate = |(metric, quantile, threshold, reason): &Bound| Gate {
            metric: Metric::named(metric).expect("a test looks at each"),
            statistic: quantile.map_or(Statistic::Mean, Statistic::Quantile),
            threshold: *threshold,
            reason: format!("class {}: {reason}", self.name),
        };
        self.gates.iter().map(gate).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_bound_metrics_of_their_task_and_loosen_one_by_one() {
        let mut before: Vec<Gate> = Vec::new();
        for class in CLASSES {
            let gates = class.gates();
            for gate in &gates {
                assert_eq!(gate.metric.entry().task, class.task, "{}", gate.metric);
                let (low, high) = gate.metric.range();
                assert!(gate.threshold >= low && gate.threshold <= high, "{}", gate.metric);
                if let Some(stricter) = before.iter().find(|other| other.metric == gate.metric) {
                    let looser = if gate.metric.higher_is_better() {
                        gate.threshold <= stricter.threshold
                    } else {
                        gate.threshold >= stricter.threshold
                    };
                    assert!(looser, "{}: {}", class.name, gate.metric);
                }
            }
            before = gates;
        }
    }
}
