//! The task `text`: token ids in, token ids out, as a stream.
//!
//! Prompts are turned into token ids when a run is planned; engines never see text. What is asked of a prompt (how much
//! of it, how many new tokens) is drawn by its stratum.

mod ask;
mod definition;
mod length;
mod noise;
mod prefix;
mod request;
mod scores;
mod settings;

pub use ask::{Ask, AskedDecoding};
pub use definition::{TEXT, Text};
pub use length::Length;
pub use noise::{Noise, gumbel};
pub use request::{Decoding, Request, Stratum};
pub use scores::{LISTED, Scored, Scores};
pub use settings::{Settings, SettingsPatch, Weights};
