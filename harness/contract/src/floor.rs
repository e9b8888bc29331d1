//! The least time that an answer takes: what any engine must compute and read for it, over what a device can do.
//!
//! It is a lower bound. Work that an engine could keep from one answer to the next is left out of it, memory is read no
//! oftener than what does not fit into the cache, and what can be done at once is done at once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::dtype::Dtype;

/// What any engine must do for an answer with a checkpoint, by its tensors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Work {
    /// The number format that the pipeline says it computes in.
    pub dtype: Dtype,
    /// Parts, one after the other.
    pub parts: Vec<Part>,
}

/// A part of an answer's work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// What it is, for people.
    pub name: String,
    /// How often it is done for an answer, one time after the other.
    pub passes: Passes,
    /// Operations on numbers in a pass: a product and its sum are two.
    pub flops: u64,
    /// Of them, those of convolutions by 3×3, which have forms with fewer products.
    pub conv_flops: u64,
    /// Bytes of weights that a pass reads, as the pipeline says it keeps them.
    pub bytes: u64,
    /// Passes that may share one reading of the weights, as the pipeline says.
    pub at_once: u32,
}

/// How often a part is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Passes {
    /// So often for each answer.
    Each(u32),
    /// For each unit of an answer but the first.
    FurtherUnits,
}

/// What a device can do at most, as measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Peaks {
    /// Operations per second in products of matrices, by number format: the fastest of many short ones.
    pub flops: BTreeMap<Dtype, u64>,
    /// Bytes per second that are read and written while memory is copied: the fastest of many copies.
    pub bytes: u64,
    /// Bytes that stay near the processor from one pass to the next, at most.
    pub cache_bytes: u64,
    /// By how much the narrowest format that such a device has may be faster than the fastest that was measured.
    pub narrower: u32,
}

/// Of the products of a 3×3 convolution, one in so many is needed where it is done by tiles of 4×4 (Winograd's
/// F(4×4, 3×3): 36 products instead of 144).
const FEWEST_PRODUCTS: f64 = 4.0;

/// The floor of one answer, nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Floor {
    /// At the precision that the pipeline says it uses.
    pub declared_ns: f64,
    /// At the lowest precision that the device may have, with every trick that leaves the answer what it is.
    pub lowest_ns: f64,
}

impl Work {
    /// The floor of an answer of so many units; `None`: the format was not measured.
    pub fn floor(&self, peaks: &Peaks, units: u32) -> Option<Floor> {
        let speed = *peaks.flops.get(&self.dtype)? as f64;
        let fastest = *peaks.flops.values().max()? as f64 * f64::from(peaks.narrower.max(1));
        let (mut declared, mut lowest) = (0.0, 0.0);
        for part in &self.parts {
            let passes = match part.passes {
                Passes::Each(passes) => f64::from(passes),
                Passes::FurtherUnits => f64::from(units.saturating_sub(1)),
            };
            let computed = part.flops as f64 / speed;
            let read = part.bytes.saturating_sub(peaks.cache_bytes) as f64 / peaks.bytes.max(1) as f64;
            declared += passes * f64::max(computed, read / f64::from(part.at_once.max(1)));
            let spared = part.conv_flops as f64 * (1.0 - 1.0 / FEWEST_PRODUCTS);
            lowest += passes * (part.flops as f64 - spared).max(0.0) / fastest;
        }
        Some(Floor { declared_ns: declared * 1e9, lowest_ns: lowest * 1e9 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(passes: Passes, flops: u64, bytes: u64) -> Part {
        Part { name: "a part".to_owned(), passes, flops, conv_flops: 0, bytes, at_once: 1 }
    }

    fn peaks() -> Peaks {
        let flops = [(Dtype::F32, 1_000_000), (Dtype::F16, 2_000_000)].into();
        Peaks { flops, bytes: 1_000, cache_bytes: 50, narrower: 4 }
    }

    #[test]
    fn the_slower_of_computing_and_reading_counts_for_each_part() {
        let parts = vec![part(Passes::Each(2), 1_000_000, 0), part(Passes::Each(1), 0, 1_050)];
        let work = Work { dtype: Dtype::F32, parts };
        let floor = work.floor(&peaks(), 1).unwrap();
        assert!((floor.declared_ns - 3e9).abs() < 1.0, "{floor:?}");
        // four times as fast as f16, and whatever is read is read at once
        assert!((floor.lowest_ns - 0.25e9).abs() < 1.0, "{floor:?}");
        assert_eq!(Work { dtype: Dtype::Bf16, ..work }.floor(&peaks(), 1), None);
    }

    #[test]
    fn what_fits_into_the_cache_is_not_read_again() {
        let work = Work { dtype: Dtype::F32, parts: vec![part(Passes::Each(100), 0, 50)] };
        assert_eq!(work.floor(&peaks(), 1).unwrap().declared_ns, 0.0);
    }

    #[test]
    fn units_count_but_the_first() {
        let guessing = Part { at_once: 4, ..part(Passes::FurtherUnits, 1_000_000, 4_050) };
        let work = Work { dtype: Dtype::F32, parts: vec![guessing] };
        assert_eq!(work.floor(&peaks(), 0).unwrap().declared_ns, 0.0);
        assert_eq!(work.floor(&peaks(), 1).unwrap().declared_ns, 0.0);
        assert!((work.floor(&peaks(), 5).unwrap().declared_ns - 4e9).abs() < 1.0);
    }

    #[test]
    fn convolutions_have_forms_with_fewer_products() {
        let conv = Part { conv_flops: 8_000_000, ..part(Passes::Each(1), 8_000_000, 0) };
        let floor = Work { dtype: Dtype::F32, parts: vec![conv] }.floor(&peaks(), 1).unwrap();
        assert!((floor.declared_ns - 8e9).abs() < 1.0);
        assert!((floor.lowest_ns - 0.25e9).abs() < 1.0);
    }
}
