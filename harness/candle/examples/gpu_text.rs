//! Language models on a GPU: `gpu_text check MODEL TYPE [TOKENS]` compares it with the CPU engine on the same weights,
//! `gpu_text time MODEL TYPE PROMPT NEW RUNS` times whole answers. Prints one JSON object a line; `scripts/bench-text-gpu` runs it
//! beside transformers.
#![allow(clippy::print_stdout, reason = "a measuring program")]

use edgemaxx_candle::gguf::TensorType;
use edgemaxx_candle::llama::{Choice, GpuLlama, Llama, LlamaOptions, Wanted, checkpoint};
use edgemaxx_contract::task::text::Noise;
use std::path::Path;
use std::time::Instant;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const USAGE: &str = "usage: gpu_text check MODEL TYPE [TOKENS] | time MODEL TYPE PROMPT NEW RUNS";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, model, weights, rest @ ..] = arguments.as_slice() else { return Err(USAGE.into()) };
    let weights = match weights.as_str() {
        "stored" => None,
        "f16" => Some(TensorType::F16),
        "bf16" => Some(TensorType::Bf16),
        "q8_0" => Some(TensorType::Q8_0),
        "q4_0" => Some(TensorType::Q4_0),
        "q4_1" => Some(TensorType::Q4_1),
        _ => return Err(USAGE.into()),
    };
    let path = checkpoint(Path::new(model))?;
    let numbers: Vec<usize> = rest.iter().map(|n| n.parse()).collect::<std::result::Result<_, _>>()?;
    match (what.as_str(), numbers.as_slice()) {
        ("check", []) => check(&path, weights, 48),
        ("check", [tokens]) => check(&path, weights, *tokens),
        ("time", [prompt, new, runs]) => time(&path, weights, *prompt, *new, *runs),
        _ => Err(USAGE.into()),
    }
}

/// Tokens of a prompt, from a number on.
fn prompt(from: usize, count: usize, vocabulary: usize) -> Vec<u32> {
    (0..count).map(|i| ((from + i * 7919 + 13) % vocabulary) as u32).collect()
}

fn wanted(prompt: &[u32], most: usize, choice: Choice) -> Wanted<'_> {
    Wanted { prompt, most, ends: &[], choice, lookup: 0 }
}

fn check(path: &Path, weights: Option<TensorType>, tokens: usize) -> Result<()> {
    let options = LlamaOptions { weights, context: Some(256 + tokens), ..LlamaOptions::default() };
    let (mut cpu, mut gpu) = (Llama::open(path, &options)?, GpuLlama::open(path, &options)?);
    let vocabulary = cpu.config().vocabulary;
    let (mut worst, mut differ, mut unexplained, mut again) = (0f64, 0, 0, true);
    for (number, count) in [1, 2, 7, 31, 64, 65, 100, 128, 200, 256].into_iter().enumerate() {
        let ids = prompt(number * 101, count, vocabulary);
        let (a, b) = (cpu.prefill(&ids)?.to_vec(), gpu.prefill(&ids)?.to_vec());
        let size = a.iter().map(|v| f64::from(v * v)).sum::<f64>().sqrt();
        let off = a.iter().zip(&b).map(|(a, b)| f64::from((a - b) * (a - b))).sum::<f64>().sqrt();
        worst = worst.max(off / size);
        for sampled in [false, true] {
            let choice = || match sampled {
                false => Choice::Greedy,
                true => Choice::Sampled(0.8, Box::new(Noise::new(number as u64))),
            };
            let mut made = Vec::new();
            for _ in 0..2 {
                let mut ids_made = Vec::new();
                gpu.generate(wanted(&ids, tokens, choice()), &mut |new| {
                    ids_made.extend_from_slice(new);
                    true
                })?;
                again &= made.is_empty() || made == ids_made;
                made = ids_made;
            }
            // By the CPU's logits, given what the GPU said: how far each token is from the one that it would have chosen.
            let mut noise = Noise::new(number as u64);
            let mut drawn = vec![0f32; vocabulary];
            cpu.score(&ids, &made, &mut |at, logits| {
                noise.fill(at as u64, &mut drawn);
                let score = |i: usize| match sampled {
                    false => logits[i],
                    true => logits[i] / 0.8 + drawn[i],
                };
                let top = (0..vocabulary).map(score).fold(f32::NEG_INFINITY, f32::max);
                let short = top - score(made[at] as usize);
                differ += usize::from(short > 0.0);
                unexplained += usize::from(short > 0.1);
            })?;
        }
    }
    println!(
        r#"{{"what":"check","weights":"{weights:?}","worst_relative_error":{worst:e},"tokens":{},"differ":{differ},"by_more_than_0.1":{unexplained},"same_again":{again}}}"#,
        20 * tokens
    );
    Ok(())
}

fn time(path: &Path, weights: Option<TensorType>, count: usize, new: usize, runs: usize) -> Result<()> {
    let options = LlamaOptions { weights, context: Some(count + new), ..LlamaOptions::default() };
    let begin = Instant::now();
    let mut gpu = GpuLlama::open(path, &options)?;
    let load = begin.elapsed().as_secs_f64();
    let vocabulary = gpu.config().vocabulary;
    let (mut firsts, mut nexts) = (Vec::new(), Vec::new());
    for run in 0..runs + 2 {
        let ids = prompt(run * 37, count, vocabulary);
        let (begin, mut first) = (Instant::now(), None);
        gpu.generate(wanted(&ids, new, Choice::Greedy), &mut |_| {
            first.get_or_insert_with(|| begin.elapsed().as_secs_f64() * 1e3);
            true
        })?;
        let all = begin.elapsed().as_secs_f64() * 1e3;
        let first = first.ok_or("no token")?;
        if run >= 2 {
            firsts.push(first);
            nexts.push((all - first) / (new - 1) as f64);
        }
    }
    let median = |values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    println!(
        r#"{{"what":"time","weights":"{weights:?}","prompt":{count},"new":{new},"first_ms":{:.3},"next_ms":{:.4},"next_min_ms":{:.4},"bytes":{},"load_s":{load:.1},"runs":{runs}}}"#,
        median(&mut firsts),
        median(&mut nexts),
        nexts[0],
        gpu.bytes_per_token()
    );
    Ok(())
}
