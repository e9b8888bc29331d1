//! How much may come of a lane of a plan: beyond it, somebody fills a disk or a memory, and measures nothing.

use edgemaxx_contract::plan::Plan;
use edgemaxx_fleet::Bundle;
use edgemaxx_fleet::limits::{ANSWERS, ANSWERS_BYTES, ENVIRONMENT_BYTES, LINES_BYTES, TELEMETRY_BYTES};

use crate::error::Result;
use crate::task::kit;

/// Bytes of a log beside its sessions: its header, and what is said of the whole lane.
const OF_LOG: u64 = 1 << 20;

/// Bytes of a session beside its requests: launches, ends, failures; a score of times begun anew.
const OF_SESSION: u64 = 64 << 10;

/// Bytes of a request's line, which has some 350, and of each part of its answer in it, which has some 15.
const OF_REQUEST: u64 = 1 << 10;
/// See [`OF_REQUEST`].
const OF_PART: u64 = 64;

/// Bytes of what is said of each part of an answer, where that is asked: some 25 for each of 64 tokens.
const OF_SCORED: u64 = 4 << 10;

/// Bytes of an answer's file beside the answer.
const OF_ANSWER: u64 = 64 << 10;

/// What may come of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Bytes of its log.
    pub(super) log: u64,
    /// Bytes of the file of an answer.
    pub(super) answer: u64,
}

impl Bounds {
    /// Those of the lane that `plan` is for.
    ///
    /// # Errors
    /// No task of this program.
    pub(super) fn of(plan: &Plan) -> Result<Self> {
        let limits = kit(plan.task)?.codec().limits(&plan.request);
        let request = 4 * (OF_REQUEST + u64::from(limits.parts) * OF_PART);
        let scored = if plan.task.scored(&plan.request) > 0 { OF_SCORED } else { 0 };
        let session = |requests: usize| OF_SESSION + requests as u64 * request;
        let sessions = plan.sessions.iter().map(|own| session(own.warmup.len() + own.pairs.len()));
        let whole = limits.answer_bytes as u64 + u64::from(limits.parts) * (OF_PART + scored);
        Ok(Self { log: OF_LOG + sessions.sum::<u64>(), answer: whole + OF_ANSWER })
    }

    /// What of a bundle is more than may come; `None`: nothing.
    pub(super) fn exceeded(&self, bundle: &Bundle) -> Option<String> {
        let answers = bundle.answers.iter().map(|answer| answer.file.bytes);
        let largest = answers.clone().max().unwrap_or(0);
        // Sums of what a liar names may be beyond any number.
        let all = answers.fold(0, u64::saturating_add);
        let telemetry = bundle.telemetry.map_or(0, |content| content.bytes);
        [
            ("bytes of lines", bundle.lines.bytes, LINES_BYTES),
            ("answers", bundle.answers.len() as u64, ANSWERS as u64),
            ("bytes of an answer", largest, self.answer),
            ("bytes of answers", all, ANSWERS_BYTES + self.answer),
            ("bytes of its environment", bundle.environment.bytes, ENVIRONMENT_BYTES),
            ("bytes of telemetry", telemetry, TELEMETRY_BYTES),
        ]
        .into_iter()
        .find(|(_, found, most)| found > most)
        .map(|(what, found, most)| format!("it names {found} {what}, more than {most}"))
    }
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::digest::Digest;
    use edgemaxx_contract::format::Document as _;
    use edgemaxx_fleet::{Answer, Content};

    use super::*;

    const PLAN: &str = include_str!("../../../../reports/examples/emoji-cpu/plan.json");
    const LOG: &str = include_str!("../../../../reports/examples/emoji-cpu/samples.jsonl");

    #[test]
    fn what_an_honest_lane_sends_is_far_within_and_what_fills_a_disk_is_not() {
        let plan = Plan::from_json(PLAN).unwrap();
        let bounds = Bounds::of(&plan).unwrap();
        assert!(bounds.log > 5 * LOG.len() as u64 && bounds.log < 64 << 20, "{bounds:?}");
        let content = |bytes| Content { digest: Digest::of("some"), bytes };
        let answer = |bytes| Answer { answer: Digest::of("some"), file: content(bytes) };
        let honest = Bundle {
            format: Bundle::expected_format(),
            plan: plan.digest(),
            lane: 0,
            attempt: 1,
            from: None,
            head: Digest::of("head"),
            lines: content(LOG.len() as u64),
            answers: vec![answer(bounds.answer); 3],
            environment: content(10_000),
            last: true,
            telemetry: Some(content(80 << 20)),
        };
        assert_eq!(bounds.exceeded(&honest), None);
        let with = |change: &dyn Fn(&mut Bundle)| {
            let mut bundle = honest.clone();
            change(&mut bundle);
            bounds.exceeded(&bundle).unwrap_or_default()
        };
        for (changed, what) in [
            (with(&|bundle| bundle.lines.bytes = u64::MAX), "bytes of lines"),
            (with(&|bundle| bundle.answers = vec![answer(1); ANSWERS + 1]), "answers, more"),
            (with(&|bundle| bundle.answers[0].file.bytes = bounds.answer + 1), "bytes of an answer"),
            (with(&|bundle| bundle.environment.bytes = u64::MAX), "environment"),
            (with(&|bundle| bundle.telemetry = Some(content(u64::MAX))), "telemetry"),
        ] {
            assert!(changed.contains(what), "{what}: {changed}");
        }
        let large = Bounds { answer: 1 << 20, ..bounds };
        let many = Bundle { answers: vec![answer(large.answer); ANSWERS], ..honest };
        assert!(large.exceeded(&many).unwrap().contains("bytes of answers"));
    }
}
