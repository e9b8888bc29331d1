//! Frames between the harness and an engine: bounded encode and decode, no I/O.
//!
//! The protocol is described for people in `harness/docs/PROTOCOL.md`. This crate depends on
//! nothing of ours, so that authors of engines may take it alone.

#![forbid(unsafe_code)]

mod decode;
mod depth;
mod encode;
mod error;
mod frame;
mod message;

pub use decode::Decoder;
pub use encode::{encode, encode_head, preamble};
pub use error::ProtocolError;
pub use frame::{
    AnswerLimits, Kind, Limits, MAGIC, MAX_DEPTH, MAX_ERROR_CHARS, MAX_NAME_CHARS, MAX_PARTS, MAX_PAYLOAD,
    PREAMBLE_BYTES, PREFIX_BYTES, Sender, VERSION, Version,
};
pub use message::{Answer, Bye, Generate, Heartbeat, Hello, Load, Message, Object, Part, Ready, Refusal};
