//! GGUF, the file format of llama.cpp: metadata, and tensors in llama.cpp's quantisations.
mod block;
mod file;
mod quantise;
mod value;

pub use block::TensorType;
pub(crate) use file::check_header;
pub use file::{Gguf, TensorInfo};
pub(crate) use quantise::{quantised, round, rounds};
pub use value::Value;
