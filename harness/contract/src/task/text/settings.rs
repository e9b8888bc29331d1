//! Settings that a language model answers with.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::input::{Input, InputError};

/// How an engine keeps the weights of matrices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weights {
    /// As the checkpoint has them.
    #[default]
    Stored,
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// bfloat16.
    Bf16,
    /// Eight bits, a scale to 32: llama.cpp's `Q8_0`.
    Q8_0,
    /// Four bits, a scale to 32: llama.cpp's `Q4_0`.
    Q4_0,
    /// Four bits, scale and shift to 32: llama.cpp's `Q4_1`.
    Q4_1,
}

impl Weights {
    /// As contests and the protocol name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Q8_0 => "q8_0",
            Self::Q4_0 => "q4_0",
            Self::Q4_1 => "q4_1",
        }
    }
}

impl fmt::Display for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Settings a pipeline answers with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// How weights are kept.
    #[serde(default)]
    pub weights: Weights,
    /// Positions are brought nearer by this factor, over what the checkpoint says.
    #[serde(default = "unscaled", skip_serializing_if = "is_unscaled")]
    pub rope_factor: f64,
    /// Tokens that are guessed ahead from what the text said before, and kept where the model says the same; 0: none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lookup: u32,
    /// What keys and values of the tokens read are rounded to.
    #[serde(default = "single", skip_serializing_if = "is_single")]
    pub cache: Weights,
}

fn single() -> Weights {
    Weights::F32
}

fn is_single(cache: &Weights) -> bool {
    *cache == single()
}

fn unscaled() -> f64 {
    1.0
}

fn is_unscaled(factor: &f64) -> bool {
    *factor == unscaled()
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Default for Settings {
    /// What a pipeline answers with where nobody says otherwise.
    fn default() -> Self {
        Self { weights: Weights::Stored, rope_factor: unscaled(), lookup: 0, cache: single() }
    }
}

impl Settings {
    pub(super) fn check(&self, input: &Input<'_>) -> Result<(), InputError> {
        input.within("rope_factor", self.rope_factor, 1.0, 1024.0)?;
        if self.cache == Weights::Stored {
            let expected = "f32, f16, bf16, q8_0, q4_0 or q4_1: no checkpoint stores a cache";
            return Err(input.bad("cache", expected, self.cache));
        }
        input.within("lookup", self.lookup, 0, 32).map(drop)
    }
}

/// Settings that differ from the baseline's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingsPatch {
    /// See [`Settings::weights`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<Weights>,
    /// See [`Settings::rope_factor`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rope_factor: Option<f64>,
    /// See [`Settings::lookup`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lookup: Option<u32>,
    /// See [`Settings::cache`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<Weights>,
}

impl SettingsPatch {
    /// These settings over the usual ones.
    pub(super) fn over_the_usual(&self) -> Settings {
        let usual = Settings::default();
        Settings {
            weights: self.weights.unwrap_or(usual.weights),
            rope_factor: self.rope_factor.unwrap_or(usual.rope_factor),
            lookup: self.lookup.unwrap_or(usual.lookup),
            cache: self.cache.unwrap_or(usual.cache),
        }
    }
}
