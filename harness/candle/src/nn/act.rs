//! Activation functions by the names transformers gives them.
use crate::cpu::Finish;
use crate::error::{Error, Result};
use candle_core::{D, Tensor};
use std::path::Path;

/// Activation of an MLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// x·σ(1.702·x), OpenAI's CLIP.
    QuickGelu,
    /// x·Φ(x) with the error function, transformers' `gelu`.
    Gelu,
}

impl Activation {
    /// Parses transformers' `hidden_act`; `path` is the configuration for the message.
    pub fn parse(name: &str, path: &Path) -> Result<Self> {
        match name {
            "quick_gelu" => Ok(Self::QuickGelu),
            "gelu" => Ok(Self::Gelu),
            other => Err(Error::config(path, "hidden_act", format!("`{other}`"), "`quick_gelu` or `gelu`")),
        }
    }

    pub(crate) fn finish(self) -> Finish {
        match self {
            Self::QuickGelu => Finish::QuickGelu,
            Self::Gelu => Finish::Gelu,
        }
    }

    /// Applies it elementwise.
    pub fn apply(self, x: &Tensor) -> Result<Tensor> {
        Ok(match self {
            // σ(y) = 1 / (1 + e^−y)
            Self::QuickGelu => (x / ((x * -1.702)?.exp()? + 1.0)?)?,
            Self::Gelu => x.gelu_erf()?,
        })
    }
}

/// Gated GELU: of `[…, 2·c]` the first half times the GELU (with the error function) of the second, `[…, c]`.
pub(super) fn geglu(x: &Tensor) -> Result<Tensor> {
    let halves = x.chunk(2, D::Minus1)?;
    Ok((&halves[0] * halves[1].contiguous()?.gelu_erf()?)?)
}
