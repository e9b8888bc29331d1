//! Messages to bytes.

use serde::Serialize;

use crate::error::ProtocolError;
use crate::frame::{Kind, MAGIC, PREAMBLE_BYTES, PREFIX_BYTES, VERSION};
use crate::message::{GenerateHeader, Image, ImageHeader, Message, check, check_image};

/// What either side sends before its first frame.
pub fn preamble() -> [u8; PREAMBLE_BYTES] {
    let mut bytes = [0; PREAMBLE_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..10].copy_from_slice(&VERSION.major.to_le_bytes());
    bytes[10..].copy_from_slice(&VERSION.minor.to_le_bytes());
    bytes
}

/// The frame of a picture up to its payload, and the payload: to be sent one after the other, so
/// that the picture need not be copied.
///
/// # Errors
/// See [`encode`].
pub fn encode_image(image: &Image) -> Result<(Vec<u8>, &[u8]), ProtocolError> {
    check_image(image)?;
    let head = frame(Kind::Image, &image_header(image), &image.bytes, |_, _| ())?;
    Ok((head, &image.bytes))
}

fn image_header(image: &Image) -> ImageHeader {
    ImageHeader {
        id: image.id,
        width: image.width,
        height: image.height,
        encoding: image.encoding,
        engine_ns: image.engine_ns,
    }
}

/// The frame of a message.
///
/// # Errors
/// [`ProtocolError`] for a message that the peer would refuse.
pub fn encode(message: &Message) -> Result<Vec<u8>, ProtocolError> {
    check(message)?;
    let kind = message.kind();
    match message {
        Message::Hello(header) => frame(kind, header, &[], copy),
        Message::Load(header) => frame(kind, header, &[], copy),
        Message::Heartbeat(header) => frame(kind, header, &[], copy),
        Message::Ready(header) => frame(kind, header, &[], copy),
        Message::Error(header) => frame(kind, header, &[], copy),
        Message::Bye(header) => frame(kind, header, &[], copy),
        Message::Generate(request) => {
            let header = GenerateHeader {
                id: request.id,
                prompt: request.prompt.as_str().into(),
                negative_prompt: request.negative_prompt.as_str().into(),
                seed: request.seed,
                steps: request.steps,
                guidance_scale: request.guidance_scale,
                width: request.width,
                height: request.height,
                latents: request.shape,
            };
            frame(kind, &header, &request.latents, |frame, latents| {
                frame.reserve_exact(size_of_val(latents));
                frame.extend(latents.iter().flat_map(|value| value.to_le_bytes()));
            })
        }
        Message::Image(image) => frame(kind, &image_header(image), &image.bytes, copy),
    }
}

fn copy(frame: &mut Vec<u8>, payload: &[u8]) {
    frame.reserve_exact(payload.len());
    frame.extend_from_slice(payload);
}

fn frame<T>(
    kind: Kind,
    header: &impl Serialize,
    payload: &[T],
    append: impl FnOnce(&mut Vec<u8>, &[T]),
) -> Result<Vec<u8>, ProtocolError> {
    let header = serde_json::to_vec(header)
        .map_err(|problem| ProtocolError::Header { kind, problem: problem.to_string() })?;
    let too_long = |part, found, max| ProtocolError::TooLong { kind, part, found: found as u64, max };
    if header.len() > kind.max_header() {
        return Err(too_long("header", header.len(), kind.max_header()));
    }
    let payload_bytes = size_of_val(payload);
    let max = u32::MAX as usize - (PREFIX_BYTES - 4) - header.len();
    if payload_bytes > max {
        return Err(too_long("payload", payload_bytes, max));
    }
    let length = PREFIX_BYTES - 4 + header.len() + payload_bytes;
    let mut frame = Vec::new();
    frame.extend_from_slice(&(length as u32).to_le_bytes());
    frame.push(kind as u8);
    frame.extend_from_slice(&(header.len() as u32).to_le_bytes());
    frame.extend_from_slice(&header);
    append(&mut frame, payload);
    Ok(frame)
}
