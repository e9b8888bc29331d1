//! Draws a plan. The only randomness is a ChaCha20 stream keyed by a digest of public inputs;
//! how numbers are taken from it is written here, so that no library version can change a plan.

use std::borrow::Cow;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use super::types::{
    ContestRef, Day, Entropy, Extent, PipelinePlan, Plan, PlannedPair, PlannedRepeat, PlannedRequest,
    PlannedSession, PromptsRef, Role, Side,
};
use crate::contest::Contest;
use crate::digest::Digest;
use crate::format::Document as _;
use crate::input::InputError;
use crate::task::{Ask, Drawn, Encoder, Grammar, PromptsError};

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
    /// What turns prompts into what is asked, where the task needs it.
    pub encoder: Option<&'a dyn Encoder>,
}

/// Inputs that no plan can be made from.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Nothing can be asked from the file of prompts.
    #[error(transparent)]
    Prompts(#[from] PromptsError),
    /// Something of it cannot be asked.
    #[error(transparent)]
    Ask(#[from] InputError),
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
    among.into_iter().map(|pair| PlannedRepeat { pair, first: Some(draws.side()) }).collect()
}

/// What the sessions of a round ask.
struct Round {
    number: u32,
    /// The first of its requests, and how many a session asks.
    first: u32,
    pairs: u32,
    /// So many candidates have requests of their own: all of them, or one for everybody.
    askers: u32,
    warmup: Vec<u32>,
    /// Whether some of it is asked again: a first look judges nobody's honesty.
    repeats: bool,
}

impl Round {
    /// What a candidate is asked, by its place in the contest.
    fn requests(&self, candidate: u32) -> Vec<u32> {
        let first = self.first + candidate % self.askers * self.pairs;
        (first..first + self.pairs).collect()
    }

    /// A session of each candidate against its own launch of the baseline.
    fn own(
        &self,
        candidates: &[PipelinePlan],
        draws: &mut Draws,
        repeat_draws: &mut Draws,
    ) -> Vec<PlannedSession> {
        let mut order: Vec<(u32, &PipelinePlan)> = (0..).zip(candidates).collect();
        draws.shuffle(&mut order);
        let mut session = |(place, candidate): (u32, &PipelinePlan)| {
            let mut asked = self.requests(place);
            draws.shuffle(&mut asked);
            PlannedSession {
                index: 0,
                round: self.number,
                candidate: candidate.name.clone(),
                first: Some(draws.side()),
                order: Vec::new(),
                warmup: self.warmup.clone(),
                pairs: asked
                    .into_iter()
                    .map(|request| PlannedPair { request, first: Some(draws.side()) })
                    .collect(),
                repeats: if self.repeats { repeats(repeat_draws, self.pairs) } else { Vec::new() },
            }
        };
        order.into_iter().map(&mut session).collect()
    }

    /// A session of each candidate and one of the control for every block there can be: all ask the
    /// same in the same order, and each block's processes take turns as they are drawn, the baseline among them.
    fn shared(
        &self,
        candidates: &[PipelinePlan],
        block: u32,
        draws: &mut Draws,
        repeat_draws: &mut Draws,
    ) -> Vec<PlannedSession> {
        let (control, mut order): (Vec<&PipelinePlan>, Vec<&PipelinePlan>) =
            candidates.iter().partition(|candidate| candidate.role == Role::Control);
        draws.shuffle(&mut order);
        let mut asked = self.requests(0);
        draws.shuffle(&mut asked);
        let repeats: Vec<PlannedRepeat> = match self.repeats {
            true => repeats(repeat_draws, asked.len() as u32),
            false => Vec::new(),
        };
        let session = |candidate: &PipelinePlan, order: Vec<u32>| PlannedSession {
            index: 0,
            round: self.number,
            candidate: candidate.name.clone(),
            first: None,
            order,
            warmup: self.warmup.clone(),
            pairs: asked.iter().map(|&request| PlannedPair { request, first: None }).collect(),
            repeats: repeats.iter().map(|repeat| PlannedRepeat { first: None, ..*repeat }).collect(),
        };
        let most = (order.len() as u32).min(block);
        let mut sessions: Vec<PlannedSession> =
            order.iter().map(|candidate| session(candidate, Vec::new())).collect();
        for _ in 0..(order.len() as u32).div_ceil(block) {
            for control in &control {
                let mut turns: Vec<u32> = (0..most + 2).collect();
                draws.shuffle(&mut turns);
                sessions.push(session(control, turns));
            }
        }
        sessions
    }
}

/// The lines that are asked from: those of the file, or as many as are needed of what its grammar makes.
fn prompts<'a>(
    inputs: &PlanInputs<'a>,
    needed: usize,
    public: &[&[u8]],
) -> Result<Cow<'a, str>, PromptsError> {
    if !Grammar::is_one(inputs.prompts_file) {
        return Ok(inputs.prompts.into());
    }
    let mut draws = Draws::new("edgemaxx-plan-1 prompts", public);
    let grammar = Grammar::parse(inputs.prompts_file, inputs.prompts)?;
    Ok(grammar.draw(needed, &mut |bound| draws.below(bound))?.join("\n").into())
}

