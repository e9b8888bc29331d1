//! The JSON schemas of `harness/docs/schemas`: they are what the types say, and what is published and written fits them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::common::{Playground, candidate, edgemaxx, repository};

/// With this variable set, the schemas are written as the types say.
const UPDATE: &str = "EDGEMAXX_UPDATE_SCHEMAS";

/// Name → schema, of all documents.
fn schemas() -> BTreeMap<String, Value> {
    let mut all = edgemaxx_contract::schema::schemas();
    all.push(("summary", edgemaxx_contract::schema::document::<edgemaxx_report::Summary>()));
    all.push(("fleet-host", edgemaxx_contract::schema::document::<edgemaxx_fleet::Host>()));
    all.push(("fleet-claim", edgemaxx_contract::schema::document::<edgemaxx_fleet::Claim>()));
    all.push(("fleet-lease", edgemaxx_contract::schema::document::<edgemaxx_fleet::Lease>()));
    all.push(("fleet-inputs", edgemaxx_contract::schema::document::<edgemaxx_fleet::Inputs>()));
    all.push(("fleet-bundle", edgemaxx_contract::schema::document::<edgemaxx_fleet::Bundle>()));
    all.push(("manifest", edgemaxx_contract::schema::document::<edgemaxx_seal::manifest::Manifest>()));
    all.into_iter().map(|(name, schema)| (name.to_owned(), schema.to_value())).collect()
}

fn folder() -> PathBuf {
    repository("harness/docs/schemas")
}

fn compiled() -> BTreeMap<String, Validator> {
    let compile = |(name, schema): (String, Value)| {
        let validator =
            jsonschema::draft202012::new(&schema).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, validator)
    };
    schemas().into_iter().map(compile).collect()
}

/// What of a run or a day has which schema; `None`: it is no document.
fn schema_of(file: &str, line: usize) -> Option<&'static str> {
    Some(match file {
        "plan.json" => "plan",
        "fleet.json" => "fleet",
        "environment.json" => "environment",
        "samples.jsonl" => "sample",
        "telemetry.jsonl" => "telemetry",
        "quality.jsonl" if line == 0 => "quality-header",
        "quality.jsonl" => "quality",
        "estimates.json" => "estimates",
        "ranking.json" => "ranking",
        "summary.json" => "summary",
        "manifest.json" => "manifest",
        "day.json" => "day",
        "weights.json" => "weights",
        _ => return None,
    })
}

/// Checks every document of a run; the names of the schemas it had something for.
fn check(run: &Path, validators: &BTreeMap<String, Validator>) -> Vec<&'static str> {
    let mut seen = Vec::new();
    for entry in fs::read_dir(run).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if schema_of(&name, 0).is_none() {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let documents: Vec<&str> = if name.ends_with("l") { text.lines().collect() } else { vec![&text] };
        for (line, document) in documents.into_iter().enumerate() {
            let schema = schema_of(&name, line).unwrap();
            let value: Value = serde_json::from_str(document).unwrap();
            let faults: Vec<String> = validators[schema]
                .iter_errors(&value)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(faults.is_empty(), "{}:{}: {}", path.display(), line + 1, faults.join("\n"));
            seen.push(schema);
        }
    }
    seen.sort_unstable();
    seen.dedup();
    seen
}

#[test]
fn the_committed_schemas_are_what_the_types_say() {
    let formats = fs::read_to_string(repository("harness/docs/FORMATS.md")).unwrap();
    let mut expected = Vec::new();
    for (name, schema) in schemas() {
        let file = format!("{name}.schema.json");
        let path = folder().join(&file);
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os(UPDATE).is_some() {
            fs::create_dir_all(folder()).unwrap();
            fs::write(&path, &text).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == text, "{}: not what the types say; {UPDATE}=1 writes it anew", path.display());
        assert!(formats.contains(&format!("schemas/{file}")), "FORMATS.md does not name {file}");
        expected.push(file);
    }
    let mut found: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn what_is_published_fits_the_schemas() {
    let validators = compiled();
    for name in ["emoji-cpu", "sdxl-random-h100", "sdxl-random-h200"] {
        let seen = check(&repository("reports/examples").join(name), &validators);
        assert!(seen.len() >= 7, "{name}: {seen:?}");
    }
}

/// A run with what a run can hold: failures, a seal, telemetry, and a comparison of it.
#[test]
fn what_a_run_leaves_fits_the_schemas() {
    let ground = Playground::new(
        &(candidate("quick", &["--latency-us", "2000"]) + &candidate("broken", &["--fault", "die@2"])),
    );
    ground.run("out").output().unwrap();
    let out = ground.path("out");
    edgemaxx().arg("seal").arg(&out).assert().success();
    let validators = compiled();
    let seen = check(&out, &validators);
    let all = [
        "environment",
        "estimates",
        "manifest",
        "plan",
        "quality",
        "quality-header",
        "ranking",
        "sample",
        "summary",
        "telemetry",
    ];
    assert_eq!(seen, all);
    let output = edgemaxx().arg("compare").arg(&out).arg("--json").output().unwrap();
    let comparison: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(validators["comparison"].is_valid(&comparison), "{comparison}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let validators = compiled();
    let example = repository("reports/examples/emoji-cpu");
    let read = |name: &str| fs::read_to_string(example.join(name)).unwrap();
    let document = |name: &str| serde_json::from_str::<Value>(&read(name)).unwrap();
    let refused = |schema: &str, mut value: Value, pointer: &str, to: Value| {
        assert!(validators[schema].is_valid(&value), "{schema}");
        *value.pointer_mut(pointer).unwrap_or_else(|| panic!("{schema} {pointer}")) = to;
        assert!(!validators[schema].is_valid(&value), "{schema} {pointer}");
    };
    refused("plan", document("plan.json"), "/day", json!("yesterday"));
    refused("plan", document("plan.json"), "/sessions/0/first", json!("both"));
    refused("ranking", document("ranking.json"), "/entries/0/score", json!("1"));
    refused("estimates", document("estimates.json"), "/candidates/0/claim", json!("quickest"));
    refused("environment", document("environment.json"), "/cpus", json!(-1));
    refused("summary", document("summary.json"), "/candidates/0/digest", json!("abc"));
    let log = read("samples.jsonl");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let attempt = lines.iter().find(|line| line["record"] == "attempt").unwrap();
    refused("sample", attempt.clone(), "/outcome", json!({ "lost": {} }));
    refused("sample", attempt.clone(), "/prev", json!("0"));
    refused("sample", attempt.clone(), "/record", json!("guess"));
}
