//! Copies of checkpoints, told by fingerprints of their tensors.
//!
//! A fingerprint keeps the signs of weights along sampled rows and columns. Signs survive renaming,
//! resharding, other number formats, scaling of channels that is compensated elsewhere, and nearly
//! all survive small noise; rows and columns are chosen by what they contain, so permuting attention
//! heads or hidden channels changes nothing.

mod checkpoint;
mod compare;
mod find;
mod sequence;
mod sketch;
mod tensor;

pub use checkpoint::{CopiesError, Fingerprint};
pub use compare::{COPY_FLIP_RATE, Similarity, TensorMatch, compare};
pub use find::{CopyFound, Entry, find_copies, find_repeats};
