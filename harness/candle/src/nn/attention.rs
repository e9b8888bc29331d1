//! Scaled dot-product attention over token tensors.
use crate::error::Result;
use candle_core::{DType, Device, Tensor};

/// softmax(q·kᵀ/√d + mask)·v with `heads` heads.
///
/// `q` is `[batch, tokens, heads·d]`, `k` and `v` `[batch, context, heads·d]`, `mask` an additive f32
/// `[tokens, context]`; the result has the shape of `q`. Scores and softmax are f32.
pub fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    heads: usize,
    mask: Option<&Tensor>,
) -> Result<Tensor> {
    let (b, s, c) = q.dims3()?;
    let d = c / heads;
    let split = |t: &Tensor| -> Result<Tensor> {
        let n = t.dim(1)?;
        Ok(t.reshape((b, n, heads, d))?
            .transpose(1, 2)?
            .contiguous()?
            .to_dtype(DType::F32)?)
    };
    let (k, v) = (split(k)?, split(v)?);
    let scores = (split(q)? * (1.0 / (d as f64).sqrt()))?.matmul(&k.t()?)?;
    let scores = match mask {
        Some(m) => scores.broadcast_add(m)?,
        None => scores,
    };
    let y = candle_nn::ops::softmax_last_dim(&scores)?.matmul(&v)?;
    Ok(y.to_dtype(q.dtype())?.transpose(1, 2)?.reshape((b, s, c))?)
}

/// The additive mask that hides the future: `[n, n]`, 0 on and below the diagonal, −∞ above.
pub fn causal_mask(n: usize, device: &Device) -> Result<Tensor> {
    let values: Vec<f32> = (0..n * n)
        .map(|i| {
            if i % n > i / n {
                f32::NEG_INFINITY
            } else {
                0.0
            }
        })
        .collect();
    Ok(Tensor::from_vec(values, (n, n), device)?)
}
