//! The engine against diffusers and against damaged files. One binary, so that its tests run side by side.

mod common;
mod copies;

#[cfg(feature = "cuda")]
mod cuda;
mod gguf;
mod golden;
mod llama;
mod llama_golden;
mod reference;
mod refusals;
mod replaced;
mod schedules;
mod transformers;
