//! The fused operations as candle's custom ops. Half-precision tensors are widened on the way in and rounded on the way
//! out; in between everything is f32.
use super::attention::{Sizes, attention};
use super::gemm::{Epilogue, Finish};
use super::norm::{group_norm, layer_norm};
use super::pack::Packed;
use super::rows::Geometry;
use super::share::{convolve, linear};
use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, bail};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use std::borrow::Cow;

/// The values of a contiguous tensor.
fn floats<'a>(s: &'a CpuStorage, l: &Layout) -> Result<Cow<'a, [f32]>> {
    let Some((from, to)) = l.contiguous_offsets() else { bail!("fused operations take contiguous tensors") };
    let mut wide = vec![];
    match s {
        CpuStorage::F32(v) => return Ok(Cow::Borrowed(&v[from..to])),
        CpuStorage::F16(v) => {
            wide.resize(to - from, 0f32);
            v[from..to].convert_to_f32_slice(&mut wide);
        }
        CpuStorage::BF16(v) => {
            wide.resize(to - from, 0f32);
            v[from..to].convert_to_f32_slice(&mut wide);
        }
        _ => bail!("fused operations take f32, f16 or bf16"),
    }
    Ok(Cow::Owned(wide))
}

/// Values as a tensor of the type that `like` has.
fn stored(values: Vec<f32>, like: &CpuStorage) -> CpuStorage {
    match like {
        CpuStorage::F16(_) => {
            let mut v = vec![f16::ZERO; values.len()];
            v.convert_from_f32_slice(&values);
            CpuStorage::F16(v)
        }
        CpuStorage::BF16(_) => {
            let mut v = vec![bf16::ZERO; values.len()];
            v.convert_from_f32_slice(&values);
            CpuStorage::BF16(v)
        }
        _ => CpuStorage::F32(values),
    }
}

/// `[…, depth]` times packed weights, finished; with a second tensor, plus that one.
pub(crate) struct Product<'a> {
    pub(crate) w: &'a Packed,
    pub(crate) finish: Finish,
}

impl Product<'_> {
    fn run(&self, x: &CpuStorage, l: &Layout, residual: Option<&[f32]>) -> Result<(CpuStorage, Shape)> {
        let mut dims = l.dims().to_vec();
        match dims.last_mut() {
            Some(last) if *last == self.w.depth() => *last = self.w.results(),
            _ => bail!("product: {:?} does not end in {}", l.dims(), self.w.depth()),
        }
        let e = Epilogue { shift: None, finish: self.finish, residual };
        Ok((stored(linear(&floats(x, l)?, self.w, &e), x), dims.into()))
    }
}

impl CustomOp1 for Product<'_> {
    fn name(&self) -> &'static str {
        "product"
    }
    fn cpu_fwd(&self, x: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        self.run(x, l, None)
    }
}

impl CustomOp2 for Product<'_> {
    fn name(&self) -> &'static str {
        "product-add"
    }
    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        l: &Layout,
        r: &CpuStorage,
        rl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.run(x, l, Some(&floats(r, rl)?))
    }
}

/// Convolution of `[images, h, w, channels]`, plus a shift per image and channel; with a second tensor, plus that one.
pub(crate) struct Convolve<'a> {
    pub(crate) w: &'a Packed,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) padding: usize,
    /// Size to enlarge to before the convolution.
    pub(crate) enlarged: Option<(usize, usize)>,
    /// `[images, results]`
    pub(crate) shift: Option<Vec<f32>>,
}

