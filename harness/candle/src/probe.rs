//! What a device can do at most: the fastest of many short products and copies. Short ones, so that some of them are
//! disturbed by nothing, however busy the machine is.
use crate::cpu::{Finish, Packed, Product, Source};
use crate::error::Result;
use crate::threads;
use candle_core::{DType, Device, Tensor};
use edgemaxx_contract::dtype::Dtype;
use edgemaxx_contract::floor::Peaks;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Side of the matrices that are multiplied on a processor: they fit into its caches, and take about a millisecond.
const SIDE: usize = 384;
/// The same on a card, which must be filled, and which takes time of its own for the result's memory.
const CARD_SIDE: usize = 8192;
/// Bytes that are copied: more than caches hold.
const COPY: usize = 1 << 26;
/// A processor's narrowest format over what is measured of single precision: VNNI multiplies bytes four times as fast,
/// and our own products may reach half of what the processor can.
const NARROWER: u32 = 8;
/// The same with AMX, which multiplies bytes 32 times as fast as AVX-512 does floats.
const NARROWER_BY_AMX: u32 = 64;
/// A card's over half precision: twice for 8 bits, twice for 4, twice where half of the weights are zero.
const CARD_NARROWER: u32 = 8;
/// What a card keeps near, bytes: more than the largest of today (H100: 50 MiB, RTX 5090: 96 MiB).
const CARD_CACHE: u64 = 128 << 20;

/// Measures what `device` can do with so many threads, in about `budget`.
///
/// # Errors
/// The device fails.
pub fn peaks(device: &Device, threads: usize, budget: Duration) -> Result<Peaks> {
    let formats: &[(Dtype, DType)] =
        &[(Dtype::F32, DType::F32), (Dtype::F16, DType::F16), (Dtype::Bf16, DType::BF16)];
    let mut flops = BTreeMap::new();
    if device.is_cpu() {
        // One thread is measured: several of a busy machine would wait for one another. All cannot be faster than so many.
        let one = single(|| product(SIDE, budget / 2))??;
        let speed = (one * threads as f64) as u64;
        // Halves are widened on the way in: what is multiplied is singles.
        flops.extend(formats.iter().map(|(format, _)| (*format, speed)));
        let bytes = (copy(budget / 2) * threads as f64) as u64;
        return Ok(Peaks { flops, bytes, cache_bytes: cache_bytes(), narrower: narrower() });
    }
    for (format, dtype) in formats {
        flops.insert(*format, card_product(device, *dtype, budget / 4)? as u64);
    }
    let bytes = card_copy(device, budget / 4)? as u64;
    Ok(Peaks { flops, bytes, cache_bytes: CARD_CACHE, narrower: CARD_NARROWER })
}

/// Runs `work` where one thread computes.
fn single<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T> {
    Ok(threads::pool(Some(1))?.install(work))
}

/// The shortest of what is done again and again for `budget`, at least thrice, seconds.
fn shortest(budget: Duration, mut once: impl FnMut() -> Result<()>) -> Result<f64> {
    let (began, mut best, mut count) = (Instant::now(), f64::INFINITY, 0);
    while count < 3 || began.elapsed() < budget {
        let start = Instant::now();
        once()?;
        best = best.min(start.elapsed().as_secs_f64());
        count += 1;
    }
    Ok(best.max(1e-9))
}

/// Operations per second of the built-in engine's own products.
fn product(side: usize, budget: Duration) -> Result<f64> {
    let values = vec![0.5f32; side * side];
    let weights = Packed::new(side, Source { values: &values, down: 1, across: side }, &vec![0.0; side]);
    let left = Tensor::full(0.5f32, (side, side), &Device::Cpu)?;
    let seconds = shortest(budget, || {
        left.apply_op1_no_bwd(&Product { w: &weights, finish: Finish::None })?;
        Ok(())
    })?;
    Ok(2.0 * (side as f64).powi(3) / seconds)
}

/// Bytes per second that are read and written by copying.
fn copy(budget: Duration) -> f64 {
    let from = vec![1u8; COPY];
    let mut to = vec![0u8; COPY];
    let seconds = shortest(budget, || {
        to.copy_from_slice(std::hint::black_box(&from));
        std::hint::black_box(&mut to);
        Ok(())
    });
    2.0 * COPY as f64 / seconds.unwrap_or(f64::INFINITY)
}

fn card_product(device: &Device, dtype: DType, budget: Duration) -> Result<f64> {
    let matrix = Tensor::full(0.5f32, (CARD_SIDE, CARD_SIDE), device)?.to_dtype(dtype)?;
    let seconds = shortest(budget, || {
        matrix.matmul(&matrix)?;
        Ok(device.synchronize()?)
    })?;
    Ok(2.0 * (CARD_SIDE as f64).powi(3) / seconds)
}

/// As on a processor; into memory that is there, since getting it takes longer than copying.
#[cfg(feature = "cuda")]
fn card_copy(device: &Device, budget: Duration) -> Result<f64> {
    const CARD_COPY: usize = 1 << 29;
    let card = device.as_cuda_device()?;
    let (from, mut to) = (card.alloc_zeros::<u8>(CARD_COPY)?, card.alloc_zeros::<u8>(CARD_COPY)?);
    let seconds = shortest(budget, || {
        card.memcpy_dtod(&from, &mut to)?;
        Ok(device.synchronize()?)
    })?;
    Ok(2.0 * CARD_COPY as f64 / seconds)
}

#[cfg(not(feature = "cuda"))]
fn card_copy(_: &Device, _: Duration) -> Result<f64> {
    Err(crate::error::Error::Device("this program was built without support for cards".to_owned()))
}

/// By how much this processor's narrowest format may be faster.
fn narrower() -> u32 {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    if info.contains("amx_int8") { NARROWER_BY_AMX } else { NARROWER }
}

/// Bytes of the processor's largest cache, as the system says; where it does not, more than any has.
fn cache_bytes() -> u64 {
    let read = |index: u32| {
        let text =
            std::fs::read_to_string(format!("/sys/devices/system/cpu/cpu0/cache/index{index}/size")).ok()?;
        let text = text.trim();
        let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
        let unit = match unit {
            "K" => 1 << 10,
            "M" => 1 << 20,
            _ => 1,
        };
        Some(digits.parse::<u64>().ok()? * unit)
    };
    (0..5).filter_map(read).max().unwrap_or(1 << 30)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_processor_multiplies_and_copies() {
        let peaks = peaks(&Device::Cpu, 2, Duration::from_millis(20)).unwrap();
        assert_eq!(peaks.flops.len(), 3);
        assert!(peaks.flops[&Dtype::F32] > 10_000_000, "{peaks:?}");
        assert!(peaks.bytes > 1_000_000 && peaks.cache_bytes > 1 << 10, "{peaks:?}");
    }
}
