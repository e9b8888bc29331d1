//! What a model's answer says of the picture and of the noise.

use candle_core::Tensor;

use super::config::Prediction;
use crate::error::Result;

/// The weighted sum of tensors.
pub(super) fn sum(terms: &[(f32, &Tensor)]) -> Result<Tensor> {
    let mut all = terms.iter().map(|(factor, tensor)| *tensor * f64::from(*factor));
    let Some(first) = all.next() else {
        return Err(candle_core::Error::Msg("a sum of nothing".into()).into());
    };
    all.try_fold(first?, |sum, next| Ok((sum + next?)?))
}

impl Prediction {
    /// The picture, where the sample is the picture and σ times noise.
    pub(super) fn picture_beside(self, sigma: f32, output: &Tensor, sample: &Tensor) -> Result<Tensor> {
        match self {
            Self::Epsilon => sum(&[(1.0, sample), (-sigma, output)]),
            Self::Velocity => {
                let norm = sigma * sigma + 1.0;
                sum(&[(-sigma / norm.sqrt(), output), (1.0 / norm, sample)])
            }
            Self::Sample => Ok(output.clone()),
        }
    }

    /// The picture, where the sample is α times it and σ times noise.
    pub(super) fn picture(self, alpha: f32, sigma: f32, output: &Tensor, sample: &Tensor) -> Result<Tensor> {
        match self {
            Self::Epsilon => Ok((sum(&[(1.0, sample), (-sigma, output)])? / f64::from(alpha))?),
            Self::Velocity => sum(&[(alpha, sample), (-sigma, output)]),
            Self::Sample => Ok(output.clone()),
        }
    }

    /// The noise, where the sample is α times the picture and σ times it.
    pub(super) fn noise(self, alpha: f32, sigma: f32, output: &Tensor, sample: &Tensor) -> Result<Tensor> {
        match self {
            Self::Epsilon => Ok(output.clone()),
            Self::Velocity => sum(&[(alpha, output), (sigma, sample)]),
            Self::Sample => Ok((sum(&[(1.0, sample), (-alpha, output)])? / f64::from(sigma))?),
        }
    }
}

/// The picture within ±`range`, where it is clipped.
pub(super) fn clipped(picture: Tensor, range: Option<f64>) -> Result<Tensor> {
    Ok(match range {
        Some(range) => picture.clamp(-range, range)?,
        None => picture,
    })
}
