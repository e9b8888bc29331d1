//! candle-transformers' models of language, for the layouts that the engine of LLaMA's does not read: Qwen 2 and 3, Phi 3,
//! Gemma and Gemma 2, Mistral, and GGUF files of Qwen 2 and LLaMA.
//!
//! They compute one token at a time behind a prompt, with a cache that grows; what is known to go wrong in them is refused.
mod config;
mod family;
mod model;

pub use config::TransformersConfig;
pub use model::{Transformers, TransformersOptions};
