//! The task `text`: its objects, its codec, and the engine's side of it.

mod codec;
mod objects;
mod probes;
mod serve;

pub use codec::{TEXT, TextCodec};
pub use objects::{Ask, Ids, Ready, ScoreAsk, Settings};
pub use serve::{Stream, Writer, loaded, serve, serve_over};
