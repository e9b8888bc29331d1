//! One step of an optimisation, and how it is written.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;

use edgemaxx_candle::derive::Storage;
use edgemaxx_contract::task::text::Weights;

/// A step.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Store all weights in another format.
    Store(Storage),
    /// Keep at most so many transformer layers per attention of the UNet.
    Prune(usize),
    /// A setting of edgemaxx.toml.
    Setting(&'static str, toml::Value),
    /// The miner's own program, given the folders FROM and TO.
    Script(PathBuf),
}

impl FromStr for Step {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = |expected: &str| Err(format!("`{text}`: expected {expected}"));
        Ok(match text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value))) {
            ("f16", None) => Self::Store(Storage::F16),
            ("bf16", None) => Self::Store(Storage::Bf16),
            ("int8", None) => Self::Store(Storage::Int8),
            ("prune", Some(n)) => match n.parse() {
                Ok(n @ 1..) => Self::Prune(n),
                _ => return bad("prune=N with at least 1 layer to keep"),
            },
            ("steps", Some(n)) => match n.parse::<u16>() {
                Ok(n @ 1..) => Self::Setting("steps", i64::from(n).into()),
                _ => return bad("steps=N with N from 1"),
            },
            ("guidance", Some(g)) => match g.parse::<f64>() {
                Ok(g) if g.is_finite() && g >= 0.0 => Self::Setting("guidance_scale", g.into()),
                _ => return bad("guidance=G with G from 0"),
            },
            ("scheduler", Some(class)) if !class.is_empty() => Self::Setting("scheduler", class.into()),
            ("compute", Some(format @ ("f32" | "f16" | "bf16"))) => Self::Setting("dtype", format.into()),
            ("weights", Some(name)) => match serde_json::from_value::<Weights>(name.into()) {
                Ok(weights) => Self::Setting("weights", weights.name().into()),
                Err(_) => return bad("weights=stored, f32, f16, bf16, q8_0, q4_0 or q4_1"),
            },
            ("lookup", Some(n)) => match n.parse::<u16>() {
                Ok(n @ 0..=32) => Self::Setting("lookup", i64::from(n).into()),
                _ => return bad("lookup=N with N from 0 to 32"),
            },
            ("script", Some(program)) if !program.is_empty() => Self::Script(program.into()),
            _ => return bad("a recipe; `edgemaxx miner optimize --help` lists them"),
        })
    }
}

/// The first of these that was there before.
pub(super) fn twice<'a>(mut keys: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = BTreeSet::new();
    keys.find(|key| !seen.insert(*key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipes_parse_and_nonsense_is_refused() {
        assert_eq!("int8".parse(), Ok(Step::Store(Storage::Int8)));
        assert_eq!("prune=2".parse(), Ok(Step::Prune(2)));
        assert_eq!("steps=8".parse(), Ok(Step::Setting("steps", 8.into())));
        assert_eq!("weights=q8_0".parse(), Ok(Step::Setting("weights", "q8_0".into())));
        assert_eq!("script=./x=y".parse(), Ok(Step::Script("./x=y".into())));
        for bad in [
            "",
            "int4",
            "f16=1",
            "steps",
            "steps=0",
            "steps=-1",
            "prune=0",
            "guidance=NaN",
            "compute=f8",
            "weights=q3_k",
            "lookup=33",
            "script=",
        ] {
            assert!(bad.parse::<Step>().is_err(), "{bad}");
        }
    }
}
