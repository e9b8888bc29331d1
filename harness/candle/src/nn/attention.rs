//! Scaled dot-product attention over token tensors.
use crate::error::Result;
use candle_core::{DType, Device, Tensor};

/// Most scores held at a time (f32: 256 MiB).
const SCORES: usize = 1 << 26;

/// softmax(q·kᵀ/√d + mask)·v with `heads` heads.
///
/// `q` is `[batch, tokens, heads·d]`, `k` and `v` `[batch, context, heads·d]`, `mask` an additive f32
/// `[tokens, context]`; the result has the shape of `q`. Scores and softmax are f32.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, heads: usize, mask: Option<&Tensor>) -> Result<Tensor> {
    let (b, s, c) = q.dims3()?;
    let d = c / heads;
    let split = |t: &Tensor| -> Result<Tensor> {
        let n = t.dim(1)?;
        Ok(t.reshape((b, n, heads, d))?.transpose(1, 2)?.contiguous()?.to_dtype(DType::F32)?)
    };
    let (k, v) = (split(k)?, split(v)?);
    let (q_heads, k) = ((split(q)? * (1.0 / (d as f64).sqrt()))?, k.t()?);
    // rows of queries are independent: large images are done in slices to bound the score matrix
    let rows = (SCORES / (b * heads * k.dim(3)?).max(1)).clamp(1, s);
    let mut slices = Vec::with_capacity(s.div_ceil(rows));
    for start in (0..s).step_by(rows) {
        let n = rows.min(s - start);
        let scores = q_heads.narrow(2, start, n)?.matmul(&k)?;
        let scores = match mask {
            Some(m) => scores.broadcast_add(&m.narrow(0, start, n)?)?,
            None => scores,
        };
        slices.push(candle_nn::ops::softmax_last_dim(&scores)?.matmul(&v)?);
    }
    let y = if slices.len() == 1 { slices.remove(0) } else { Tensor::cat(&slices, 2)? };
    Ok(y.to_dtype(q.dtype())?.transpose(1, 2)?.reshape((b, s, c))?)
}

/// The additive mask that hides the future: `[n, n]`, 0 on and below the diagonal, −∞ above.
pub fn causal_mask(n: usize, device: &Device) -> Result<Tensor> {
    let values: Vec<f32> = (0..n * n).map(|i| if i % n > i / n { f32::NEG_INFINITY } else { 0.0 }).collect();
    Ok(Tensor::from_vec(values, (n, n), device)?)
}
