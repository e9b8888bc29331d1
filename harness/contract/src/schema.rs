//! JSON schemas of our documents, derived from their types; only with the feature `schema`.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use crate::comparison::Comparison;
use crate::day::DayRecord;
use crate::digest::Digest;
use crate::environment::Environment;
use crate::estimate::Estimates;
use crate::fleet::Fleet;
use crate::format::Document;
use crate::joint::Joint;
use crate::metric::Metric;
use crate::plan::{Day, Entropy, Plan};
use crate::quality::{QualityHeader, QualityRecord};
use crate::ranking::Ranking;
use crate::sample::Line;
use crate::task::TaskRef;
use crate::telemetry::TelemetryRecord;
use crate::weights::Weights;

/// Name and schema of every document of this crate. Of a log, the schema is that of a line; `quality.jsonl` has two.
pub fn schemas() -> Vec<(&'static str, Schema)> {
    vec![
        ("plan", document::<Plan>()),
        ("environment", document::<Environment>()),
        ("sample", of::<Line>()),
        ("telemetry", of::<TelemetryRecord>()),
        ("quality-header", closed(of::<QualityHeader>())),
        ("quality", of::<QualityRecord>()),
        ("estimates", document::<Estimates>()),
        ("ranking", document::<Ranking>()),
        ("comparison", document::<Comparison>()),
        ("day", document::<DayRecord>()),
        ("weights", document::<Weights>()),
        ("joint", document::<Joint>()),
        ("fleet", document::<Fleet>()),
    ]
}

/// The schema of a document: of this version, and without other keys.
pub fn document<T: JsonSchema + Document>() -> Schema {
    let format = T::expected_format();
    let mut schema = closed(of::<T>());
    schema.insert("$id".to_owned(), format!("urn:edgemaxx:{}:{}", format.format, format.version).into());
    for (key, value) in [("format", Value::from(format.format)), ("version", Value::from(format.version))] {
        if let Some(property) = schema.pointer_mut(&format!("/properties/{key}")) {
            *property = json!({ "const": value });
        }
    }
    schema
}

/// The schema of what `T` is written as.
fn of<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>()
}

/// Without other keys: a type with a flattened head does not say so itself.
fn closed(mut schema: Schema) -> Schema {
    schema.insert("additionalProperties".to_owned(), Value::Bool(false));
    schema
}

/// The schema of types that are written as one string.
macro_rules! string {
    ($($type:ty, $name:literal, $words:literal, $rule:literal: $value:expr;)*) => {$(
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "description": $words, "type": "string", $rule: $value })
            }
        }
    )*};
}

string! {
    Digest, "Digest", "SHA-256, hexadecimal.", "pattern": "^[0-9a-f]{64}$";
    Day, "Day", "A calendar day.", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$";
    Entropy, "Entropy", "Public randomness: a block hash, or any literal.", "pattern": "^[!-~]{1,256}$";
    Metric, "Metric", "The name of a metric.", "enum": Metric::of_release().map(|metric| metric.name()).collect::<Vec<_>>();
    TaskRef, "Task", "The name of a task.", "pattern": "^[a-z0-9_-]+$";
}
