//! Scaled dot-product attention over token tensors.
use crate::cpu::Attend;
use crate::cuda::{Columns, Cuda};
use crate::error::Result;
use crate::weights::Weights;
use candle_core::{DType, Device, Tensor};

/// Most scores held at a time (f32: 256 MiB).
const SCORES: usize = 1 << 26;

/// Multi-headed attention, without the projections around it.
#[derive(Debug, Clone)]
pub struct Heads {
    count: usize,
    fused: bool,
    cuda: Option<Cuda>,
}

impl Heads {
    /// Attention with `count` heads on the device of `w`.
    pub fn new(w: &Weights, count: usize) -> Self {
        Self { count, fused: w.fused(), cuda: w.cuda().cloned() }
    }

    /// softmax(q·kᵀ/√d)·v; where `causal`, token i sees only the first i + 1 of the context.
    ///
    /// `q` is `[batch, tokens, heads·d]`, `k` and `v` `[batch, context, heads·d]`; the result has the shape of `q`.
    /// Scores and softmax are f32.
    pub fn attend(&self, q: &Tensor, k: &Tensor, v: &Tensor, causal: bool) -> Result<Tensor> {
        if self.fused {
            return Ok(q.apply_op3_no_bwd(k, v, &Attend { heads: self.count, causal })?);
        }
        let (b, s, c) = q.dims3()?;
        let (heads, d) = (self.count, c / self.count);
        if let Some(cuda) = self.cuda.as_ref().filter(|cuda| cuda.attends(heads, d, q.dtype())) {
            return Ok(cuda.attend(Columns::all(q), Columns::all(k), Columns::all(v), (heads, d), causal)?);
        }
        let split = |t: &Tensor| -> Result<Tensor> {
            let n = t.dim(1)?;
            Ok(t.reshape((b, n, heads, d))?.transpose(1, 2)?.contiguous()?.to_dtype(DType::F32)?)
        };
        let (k, v) = (split(k)?.t()?, split(v)?);
        let q_heads = (split(q)? * (1.0 / (d as f64).sqrt()))?;
        let mask = if causal { Some(causal_mask(s, k.dim(3)?, q.device())?) } else { None };
        // rows of queries are independent: large images are done in slices to bound the score matrix
        let rows = (SCORES / (b * heads * k.dim(3)?).max(1)).clamp(1, s);
        let mut slices = Vec::with_capacity(s.div_ceil(rows));
        for start in (0..s).step_by(rows) {
            let n = rows.min(s - start);
            let scores = q_heads.narrow(2, start, n)?.matmul(&k)?;
            let scores = match &mask {
                Some(m) => scores.broadcast_add(&m.narrow(0, start, n)?)?,
                None => scores,
            };
            slices.push(candle_nn::ops::softmax_last_dim(&scores)?.matmul(&v)?);
        }
        let y = if slices.len() == 1 { slices.remove(0) } else { Tensor::cat(&slices, 2)? };
        Ok(y.to_dtype(q.dtype())?.transpose(1, 2)?.reshape((b, s, c))?)
    }

    /// As [`Self::attend`], where queries, keys and values, `width` columns each, may lie side by side in one tensor.
    pub(crate) fn attend_columns(&self, q: Columns, k: Columns, v: Columns, width: usize) -> Result<Tensor> {
        let d = width / self.count;
        if let Some(cuda) = self.cuda.as_ref().filter(|cuda| cuda.attends(self.count, d, q.of.dtype())) {
            return Ok(cuda.attend(q, k, v, (self.count, d), false)?);
        }
        let part = |c: Columns| c.of.narrow(2, c.start, width)?.contiguous();
        self.attend(&part(q)?, &part(k)?, &part(v)?, false)
    }
}

/// The additive mask that hides the future: `[tokens, context]`, 0 on and below the diagonal, −∞ above.
fn causal_mask(tokens: usize, context: usize, device: &Device) -> Result<Tensor> {
    let hidden = |i: usize| if i % context > i / context { f32::NEG_INFINITY } else { 0.0 };
    Ok(Tensor::from_vec((0..tokens * context).map(hidden).collect(), (tokens, context), device)?)
}
