//! How much of one checkpoint is found in another; [`super::find_repeats`] judges by it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::checkpoint::Fingerprint;
use super::sketch::Line;
use super::tensor::TensorSketch;

/// Share of differing signs below which two tensors count as the same. Calibrated on the tiny SDXL:
/// noise of 1% of each tensor's deviation flips .0027 of the signs, f16 and int8 storage below .001;
/// the student distilled from the teacher (a real fine-tune, weights moved by 3%) flips .0118. The
/// threshold is their geometric middle.
pub const COPY_FLIP_RATE: f64 = 0.0056;

/// Share of a tensor's kept lines that must reappear in its partner.
const LEAST_FOUND: f64 = 0.4;

/// One tensor and where it was found again.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TensorMatch {
    /// Its name.
    pub tensor: String,
    /// Weights in it.
    pub elements: u64,
    /// Name of the tensor it equals most; `None`: of none.
    pub partner: Option<String>,
    /// Share of signs that differ from the partner's.
    pub flip_rate: Option<f64>,
}

impl TensorMatch {
    /// Whether the tensor is the partner's, up to what a copy would change.
    pub fn is_copy(&self) -> bool {
        self.flip_rate.is_some_and(|r| r < COPY_FLIP_RATE)
    }
}

/// How much of a checkpoint is found in another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Similarity {
    /// Every tensor large enough to be told apart, by name.
    pub tensors: Vec<TensorMatch>,
}

impl Similarity {
    /// Share of weights that lie in tensors found again within [`COPY_FLIP_RATE`]; `None` without weights.
    pub fn copied_share(&self) -> Option<f64> {
        let sum = |keep: &dyn Fn(&&TensorMatch) -> bool| -> u64 {
            self.tensors.iter().filter(keep).map(|t| t.elements).sum()
        };
        let all = sum(&|_| true);
        (all > 0).then(|| sum(&|t| t.is_copy()) as f64 / all as f64)
    }
}

/// Looks for every tensor of `of` among those of `among`.
pub fn compare(of: &Fingerprint, among: &Fingerprint) -> Similarity {
    let mut index: BTreeMap<u32, Vec<(usize, &Line)>> = BTreeMap::new();
    for (i, tensor) in among.tensors.iter().enumerate() {
        for line in tensor.lines.iter().flatten() {
            index.entry(line.key).or_default().push((i, line));
        }
    }
    let find = |tensor: &TensorSketch| {
        let best =
            tensor.lines.iter().filter_map(|lines| partner(lines, &index)).min_by(|a, b| a.1.total_cmp(&b.1));
        TensorMatch {
            tensor: tensor.name.clone(),
            elements: tensor.elements,
            partner: best.map(|(i, _)| among.tensors[i].name.clone()),
            flip_rate: best.map(|(_, rate)| rate),
        }
    };
    Similarity { tensors: of.tensors.iter().map(find).collect() }
}

/// The tensor in which most of `lines` reappear, and the share of signs that differ.
fn partner(lines: &[Line], index: &BTreeMap<u32, Vec<(usize, &Line)>>) -> Option<(usize, f64)> {
    if lines.is_empty() {
        return None;
    }
    let mut votes: BTreeMap<usize, (u32, u32, u32)> = BTreeMap::new();
    for line in lines {
        for (tensor, other) in index.get(&line.key).into_iter().flatten() {
            let (differing, compared) = line.distance(other);
            // Unrelated lines differ in half of their signs.
            if compared >= 32 && differing * 4 < compared {
                let vote = votes.entry(*tensor).or_default();
                *vote = (vote.0 + 1, vote.1 + differing, vote.2 + compared);
            }
        }
    }
    let (tensor, (found, differing, compared)) =
        votes.into_iter().max_by_key(|(tensor, (found, ..))| (*found, std::cmp::Reverse(*tensor)))?;
    let enough = f64::from(found) >= LEAST_FOUND * lines.len() as f64;
    enough.then(|| (tensor, f64::from(differing) / f64::from(compared)))
}
