//! SSIM with the 7×7 uniform window, as scikit-image's `structural_similarity` computes it with its
//! defaults: K1 .01, K2 .03, sample covariance, data range 255, borders of three pixels cropped.
//!
//! All window sums are exact integers kept in running column sums, so the only rounding is in the
//! last quotient and in the mean. With S the sums over a window of N = 49 pixels, the quotient
//! `(2 µxµy + C1)(2 σxy + C2) / ((µx² + µy² + C1)(σx² + σy² + C2))` is multiplied through by
//! N² and N(N−1).

use edgemaxx_picture::{Picture, Plane};
use rayon::prelude::*;

use super::same_size;
use super::simd::widest;
use crate::error::{QualityError, Result};

const WINDOW: usize = 7;
const N: i32 = (WINDOW * WINDOW) as i32;
const C1: f64 = (N * N) as f64 * (0.01 * 255.0) * (0.01 * 255.0);
const C2: f64 = (N * (N - 1)) as f64 * (0.03 * 255.0) * (0.03 * 255.0);
/// Output rows a band; fixed, so that the order of additions never depends on the thread count.
const BAND: usize = 64;
const LANES: usize = 8;

/// SSIM of the grey pictures, −1 to 1.
/// Equals `structural_similarity(gray_a, gray_b)` of scikit-image.
///
/// # Errors
/// When the sizes differ or a side is below 7 pixels.
pub fn ssim_gray(a: &Picture, b: &Picture) -> Result<f64> {
    same_size(a, b)?;
    check_window(a)?;
    Ok(ssim_plane(&a.grey(), &b.grey()))
}

fn check_window(p: &Picture) -> Result<()> {
    if p.width().min(p.height()) < WINDOW as u32 {
        return Err(QualityError::TooSmall {
            metric: "SSIM",
            needed: WINDOW as u32,
            width: p.width(),
            height: p.height(),
        });
    }
    Ok(())
}

/// Mean SSIM of two planes of equal size, at least 7×7.
fn ssim_plane(a: &Plane, b: &Plane) -> f64 {
    let rows = a.height() + 1 - WINDOW;
    let columns = a.width() + 1 - WINDOW;
    let bands: Vec<f64> = (0..rows.div_ceil(BAND))
        .into_par_iter()
        .map(|i| band(a, b, i * BAND, rows.min((i + 1) * BAND)))
        .collect();
    bands.iter().sum::<f64>() / (rows as f64 * columns as f64)
}

/// Running sums over seven rows, one of each kind a column.
struct Columns {
    x: Vec<i32>,
    y: Vec<i32>,
    squares: Vec<i32>,
    products: Vec<i32>,
}

/// Sum of the SSIM map over output rows `from..to`.
fn band(a: &Plane, b: &Plane, from: usize, to: usize) -> f64 {
    let zeros = || vec![0; a.width()];
    let mut c = Columns { x: zeros(), y: zeros(), squares: zeros(), products: zeros() };
    let rows = |y| [a.row(y), b.row(y)];
    let zeros = vec![0; a.width()];
    let none = [zeros.as_slice(); 2];
    for y in from..from + WINDOW - 1 {
        slide(&mut c, rows(y), none);
    }
    let mut total = 0.0;
    for y in from..to {
        slide(&mut c, rows(y + WINDOW - 1), if y == from { none } else { rows(y - 1) });
        total += row_sum(&c);
    }
    total
}

widest! {
    /// Adds the two pictures' rows `new` and subtracts their rows `old`.
    fn slide(c: &mut Columns, new: [&[u8]; 2], old: [&[u8]; 2]) = slide_body
}
widest! { fn row_sum(c: &Columns) -> f64 = row_sum_body }

#[inline(always)]
fn slide_body(c: &mut Columns, [a, b]: [&[u8]; 2], [old_a, old_b]: [&[u8]; 2]) {
    let n = a.len();
    let (b, old_a, old_b) = (&b[..n], &old_a[..n], &old_b[..n]);
    let (x, y) = (&mut c.x[..n], &mut c.y[..n]);
    let (squares, products) = (&mut c.squares[..n], &mut c.products[..n]);
    for i in 0..n {
        let (p, q) = (i32::from(a[i]), i32::from(b[i]));
        let (r, s) = (i32::from(old_a[i]), i32::from(old_b[i]));
        x[i] += p - r;
        y[i] += q - s;
        squares[i] += (p * p + q * q) - (r * r + s * s);
        products[i] += p * q - r * s;
    }
}

/// Sum of the SSIM map over one output row; eight partial sums, joined in a fixed order.
#[inline(always)]
fn row_sum_body(c: &Columns) -> f64 {
    let count = c.x.len() + 1 - WINDOW;
    let mut sums = [0.0; LANES];
    let mut at = 0;
    while at + LANES <= count {
        let values = eight(c, at);
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += value;
        }
        at += LANES;
    }
    let [a, b, c0, d, e, f, g, h] = sums;
    let mut total = ((a + b) + (c0 + d)) + ((e + f) + (g + h));
    for i in at..count {
        let s = |v: &[i32]| v[i..i + WINDOW].iter().sum::<i32>();
        total += quotient(s(&c.x), s(&c.y), s(&c.squares), s(&c.products));
    }
    total
}

#[inline(always)]
fn eight(c: &Columns, at: usize) -> [f64; LANES] {
    let x = windows(&c.x, at);
    let y = windows(&c.y, at);
    let squares = windows(&c.squares, at);
    let products = windows(&c.products, at);
    let mut out = [0.0; LANES];
    for i in 0..LANES {
        out[i] = quotient(x[i], y[i], squares[i], products[i]);
    }
    out
}

#[inline(always)]
fn windows(sums: &[i32], at: usize) -> [i32; LANES] {
    let v = &sums[at..at + LANES + WINDOW - 1];
    let mut out = [0; LANES];
    for k in 0..WINDOW {
        for i in 0..LANES {
            out[i] += v[i + k];
        }
    }
    out
}

/// SSIM of one window from its integer sums; every integer stays below 2^30.
#[inline(always)]
fn quotient(x: i32, y: i32, squares: i32, products: i32) -> f64 {
    let cross = x * y;
    let own = x * x + y * y;
    let above = (f64::from(2 * cross) + C1) * (f64::from(2 * (N * products - cross)) + C2);
    let below = (f64::from(own) + C1) * (f64::from(N * squares - own) + C2);
    above / below
}