impl Convolve<'_> {
    fn run(&self, x: &CpuStorage, l: &Layout, residual: Option<&[f32]>) -> Result<(CpuStorage, Shape)> {
        let (images, height, width, channels) = l.shape().dims4()?;
        let enlarged = self.enlarged.unwrap_or((height, width));
        let (kernel, stride, padding) = (self.kernel, self.stride, self.padding);
        if kernel * kernel * channels != self.w.depth() {
            bail!("convolution: {channels} channels do not fit the weights");
        }
        if enlarged.0.min(enlarged.1) + 2 * padding < kernel {
            bail!("convolution: a window of {kernel} does not fit {} x {}", enlarged.1, enlarged.0);
        }
        let g = Geometry { images, height, width, channels, kernel, stride, padding, enlarged };
        let (h, w) = g.out();
        let shift = self.shift.as_ref().map(|s| (s.as_slice(), h * w));
        let e = Epilogue { shift, finish: Finish::None, residual };
        let y = convolve(&floats(x, l)?, g, self.w, &e);
        Ok((stored(y, x), (images, h, w, self.w.results()).into()))
    }
}

impl CustomOp1 for Convolve<'_> {
    fn name(&self) -> &'static str {
        "convolve"
    }
    fn cpu_fwd(&self, x: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        self.run(x, l, None)
    }
}

impl CustomOp2 for Convolve<'_> {
    fn name(&self) -> &'static str {
        "convolve-add"
    }
    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        l: &Layout,
        r: &CpuStorage,
        rl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.run(x, l, Some(&floats(r, rl)?))
    }
}

/// Group normalisation of `[images, h, w, channels]`.
pub(crate) struct GroupNormOp<'a> {
    pub(crate) weight: &'a [f32],
    pub(crate) bias: &'a [f32],
    pub(crate) groups: usize,
    pub(crate) eps: f64,
    pub(crate) silu: bool,
}

impl CustomOp1 for GroupNormOp<'_> {
    fn name(&self) -> &'static str {
        "group-norm"
    }
    fn cpu_fwd(&self, x: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let (images, _, _, c) = l.shape().dims4()?;
        if c != self.weight.len() {
            bail!("group norm: {c} channels do not fit the weights");
        }
        let y = group_norm(&floats(x, l)?, images, self.weight, self.bias, self.groups, self.eps, self.silu);
        Ok((stored(y, x), l.shape().clone()))
    }
}

/// Layer normalisation of `[…, channels]`.
pub(crate) struct LayerNormOp<'a> {
    pub(crate) weight: &'a [f32],
    pub(crate) bias: &'a [f32],
    pub(crate) eps: f64,
}

impl CustomOp1 for LayerNormOp<'_> {
    fn name(&self) -> &'static str {
        "layer-norm"
    }
    fn cpu_fwd(&self, x: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        if l.dims().last() != Some(&self.weight.len()) {
            bail!("layer norm: {:?} does not end in {}", l.dims(), self.weight.len());
        }
        let v = floats(x, l)?;
        let mut y = vec![0f32; v.len()];
        layer_norm(&v, self.weight, self.bias, self.eps, &mut y);
        Ok((stored(y, x), l.shape().clone()))
    }
}

/// Attention of queries, keys and values, `[batch, tokens, heads·width]` each.
pub(crate) struct Attend {
    pub(crate) heads: usize,
    pub(crate) causal: bool,
}

impl CustomOp3 for Attend {
    fn name(&self) -> &'static str {
        "attend"
    }
    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        ql: &Layout,
        k: &CpuStorage,
        kl: &Layout,
        v: &CpuStorage,
        vl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (batch, tokens, c) = ql.shape().dims3()?;
        let (kb, context, kc) = kl.shape().dims3()?;
        if (kb, kc) != (batch, c) || vl.dims() != kl.dims() || self.heads == 0 || c % self.heads != 0 {
            bail!("attention: {:?}, {:?} and {:?} do not fit", ql.dims(), kl.dims(), vl.dims());
        }
        let s =
            Sizes { batch, tokens, context, heads: self.heads, width: c / self.heads, causal: self.causal };
        let y = attention(&floats(q, ql)?, &floats(k, kl)?, &floats(v, vl)?, s);
        Ok((stored(y, q), ql.shape().clone()))
    }
}
