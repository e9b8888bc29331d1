//! From the first format of a run's documents to the second.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::plan::Plan;
use edgemaxx_contract::quality::QualityLog;
use edgemaxx_contract::sample::{Chain, Record};
use serde_json::{Map, Value, json};

/// What of a run folder changes, by name; and the old and the new head of the samples.
pub(crate) fn run(folder: &Path) -> (BTreeMap<&'static str, String>, (Digest, Digest)) {
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let plan = plan(&read("plan.json"));
    let digest = Digest::of(&plan);
    let (samples, heads) = samples(&read("samples.jsonl"), digest);
    let mut files = BTreeMap::from([
        ("quality.jsonl", quality(&read("quality.jsonl"), heads)),
        ("samples.jsonl", samples),
        ("plan.json", plan),
    ]);
    if folder.join("telemetry.jsonl").exists() {
        let old = Digest::of(read("plan.json")).to_string();
        files.insert("telemetry.jsonl", read("telemetry.jsonl").replacen(&old, &digest.to_string(), 1));
    }
    (files, heads)
}

fn object(value: &mut Value) -> &mut Map<String, Value> {
    value.as_object_mut().expect("an object")
}

fn array<'a>(value: &'a mut Value, key: &str) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    value[key].as_array_mut().expect("an array").iter_mut().map(object)
}

fn rename(map: &mut Map<String, Value>, from: &str, to: &str) {
    if let Some(value) = map.remove(from) {
        map.insert(to.to_owned(), value);
    }
}

/// A plan names its task, and what is the task's stands by itself.
fn plan(text: &str) -> String {
    let mut plan: Value = serde_json::from_str(text).expect("a plan");
    object(&mut plan).insert("task".to_owned(), json!("picture"));
    plan["version"] = json!(2);
    for pipeline in array(&mut plan, "pipelines") {
        rename(pipeline, "generation", "settings");
    }
    for request in array(&mut plan, "requests") {
        let prompt = request.remove("prompt").expect("a prompt");
        request.insert("ask".to_owned(), json!({ "prompt": prompt }));
    }
    let plan = Plan::from_json(&plan.to_string()).expect("a plan of the second format");
    plan.to_json()
}

/// Pictures become answers, and the chain is made anew; its old and its new head.
fn samples(text: &str, plan: Digest) -> (String, (Digest, Digest)) {
    let (mut chain, mut converted, mut old) = (Chain::default(), String::new(), Digest::of(""));
    for line in text.lines() {
        let mut record: Value = serde_json::from_str(line).expect("a record");
        assert_eq!(record["prev"], json!(old), "the old chain holds");
        old = Digest::of(line);
        object(&mut record).remove("prev");
        if record["record"] == "header" {
            record["version"] = json!(2);
            record["plan"] = json!(plan);
        }
        if let Some(outcome) = record.get_mut("outcome").map(object) {
            rename(outcome, "picture", "answered");
            if let Some(answered) = outcome.get_mut("answered") {
                rename(object(answered), "image", "answer");
            }
            if let Some(failed) = outcome.get_mut("failed").filter(|failed| failed["kind"] == "picture") {
                failed["kind"] = json!("answer");
            }
        }
        let record: Record = serde_json::from_value(record).expect("a record of the second format");
        converted.push_str(&chain.append(record));
    }
    (converted, (old, chain.head()))
}

/// Metrics that the first format wrote by themselves.
const METRICS: [&str; 8] = [
    "ssim_gray",
    "psnr_db",
    "phash_distance",
    "clip_image_cosine",
    "lpips",
    "wombo_2025",
    "held_back_ssim_gray",
    "held_back_clip_image_cosine",
];

/// The judged pairs belong to the new chain, and hold a map of metrics; what is in the second format already stays.
fn quality(text: &str, heads: (Digest, Digest)) -> String {
    let text = text.replacen(&heads.0.to_string(), &heads.1.to_string(), 1);
    let (header, records) = text.split_once('\n').expect("a header");
    let mut header: Value = serde_json::from_str(header).expect("a header");
    if header["version"] == 2 {
        return text;
    }
    header["version"] = json!(2);
    let models: Map<String, Value> =
        ["clip", "lpips"].into_iter().filter_map(|model| take(object(&mut header), model)).collect();
    object(&mut header).insert("models".to_owned(), Value::Object(models));
    let mut lines = vec![header.to_string()];
    for record in records.lines() {
        let mut record: Value = serde_json::from_str(record).expect("a judged pair");
        let record = object(&mut record);
        rename(record, "baseline_image", "baseline_answer");
        rename(record, "candidate_image", "candidate_answer");
        let mut values: Map<String, Value> =
            METRICS.into_iter().filter_map(|metric| take(record, metric)).collect();
        let sides = [take(record, "clip_text_baseline"), take(record, "clip_text_candidate")];
        if let [Some((_, baseline)), Some((_, candidate))] = sides {
            let number = |value: &Value| value.as_f64().expect("a number");
            let name = "clip_text_difference".to_owned();
            values.insert(name.clone(), json!(number(&candidate) - number(&baseline)));
            record.insert(
                "sides".to_owned(),
                json!({ name: { "baseline": baseline, "candidate": candidate } }),
            );
        }
        record.insert("values".to_owned(), Value::Object(values));
        lines.push(Value::Object(record.clone()).to_string());
    }
    let quality = QualityLog::parse(&lines.join("\n")).expect("judged pairs of the second format");
    quality.to_jsonl()
}

/// A key with its value, where that is not null.
fn take(map: &mut Map<String, Value>, key: &str) -> Option<(String, Value)> {
    map.remove_entry(key).filter(|(_, value)| !value.is_null())
}

/// Estimates as the second format words them.
pub(crate) fn words(estimates: &str) -> String {
    estimates
        .replace("identical_pictures", "identical_answers")
        .replace("\"wombo2025\"", "\"wombo_2025\"")
        .replace("gave the same picture", "gave the same answer")
        .replace("got the same picture", "got the same answer")
        .replace("no two prompts of", "no two different requests of")
}