/// Draws the plan: what is asked without replacement (again from the start when they run out), a seed
/// for each, the order of candidates in every round, of launches, and of the sides of every pair.
///
/// All candidates answer the same requests in the same round, so they are compared on equal terms;
/// where they share a baseline, in the same order, too. Where the contest wants it, each has requests of its own instead,
/// so that nobody who was measured before it knows what it will be asked.
///
/// # Errors
/// [`PlanError`]: nothing to ask, or nothing to measure.
pub fn draw_plan(inputs: PlanInputs<'_>) -> Result<Plan, PlanError> {
    let contest = inputs.contest;
    let (task, request) = (contest.task, &contest.request);
    let prompts_digest = Digest::of(inputs.prompts);
    let [_, candidates @ ..] = inputs.pipelines else { return Err(PlanError::NoCandidates) };
    if candidates.is_empty() {
        return Err(PlanError::NoCandidates);
    }
    let measurement = &contest.measurement;
    let pairs_by_round: Vec<u32> = match inputs.extent {
        Extent::Full => (0..measurement.sessions).map(|round| measurement.pairs_in(round)).collect(),
        Extent::Quick => vec![measurement.quick_pairs; measurement.quick_sessions as usize],
    };
    let askers = if measurement.own_requests { candidates.len() as u32 } else { 1 };
    let pairs_at_all: u32 = pairs_by_round.iter().sum::<u32>() * askers;
    let public: [&[u8]; 4] = [
        contest.digest.as_bytes(),
        prompts_digest.as_bytes(),
        &inputs.day.to_string().into_bytes(),
        inputs.entropy.as_str().as_bytes(),
    ];

    let warmups = measurement.warmup_max;
    let needed = (pairs_at_all + warmups) as usize;
    let prompts = prompts(&inputs, needed, &public)?;
    let asks = task.asks(request, inputs.prompts_file, &prompts)?;
    let mut requests = Vec::new();
    let mut draws = Draws::new("edgemaxx-plan-1 requests", &public);
    let mut deck: Vec<usize> = Vec::new();
    if task.asks_once() && asks.len() < needed {
        let (file, found) = (inputs.prompts_file.to_owned(), asks.len());
        return Err(PromptsError::TooFew { file, found, needed }.into());
    }
    for id in 0..pairs_at_all + warmups {
        if deck.is_empty() {
            deck = (0..asks.len()).collect();
            draws.shuffle(&mut deck);
        }
        let Some(index) = deck.pop() else { break };
        let seed = draws.0.next_u64() >> 11;
        let drawn = Drawn { id, seed, encoder: inputs.encoder };
        requests.push(PlannedRequest { id, seed, ask: task.drawn_ask(request, &asks[index], &drawn)? });
    }
    let mut asked = 0;
    for pairs in pairs_by_round.iter().flat_map(|pairs| std::iter::repeat_n(pairs, askers as usize)) {
        // What is asked first of a round is asked again last, before each session shuffles it.
        for twin in 0..measurement.twins.min(pairs / 2) {
            let (one, other) = ((asked + twin) as usize, (asked + pairs - 1 - twin) as usize);
            requests[other].ask = requests[one].ask.clone();
        }
        asked += pairs;
    }
    let drawn: Vec<&Ask> = requests.iter().map(|request: &PlannedRequest| &request.ask).collect();
    task.check_drawn(inputs.prompts_file, &drawn)?;

    let mut draws = Draws::new("edgemaxx-plan-1 order", &public);
    let mut repeat_draws = Draws::new("edgemaxx-plan-1 repeats", &public);
    let warmup: Vec<u32> = (pairs_at_all..pairs_at_all + warmups).collect();
    let shared = measurement.block > 1 && candidates.iter().any(|one| one.role == Role::Candidate);
    let mut sessions: Vec<PlannedSession> = Vec::new();
    let mut asked = 0;
    for (number, pairs) in (0u32..).zip(pairs_by_round) {
        let repeats = inputs.extent == Extent::Full;
        let round = Round { number, first: asked, pairs, askers, warmup: warmup.clone(), repeats };
        asked += pairs * askers;
        sessions.extend(match shared {
            true => round.shared(candidates, measurement.block, &mut draws, &mut repeat_draws),
            false => round.own(candidates, &mut draws, &mut repeat_draws),
        });
    }
    for (index, session) in (0u32..).zip(&mut sessions) {
        session.index = index;
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
        lanes: 1,
        device: contest.device.clone(),
        task,
        request: request.clone(),
        measurement: contest.measurement.clone(),
        pipelines: inputs.pipelines.to_vec(),
        requests,
        sessions,
    })
}
