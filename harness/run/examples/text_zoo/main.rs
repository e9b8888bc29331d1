//! What the classes of texts catch, on request: `text_zoo CHECKPOINT PROMPTS [TEMPERATURE]` has planted engines answer the
//! prompts, judges their answers as a run does, and prints how many of 1,000 contests of 80 pairs, drawn from them, each
//! class lets pass. METHODOLOGY.md and THREATS.md have the table.
#![allow(clippy::print_stdout, reason = "an example that prints what it finds")]

mod planted;

use std::error::Error;
use std::path::Path;

use edgemaxx_analyze::gate;
use edgemaxx_candle::llama::Vocabulary;
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::metric::{Class, Metric};
use edgemaxx_contract::quality::QualityRecord;
use edgemaxx_contract::task::passages;
use edgemaxx_contract::task::text::{Ask, AskedDecoding};
use edgemaxx_quality::text::{Reader, TextJudge};

use planted::{ENGINES, Engines};

/// Pairs of a contest, half of each kind.
const PAIRS: usize = 80;
/// Contests that are drawn.
const CONTESTS: usize = 1000;
/// Tokens read and made, by kind.
const KINDS: [(usize, u32); 2] = [(192, 16), (24, 64)];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [checkpoint, prompts, rest @ ..] = arguments.as_slice() else {
        return Err("usage: text_zoo CHECKPOINT PROMPTS [TEMPERATURE]".into());
    };
    let temperature: Option<f64> = rest.first().map(|text| text.parse()).transpose()?;
    let vocabulary = Vocabulary::open(Path::new(checkpoint))?;
    let text = std::fs::read_to_string(prompts)?;
    let mut asks = Vec::new();
    for (seed, prompt) in (1u64..).zip(passages(prompts, &text)?) {
        let ids = vocabulary.tokenizer.encode(&prompt)?;
        for (kind, (read, new)) in KINDS.into_iter().enumerate() {
            let decoding = match temperature {
                None => AskedDecoding::Greedy,
                Some(temperature) => AskedDecoding::Sampled { temperature, seed },
            };
            let ask = Ask {
                prompt: prompt.clone(),
                stratum: None,
                prompt_ids: ids[..ids.len().min(read)].to_vec(),
                max_new_tokens: new,
                ignore_eos: true,
                end_ids: vocabulary.ends.clone(),
                vocabulary: vocabulary.size,
                decoding,
            };
            asks.push((kind, ask));
        }
    }
    let mut engines = Engines::load(Path::new(checkpoint))?;
    let mut reader = Reader::load(Path::new(checkpoint))?;
    let mut of_baseline = Vec::new();
    for (_, ask) in &asks {
        of_baseline.push(engines.plain(ask)?);
    }
    let classes: Vec<&Class> = Class::of_task("text").collect();
    let names: Vec<&str> = classes.iter().map(|class| class.name).collect();
    println!("engine | agreement, change | first | margin | nll | passes {}", names.join(" / "));
    for (name, engine) in ENGINES {
        let mut records = [Vec::new(), Vec::new()];
        for (at, (kind, ask)) in asks.iter().enumerate() {
            let other = &of_baseline[(at + 2 * KINDS.len()) % of_baseline.len()];
            let Some(answer) = engine(&mut engines, at / KINDS.len(), ask, &of_baseline[at], other)? else {
                continue;
            };
            let judged = TextJudge::of(&mut reader, ask, [&of_baseline[at], &answer])?;
            records[*kind].push(QualityRecord {
                candidate: (*name).to_owned(),
                session: 0,
                pair: at as u32,
                request: at as u32,
                baseline_answer: Digest::of(format!("{:?}", of_baseline[at])),
                candidate_answer: Digest::of(format!("{answer:?}")),
                values: judged.values,
                sides: judged.sides,
                follows: None,
                detail: serde_json::Value::Null,
            });
        }
        if records[0].is_empty() {
            continue;
        }
        let mean = |metric: &str| -> Result<f64, Box<dyn Error>> {
            let metric = Metric::named(metric)?;
            let values: Vec<f64> =
                records.iter().flatten().filter_map(|record| record.value(metric)).collect();
            Ok(values.iter().sum::<f64>() / values.len() as f64)
        };
        let passes: Vec<String> = classes
            .iter()
            .map(|class| {
                let (share, missed) = passing(class, &records);
                let missed = missed.map_or(String::new(), |gate| format!(" ({gate})"));
                format!("{:.1}%{missed}", 100.0 * share)
            })
            .collect();
        println!(
            "{name} | {:+.4} | {:+.4} | {:+.4} | {:+.4} | {}",
            mean("agreement_change")?,
            mean("first_agreement_change")?,
            mean("margin_change")?,
            mean("nll_change")?,
            passes.join(" / ")
        );
    }
    Ok(())
}

/// The share of drawn contests in which all gates of a class are proven, and the metric of the one most often missed.
fn passing(class: &Class, records: &[Vec<QualityRecord>; 2]) -> (f64, Option<String>) {
    let gates = class.gates();
    let mut missed = vec![0usize; gates.len()];
    let mut state = 1u64;
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as usize * bound) >> 31
    };
    let mut passed = 0;
    for _ in 0..CONTESTS {
        let mut drawn: Vec<&QualityRecord> = Vec::new();
        for records in records {
            let mut deck: Vec<usize> = (0..records.len()).collect();
            for at in 0..(PAIRS / 2).min(deck.len()) {
                let with = at + below(deck.len() - at);
                deck.swap(at, with);
                drawn.push(&records[deck[at]]);
            }
        }
        let mut all = true;
        for (asked, missed) in gates.iter().zip(&mut missed) {
            let proven = gate(&drawn, asked, 0.95).passed;
            *missed += usize::from(!proven);
            all &= proven;
        }
        passed += usize::from(all);
    }
    let most =
        missed.iter().zip(&gates).max_by_key(|(missed, _)| **missed).filter(|(missed, _)| **missed > 0);
    (passed as f64 / CONTESTS as f64, most.map(|(_, gate)| gate.metric.to_string()))
}
