//! Decoding a picture tile by tile, which takes the memory of one tile.
use super::Vae;
use crate::error::Result;
use candle_core::{Device, Tensor};

/// Side of a tile, in latents.
const TILE: usize = 64;
/// Latents that neighbours share, and in which one fades into the other.
const SHARED: usize = 16;

impl Vae {
    /// As [`Self::decode`], in overlapping tiles of 64 × 64 latents that fade into one another over a quarter of their
    /// side, as diffusers' `AutoencoderKL.tiled_decode` does. Each tile is normalised by itself, so the picture is not
    /// quite that of [`Self::decode`].
    pub fn decode_tiled(&self, latents: &Tensor) -> Result<Tensor> {
        let (_, height, width, _) = latents.dims4()?;
        if height <= TILE && width <= TILE {
            return self.decode(latents);
        }
        let factor = self.config().factor();
        let (step, shared) = (TILE - SHARED, SHARED * factor);
        let crop = |x: &Tensor, axis: usize| x.narrow(axis, 0, x.dim(axis)?.min(step * factor));
        let mut above: Vec<Tensor> = Vec::new();
        let mut bands = Vec::new();
        for top in (0..height).step_by(step) {
            let band = latents.narrow(1, top, TILE.min(height - top))?;
            let mut tiles: Vec<Tensor> = Vec::new();
            for left in (0..width).step_by(step) {
                let tile = band.narrow(2, left, TILE.min(width - left))?.contiguous()?;
                let mut tile = self.decode(&tile)?;
                if let Some(upper) = above.get(tiles.len()) {
                    tile = fade(upper, &tile, 1, shared)?;
                }
                if let Some(before) = tiles.last() {
                    tile = fade(before, &tile, 2, shared)?;
                }
                tiles.push(tile);
            }
            let cropped =
                tiles.iter().map(|t| crop(&crop(t, 1)?, 2)).collect::<candle_core::Result<Vec<_>>>()?;
            bands.push(Tensor::cat(&cropped, 2)?);
            above = tiles;
        }
        Ok(Tensor::cat(&bands, 1)?)
    }
}

/// `after` whose beginning along `axis` fades in over the end of `before`: pixel i of n has the weight i/n.
fn fade(before: &Tensor, after: &Tensor, axis: usize, most: usize) -> Result<Tensor> {
    let (ends, size) = (before.dim(axis)?, after.dim(axis)?);
    let n = most.min(ends).min(size);
    let weights: Vec<f32> = (0..n).map(|i| i as f32 / n as f32).collect();
    let mut shape = [1; 4];
    shape[axis] = n;
    let on = |w: Vec<f32>| {
        Tensor::from_vec(w, &shape, &Device::Cpu)?.to_dtype(after.dtype())?.to_device(after.device())
    };
    let out =
        before.narrow(axis, ends - n, n)?.broadcast_mul(&on(weights.iter().map(|w| 1.0 - w).collect())?)?;
    let mixed = (out + after.narrow(axis, 0, n)?.broadcast_mul(&on(weights)?)?)?;
    if n == size {
        return Ok(mixed);
    }
    Ok(Tensor::cat(&[&mixed, &after.narrow(axis, n, size - n)?], axis)?)
}
