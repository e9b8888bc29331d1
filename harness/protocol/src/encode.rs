//! Messages to bytes.

use serde::Serialize;

use crate::depth::check_depth;
use crate::error::ProtocolError;
use crate::frame::{Kind, MAGIC, MAX_PAYLOAD, PREAMBLE_BYTES, PREFIX_BYTES, VERSION};
use crate::message::{Message, check};

/// What either side sends before its first frame.
pub fn preamble() -> [u8; PREAMBLE_BYTES] {
    let mut bytes = [0; PREAMBLE_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..10].copy_from_slice(&VERSION.major.to_le_bytes());
    bytes[10..].copy_from_slice(&VERSION.minor.to_le_bytes());
    bytes
}

/// The frame of a message.
///
/// # Errors
/// [`ProtocolError`] for a message that every peer would refuse.
pub fn encode(message: &Message) -> Result<Vec<u8>, ProtocolError> {
    let (mut frame, payload) = encode_head(message)?;
    frame.reserve_exact(payload.len());
    frame.extend_from_slice(payload);
    Ok(frame)
}

/// The frame of a message up to its payload, and the payload: to be sent one after the other, so
/// that the payload need not be copied.
///
/// # Errors
/// See [`encode`].
pub fn encode_head(message: &Message) -> Result<(Vec<u8>, &[u8]), ProtocolError> {
    check(message)?;
    let kind = message.kind();
    let payload = message.payload();
    let head = match message {
        Message::Hello(header) => head(kind, header, payload),
        Message::Load(header) => head(kind, header, payload),
        Message::Heartbeat(header) => head(kind, header, payload),
        Message::Ready(header) => head(kind, header, payload),
        Message::Generate(header) => head(kind, header, payload),
        Message::Part(header) => head(kind, header, payload),
        Message::Answer(header) => head(kind, header, payload),
        Message::Error(header) => head(kind, header, payload),
        Message::Bye(header) => head(kind, header, payload),
    };
    Ok((head?, payload))
}

fn head(kind: Kind, header: &impl Serialize, payload: &[u8]) -> Result<Vec<u8>, ProtocolError> {
    let header = serde_json::to_vec(header)
        .map_err(|problem| ProtocolError::Header { kind, problem: problem.to_string() })?;
    check_depth(kind, &header)?;
    let too_long = |part, found, max| ProtocolError::TooLong { kind, part, found: found as u64, max };
    if header.len() > kind.max_header() {
        return Err(too_long("header", header.len(), kind.max_header()));
    }
    if payload.len() > MAX_PAYLOAD {
        return Err(too_long("payload", payload.len(), MAX_PAYLOAD));
    }
    let length = PREFIX_BYTES - 4 + header.len() + payload.len();
    let mut head = Vec::with_capacity(PREFIX_BYTES + header.len());
    head.extend_from_slice(&(length as u32).to_le_bytes());
    head.push(kind as u8);
    head.extend_from_slice(&(header.len() as u32).to_le_bytes());
    head.extend_from_slice(&header);
    Ok(head)
}
