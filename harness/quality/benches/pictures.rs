//! Throughput of the pixel metrics and of CLIP; `scripts/bench-quality` runs the Python equivalents
//! beside it and quotes the ratios.

use std::path::PathBuf;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use edgemaxx_picture::Picture;
use edgemaxx_quality::picture::clip::ClipEmbedder;
use edgemaxx_quality::picture::{PerceptualHash, psnr, ssim_gray};
use rayon::prelude::*;

/// Smooth waves with noise, as `scripts/bench-quality` makes them in spirit: contents do not matter.
fn picture(side: u32, seed: u32) -> Picture {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut rgb = Vec::with_capacity((side * side * 3) as usize);
    for i in 0..side * side * 3 {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        rgb.push(((i / 3 % side + i / 3 / side) / 8 % 224 + state % 32) as u8);
    }
    Picture::from_rgb(side, side, rgb).expect("a picture of that size")
}

fn pairs(side: u32) -> Vec<(Picture, Picture)> {
    (0..8).map(|i| (picture(side, 2 * i), picture(side, 2 * i + 1))).collect()
}

fn hash_distance(a: &Picture, b: &Picture) -> u32 {
    PerceptualHash::of(a).distance(PerceptualHash::of(b))
}

fn metrics(c: &mut Criterion) {
    let pairs = pairs(1024);
    let mut group = c.benchmark_group("1024");
    group.sample_size(20).throughput(Throughput::Elements(pairs.len() as u64));
    group.bench_function("ssim", |b| {
        b.iter(|| pairs.par_iter().map(|(x, y)| ssim_gray(x, y).unwrap_or(0.0)).sum::<f64>());
    });
    group.bench_function("psnr", |b| {
        b.iter(|| pairs.par_iter().filter_map(|(x, y)| psnr(x, y).ok().flatten()).sum::<f64>());
    });
    group.bench_function("phash", |b| {
        b.iter(|| pairs.par_iter().map(|(x, y)| hash_distance(x, y)).sum::<u32>());
    });
    group.bench_function("all", |b| {
        let all = |(x, y): &(Picture, Picture)| {
            let psnr = psnr(x, y).ok().flatten().unwrap_or(0.0);
            ssim_gray(x, y).unwrap_or(0.0) + psnr + f64::from(hash_distance(x, y))
        };
        b.iter(|| pairs.par_iter().map(all).sum::<f64>());
    });
    group.finish();
}

/// Needs `EDGEMAXX_BENCH_CLIP=DIR`, e.g. the random ViT-B/32 that `scripts/bench-quality` writes.
fn clip(c: &mut Criterion) {
    let Some(dir) = std::env::var_os("EDGEMAXX_BENCH_CLIP").map(PathBuf::from) else { return };
    let clip = ClipEmbedder::load(&dir).expect("EDGEMAXX_BENCH_CLIP names a CLIP folder");
    let pictures: Vec<Picture> = (0..16).map(|i| picture(512, i)).collect();
    let mut group = c.benchmark_group("clip");
    group.sample_size(10).throughput(Throughput::Elements(pictures.len() as u64));
    group.bench_function("embed", |b| b.iter(|| clip.embed_pictures(&pictures).expect("embeddings")));
    group.finish();
}

criterion_group!(benches, metrics, clip);
criterion_main!(benches);
