//! Times the built-in engine for language models, on request: `llama MODEL THREADS [TYPE]` reads lines of two numbers, tokens of a
//! prompt and further tokens, and answers each with the nanoseconds that both took, and with those of processor time that the
//! main thread took, where the system says. `scripts/bench-llama` asks it.
#![allow(clippy::print_stdout, reason = "an example that prints what it finds")]
use edgemaxx_candle::gguf::TensorType;
use edgemaxx_candle::llama::{Llama, LlamaOptions};
use std::error::Error;
use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, threads, rest @ ..] = arguments.as_slice() else {
        return Err("usage: llama MODEL THREADS [f32|f16|bf16|q8_0|q4_0|q4_1]".into());
    };
    let weights = match rest.first().map(String::as_str) {
        None => None,
        Some("f32") => Some(TensorType::F32),
        Some("f16") => Some(TensorType::F16),
        Some("bf16") => Some(TensorType::Bf16),
        Some("q8_0") => Some(TensorType::Q8_0),
        Some("q4_0") => Some(TensorType::Q4_0),
        Some("q4_1") => Some(TensorType::Q4_1),
        Some(other) => {
            return Err(format!("type {other}: expected f32, f16, bf16, q8_0, q4_0 or q4_1").into());
        }
    };
    let options = LlamaOptions { weights, threads: Some(threads.parse()?), ..LlamaOptions::default() };
    let begin = Instant::now();
    let mut model = Llama::open(Path::new(path), &options)?;
    let vocabulary = model.config().vocabulary as u32;
    println!("ready {} {}", begin.elapsed().as_nanos(), model.bytes_per_token());
    std::io::stdout().flush()?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let mut numbers = line.split_whitespace().map(str::parse::<u32>);
        let (Some(prompt), Some(more)) = (numbers.next().transpose()?, numbers.next().transpose()?) else {
            return Err(format!("`{line}`: expected two numbers").into());
        };
        let ids: Vec<u32> = (0..prompt + more).map(|i| (i * 7919 + 13) % vocabulary).collect();
        let (prompt, more) = ids.split_at(prompt as usize);
        let (begin, idle) = (Instant::now(), processor_time());
        model.prefill(prompt)?;
        let (first, read) = (begin.elapsed(), processor_time());
        for id in more {
            model.decode(*id)?;
        }
        let (all, decoded) = (begin.elapsed(), processor_time());
        println!("{} {} {} {}", first.as_nanos(), (all - first).as_nanos(), read - idle, decoded - read);
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// Nanoseconds of processor time of this thread; Linux brings the count up to date when the thread offers the processor.
fn processor_time() -> u64 {
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0)
}
