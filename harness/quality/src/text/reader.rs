//! The baseline's model reads texts of others: one pass over prompt and answer, as if it had chosen every token itself.

mod least_divergence;

use std::path::{Path, PathBuf};

use edgemaxx_candle::llama::{Llama, LlamaOptions, Vocabulary, checkpoint};
use edgemaxx_candle::transformers::{Transformers, TransformersConfig, TransformersOptions};
use edgemaxx_contract::task::text::{Ask, AskedDecoding, Noise, Scores};

use self::least_divergence::least_divergence;
use crate::error::{QualityError, Result};

/// A margin counts as this much at most: how far off a token is says no more then.
pub const MOST_MARGIN: f64 = 8.0;

/// Bytes of weights below which one thread reads alone.
const ALONE: usize = 64 << 20;

/// What the model says of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// By how much it would have preferred another token, for each: 0 where it would have chosen the same. Logits over
    /// the temperature, with the noise where there is any.
    pub margins: Vec<f64>,
    /// Whether it would have chosen the same.
    pub agrees: Vec<bool>,
    /// −ln of the probability of all tokens together.
    pub nll: f64,
}

impl Read {
    /// The share of tokens that the model would have chosen.
    pub fn agreement(&self) -> f64 {
        mean(self.agrees.iter().map(|agrees| f64::from(u8::from(*agrees))))
    }

    /// The same of the first token.
    pub fn first(&self) -> f64 {
        self.agrees.first().map_or(0.0, |agrees| f64::from(u8::from(*agrees)))
    }

    /// The mean margin.
    pub fn margin(&self) -> f64 {
        mean(self.margins.iter().copied())
    }

    /// The mean improbability of a token.
    pub fn nll_per_token(&self) -> f64 {
        self.nll / self.agrees.len().max(1) as f64
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len().max(1);
    values.sum::<f64>() / count as f64
}

/// The baseline's model: LLaMA's layout in one pass, others a token at a time.
enum Model {
    Llama(Box<Llama>),
    Other(Box<Transformers>),
}

impl Model {
    /// With as many threads as are worth meeting one another: on a busy machine a small one waits for them longer than it
    /// computes.
    fn open(path: &Path, context: Option<usize>) -> edgemaxx_candle::Result<Self> {
        if path.is_dir() && TransformersConfig::is_its(path) {
            let options = TransformersOptions { threads: Some(1), context };
            return Ok(Self::Other(Box::new(Transformers::open(path, &options)?)));
        }
        let options = LlamaOptions { context, threads: Some(1), ..LlamaOptions::default() };
        let model = Llama::open(path, &options)?;
        if model.bytes_per_token() < ALONE {
            return Ok(Self::Llama(Box::new(model)));
        }
        drop(model);
        Ok(Self::Llama(Box::new(Llama::open(path, &LlamaOptions { threads: None, ..options })?)))
    }

    /// Tokens of the longest text now, and at most.
    fn room(&self) -> (usize, usize) {
        match self {
            Self::Llama(model) => (model.capacity(), model.config().positions),
            Self::Other(model) => (model.capacity(), model.config().positions),
        }
    }

    fn score(
        &mut self,
        prompt: &[u32],
        answer: &[u32],
        each: &mut dyn FnMut(usize, &[f32]),
    ) -> edgemaxx_candle::Result<()> {
        match self {
            Self::Llama(model) => model.score(prompt, answer, each),
            Self::Other(model) => model.score(prompt, answer, each),
        }
    }
}

/// The baseline's model, and its tokens.
pub struct Reader {
    path: PathBuf,
    model: Model,
    /// The pieces that tokens stand for.
    pub vocabulary: Vocabulary,
}

impl Reader {
    /// Loads the model of a checkpoint: its weights as they are stored, whatever the baseline computes with.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = checkpoint(folder).map_err(fail)?;
        let model = Model::open(&path, None).map_err(fail)?;
        Ok(Self { vocabulary: Vocabulary::open(&path).map_err(fail)?, path, model })
    }

    /// What it says of an answer.
    ///
    /// # Errors
    /// The answer has no tokens, or some that it does not know, or more than it has positions.
    pub fn read(&mut self, ask: &Ask, answer: &[u32]) -> Result<Read> {
        self.pass(ask, answer, &mut |_, _| {})
    }

    /// The same, and in the same pass the mean over the answer's tokens of the least divergence, in nats, from the model's
    /// distribution in their places to what each of two engines says of them. The temperature plays no part in that.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(super) fn read_scored(
        &mut self,
        ask: &Ask,
        answer: &[u32],
        scores: [&Scores; 2],
    ) -> Result<(Read, [f64; 2])> {
        let mut sums = [0.0; 2];
        let read = self.pass(ask, answer, &mut |position, logits| {
            for (sum, Scores(lists)) in sums.iter_mut().zip(scores) {
                *sum += lists.get(position).map_or(f64::NAN, |list| least_divergence(logits, list));
            }
        })?;
        Ok((read, sums.map(|sum| sum / answer.len().max(1) as f64)))
    }

    /// One pass over prompt and answer; `each` is shown the model's logits at each of its tokens.
    fn pass(&mut self, ask: &Ask, answer: &[u32], each: &mut dyn FnMut(usize, &[f32])) -> Result<Read> {
        self.make_room(ask.prompt_ids.len() + answer.len())?;
        let (temperature, mut noise) = match ask.decoding {
            AskedDecoding::Greedy => (1.0, None),
            AskedDecoding::Sampled { temperature, seed } => (temperature as f32, Some(Noise::new(seed))),
        };
        let mut read = Read { margins: Vec::new(), agrees: Vec::new(), nll: 0.0 };
        let (mut scores, mut drawn) = (Vec::new(), Vec::new());
        self.model
            .score(&ask.prompt_ids, answer, &mut |position, logits| {
                each(position, logits);
                let token = answer[position] as usize;
                scores.clear();
                scores.extend(logits.iter().map(|logit| logit / temperature));
                read.nll += f64::from(largest(&scores).1) + rest(&scores) - f64::from(scores[token]);
                if let Some(noise) = &mut noise {
                    drawn.resize(scores.len(), 0.0);
                    noise.fill(position as u64, &mut drawn);
                    scores.iter_mut().zip(&drawn).for_each(|(score, drawn)| *score += drawn);
                }
                let (chosen, top) = largest(&scores);
                read.agrees.push(chosen == token);
                read.margins.push(f64::from(top - scores[token]).min(MOST_MARGIN));
            })
            .map_err(fail)?;
        Ok(read)
    }

    /// Opens the model anew where a text of so many tokens does not fit.
    fn make_room(&mut self, needed: usize) -> Result<()> {
        let (capacity, most) = self.model.room();
        if needed > capacity {
            let context = needed.max(2 * capacity).min(most);
            self.model = Model::open(&self.path, Some(context)).map_err(fail)?;
        }
        Ok(())
    }
}

/// The largest, the first of several, and its place.
fn largest(scores: &[f32]) -> (usize, f32) {
    let best =
        |best: (usize, f32), (at, score): (usize, &f32)| if *score > best.1 { (at, *score) } else { best };
    scores.iter().enumerate().fold((0, f32::NEG_INFINITY), best)
}

/// ln Σ exp(s − max s).
fn rest(scores: &[f32]) -> f64 {
    let top = f64::from(largest(scores).1);
    scores.iter().map(|score| (f64::from(*score) - top).exp()).sum::<f64>().ln()
}

fn fail(error: edgemaxx_candle::Error) -> QualityError {
    QualityError::Baseline(error.to_string())
}
