//! Draws a plan. The only randomness is a ChaCha20 stream keyed by a digest of public inputs;
//! how numbers are taken from it is written here, so that no library version can change a plan.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use super::types::{
    ContestRef, Day, Entropy, Extent, PipelinePlan, Plan, PlannedPair, PlannedRepeat, PlannedRequest,
    PlannedSession, PromptsRef, Side,
};
use crate::contest::Contest;
use crate::digest::Digest;
use crate::format::Document as _;
use crate::task::PromptsError;

/// Everything a plan is made from.
#[derive(Debug, Clone, Copy)]
pub struct PlanInputs<'a> {
    /// The contest.
    pub contest: &'a Contest,
    /// Name of the file of prompts, without folders.
    pub prompts_file: &'a str,
    /// Its text.
    pub prompts: &'a str,
    /// Baseline first, then the candidates, resolved.
    pub pipelines: &'a [PipelinePlan],
    /// The contest's day.
    pub day: &'a Day,
    /// Public randomness.
    pub entropy: &'a Entropy,
    /// Full or quick.
    pub extent: Extent,
}

/// Inputs that no plan can be made from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Nothing can be asked from the file of prompts.
    #[error(transparent)]
    Prompts(#[from] PromptsError),
    /// No candidate follows the baseline.
    #[error("no candidate to measure; add a [[candidate]] to the contest")]
    NoCandidates,
}

/// Numbers from public randomness.
struct Draws(ChaCha20Rng);

impl Draws {
    fn new(label: &str, fields: &[&[u8]]) -> Self {
        let fields = [label.as_bytes()].into_iter().chain(fields.iter().copied());
        Self(ChaCha20Rng::from_seed(*Digest::of_fields(fields).as_bytes()))
    }

    /// Uniform in `0..bound`, by rejection, hence without bias.
    fn below(&mut self, bound: u64) -> u64 {
        let limit = u64::MAX - u64::MAX % bound;
        loop {
            let value = self.0.next_u64();
            if value < limit {
                return value % bound;
            }
        }
    }

    fn side(&mut self) -> Side {
        if self.below(2) == 0 { Side::Baseline } else { Side::Candidate }
    }

    /// Fisher–Yates, from the end.
    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

/// Which pairs of a session are asked again at its end: one for every ten begun, none of them
/// the last one where there are others, so that something else is asked in between.
fn repeats(draws: &mut Draws, pairs: u32) -> Vec<PlannedRepeat> {
    let mut among: Vec<u32> = (0..pairs.saturating_sub(1).max(1)).collect();
    draws.shuffle(&mut among);
    among.truncate(pairs.div_ceil(10) as usize);
    among.into_iter().map(|pair| PlannedRepeat { pair, first: draws.side() }).collect()
}

/// Draws the plan: what is asked without replacement (again from the start when they run out), a seed
/// for each, the order of candidates in every round, of launches, and of the sides of every pair.
///
/// All candidates answer the same requests in the same round, so they are compared on equal terms.
///
/// # Errors
/// [`PlanError`]: nothing to ask, or nothing to measure.
pub fn draw_plan(inputs: PlanInputs<'_>) -> Result<Plan, PlanError> {
    let contest = inputs.contest;
    let (task, request) = (contest.task, &contest.request);
    let asks = task.asks(request, inputs.prompts_file, inputs.prompts)?;
    let prompts_digest = Digest::of(inputs.prompts);
    let [_, candidates @ ..] = inputs.pipelines else { return Err(PlanError::NoCandidates) };
    if candidates.is_empty() {
        return Err(PlanError::NoCandidates);
    }
    let (rounds, pairs) = match inputs.extent {
        Extent::Full => (contest.measurement.sessions, contest.measurement.pairs),
        Extent::Quick => (contest.measurement.quick_sessions, contest.measurement.quick_pairs),
    };
    let public: [&[u8]; 4] = [
        contest.digest.as_bytes(),
        prompts_digest.as_bytes(),
        &inputs.day.to_string().into_bytes(),
        inputs.entropy.as_str().as_bytes(),
    ];

    let warmups = contest.measurement.warmup_max;
    let mut requests = Vec::new();
    let mut draws = Draws::new("edgemaxx-plan-1 requests", &public);
    let mut deck: Vec<usize> = Vec::new();
    for id in 0..rounds * pairs + warmups {
        if deck.is_empty() {
            deck = (0..asks.len()).collect();
            draws.shuffle(&mut deck);
        }
        let Some(index) = deck.pop() else { break };
        let seed = draws.0.next_u64() >> 11;
        requests.push(PlannedRequest { id, seed, ask: task.seeded_ask(request, &asks[index], seed) });
    }

    let mut draws = Draws::new("edgemaxx-plan-1 order", &public);
    let mut repeat_draws = Draws::new("edgemaxx-plan-1 repeats", &public);
    let warmup: Vec<u32> = (rounds * pairs..rounds * pairs + warmups).collect();
    let mut sessions = Vec::new();
    for round in 0..rounds {
        let mut order: Vec<&PipelinePlan> = candidates.iter().collect();
        draws.shuffle(&mut order);
        for candidate in order {
            let mut asked: Vec<u32> = (round * pairs..(round + 1) * pairs).collect();
            draws.shuffle(&mut asked);
            sessions.push(PlannedSession {
                index: sessions.len() as u32,
                round,
                candidate: candidate.name.clone(),
                first: draws.side(),
                warmup: warmup.clone(),
                pairs: asked
                    .into_iter()
                    .map(|request| PlannedPair { request, first: draws.side() })
                    .collect(),
                repeats: match inputs.extent {
                    Extent::Full => repeats(&mut repeat_draws, pairs),
                    // A first look judges nobody's honesty.
                    Extent::Quick => Vec::new(),
                },
            });
        }
    }

    Ok(Plan {
        format: Plan::expected_format(),
        contest: ContestRef { name: contest.name.clone(), digest: contest.digest },
        prompts: PromptsRef {
            file: inputs.prompts_file.to_owned(),
            digest: prompts_digest,
            count: asks.len() as u32,
        },
        day: inputs.day.clone(),
        entropy: inputs.entropy.clone(),
        extent: inputs.extent,
        device: contest.device.clone(),
        task,
        request: request.clone(),
        measurement: contest.measurement.clone(),
        pipelines: inputs.pipelines.to_vec(),
        requests,
        sessions,
    })
}
