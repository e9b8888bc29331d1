//! Bytes to messages, incrementally and within bounds.

use std::num::NonZeroU32;

use serde::de::DeserializeOwned;

use crate::depth::check_depth;
use crate::error::ProtocolError;
use crate::frame::{Kind, Limits, MAGIC, PREAMBLE_BYTES, PREFIX_BYTES, VERSION, Version};
use crate::message::{Answer, Generate, Message, Part, check};

/// Reads one direction of a connection.
///
/// It holds one part of a frame at a time and allocates for it only after its announced length
/// was found within [`Limits`]. After an error the connection is out of step: the same error is
/// given again, whatever comes.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    place: Place,
    buffer: Vec<u8>,
    filled: usize,
    /// Parts since the last message of another kind, and their bytes.
    parts: u32,
    parts_bytes: u64,
    /// Memory for the next payload, see [`Self::prepare`].
    spare: Vec<u8>,
    failed: Option<ProtocolError>,
}

/// Below this, memory is at hand anyway.
const PAGE: usize = 4096;

/// What [`Decoder::buffer`] is being filled with.
#[derive(Debug)]
enum Place {
    Preamble,
    Prefix,
    Header { kind: Kind, payload: usize },
    Payload { kind: Kind, header: Vec<u8> },
}

impl Decoder {
    /// A decoder at the start of a connection.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            place: Place::Preamble,
            buffer: vec![0; PREAMBLE_BYTES],
            filled: 0,
            parts: 0,
            parts_bytes: 0,
            spare: Vec::new(),
            failed: None,
        }
    }

    /// From the next frame on, other limits hold.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        (self.parts, self.parts_bytes) = (0, 0);
    }

    /// Holds memory ready for a payload of `bytes`, or of the limits if they are lower, so that
    /// reading it need not wait for the system to find some.
    pub fn prepare(&mut self, bytes: usize) {
        let largest = Kind::ALL.map(|kind| self.limits.max_payload(kind)).into_iter().max();
        let bytes = bytes.min(largest.unwrap_or(0));
        if self.spare.len() < bytes {
            // Not zeroes, which the system would only promise.
            self.spare = vec![0xA5; bytes];
        }
    }

    /// Where the next bytes belong; never empty, and never reaching beyond the current frame.
    /// Read into it, then call [`Self::advance`].
    pub fn space(&mut self) -> &mut [u8] {
        &mut self.buffer[self.filled..]
    }

    /// Takes the first `count` bytes of [`Self::space`] as read; a message, if they end one.
    ///
    /// # Errors
    /// [`ProtocolError`]; the connection is then useless.
    pub fn advance(&mut self, count: usize) -> Result<Option<Message>, ProtocolError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.filled = self.filled.saturating_add(count).min(self.buffer.len());
        // An empty payload is complete as soon as its header is; hence the loop.
        while self.filled == self.buffer.len() {
            match self.complete() {
                Ok(None) => {}
                Ok(message) => return Ok(message),
                Err(error) => {
                    self.expect(Place::Prefix, PREFIX_BYTES);
                    self.failed = Some(error.clone());
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    /// Takes bytes from the front of `bytes` until a message is complete or none are left.
    ///
    /// # Errors
    /// See [`Self::advance`].
    pub fn push(&mut self, bytes: &mut &[u8]) -> Result<Option<Message>, ProtocolError> {
        while !bytes.is_empty() {
            let space = self.space();
            let count = space.len().min(bytes.len());
            let (now, later) = bytes.split_at(count);
            space[..count].copy_from_slice(now);
            *bytes = later;
            if let Some(message) = self.advance(count)? {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    /// Whether a frame (or the preamble) has begun and is not complete.
    pub fn is_inside_frame(&self) -> bool {
        self.filled > 0 || matches!(self.place, Place::Header { .. } | Place::Payload { .. })
    }

    /// Bytes held in memory.
    pub fn allocated(&self) -> usize {
        let header = match &self.place {
            Place::Payload { header, .. } => header.capacity(),
            _ => 0,
        };
        self.buffer.capacity() + header + self.spare.capacity()
    }

    fn expect(&mut self, place: Place, bytes: usize) -> Vec<u8> {
        self.place = place;
        self.filled = 0;
        let fits = bytes > PAGE && self.spare.len() >= bytes;
        let next = if fits { std::mem::take(&mut self.spare) } else { vec![0; bytes] };
        let full = std::mem::replace(&mut self.buffer, next);
        self.buffer.truncate(bytes);
        full
    }

    /// The current part is complete.
    fn complete(&mut self) -> Result<Option<Message>, ProtocolError> {
        match std::mem::replace(&mut self.place, Place::Prefix) {
            Place::Preamble => {
                let bytes = self.expect(Place::Prefix, PREFIX_BYTES);
                check_preamble(&bytes)?;
                Ok(None)
            }
            Place::Prefix => {
                let (kind, header, payload) = self.check_prefix()?;
                self.expect(Place::Header { kind, payload }, header);
                Ok(None)
            }
            Place::Header { kind, payload } => {
                let header = self.expect(Place::Prefix, payload);
                self.place = Place::Payload { kind, header };
                Ok(None)
            }
            Place::Payload { kind, header } => {
                let payload = self.expect(Place::Prefix, PREFIX_BYTES);
                let message = parse(kind, &header, payload)?;
                check(&message)?;
                if kind != Kind::Part {
                    (self.parts, self.parts_bytes) = (0, 0);
                }
                Ok(Some(message))
            }
        }
    }

    /// Kind and lengths of header and payload, within bounds.
    fn check_prefix(&mut self) -> Result<(Kind, usize, usize), ProtocolError> {
        let word = |at: usize| {
            u32::from_le_bytes([
                self.buffer[at],
                self.buffer[at + 1],
                self.buffer[at + 2],
                self.buffer[at + 3],
            ])
        };
        let (length, header) = (word(0), word(5));
        let kind = Kind::from_byte(self.buffer[4]).ok_or(ProtocolError::Kind(self.buffer[4]))?;
        if kind.sender() != self.limits.from {
            return Err(ProtocolError::Direction { kind, from: self.limits.from });
        }
        let payload = i64::from(length) - (PREFIX_BYTES as i64 - 4) - i64::from(header);
        let payload = u64::try_from(payload).map_err(|_| ProtocolError::Lengths { kind, length, header })?;
        let within = |part, found: u64, max: usize| match usize::try_from(found) {
            Ok(bytes) if bytes <= max => Ok(bytes),
            _ => Err(ProtocolError::TooLong { kind, part, found, max }),
        };
        if kind == Kind::Part {
            self.count_part(u64::from(header) + payload)?;
        }
        let header = within("header", u64::from(header), kind.max_header())?;
        let payload = within("payload", payload, self.limits.max_payload(kind))?;
        Ok((kind, header, payload))
    }

    /// Another part of so many bytes, header and payload.
    fn count_part(&mut self, bytes: u64) -> Result<(), ProtocolError> {
        let max = self.limits.max_parts();
        if self.parts >= max {
            return Err(ProtocolError::Parts { max: NonZeroU32::new(max) });
        }
        self.parts += 1;
        self.parts_bytes = self.parts_bytes.saturating_add(bytes);
        let max = self.limits.max_parts_bytes();
        if self.parts_bytes > max as u64 {
            return Err(ProtocolError::PartsTooLong { found: self.parts_bytes, max });
        }
        Ok(())
    }
}

fn check_preamble(bytes: &[u8]) -> Result<(), ProtocolError> {
    let (magic, version) = bytes.split_at(MAGIC.len());
    if magic != MAGIC {
        let mut found = [0; 8];
        found.copy_from_slice(magic);
        return Err(ProtocolError::Magic { found });
    }
    let found = Version {
        major: u16::from_le_bytes([version[0], version[1]]),
        minor: u16::from_le_bytes([version[2], version[3]]),
    };
    if found.major != VERSION.major {
        return Err(ProtocolError::Version { found, expected: VERSION });
    }
    Ok(())
}

fn parse(kind: Kind, header: &[u8], payload: Vec<u8>) -> Result<Message, ProtocolError> {
    fn json<T: DeserializeOwned>(kind: Kind, header: &[u8]) -> Result<T, ProtocolError> {
        serde_json::from_slice(header)
            .map_err(|problem| ProtocolError::Header { kind, problem: problem.to_string() })
    }
    check_depth(kind, header)?;
    Ok(match kind {
        Kind::Hello => Message::Hello(json(kind, header)?),
        Kind::Load => Message::Load(json(kind, header)?),
        Kind::Heartbeat => Message::Heartbeat(json(kind, header)?),
        Kind::Ready => Message::Ready(json(kind, header)?),
        Kind::Generate => Message::Generate(Generate { payload, ..json(kind, header)? }),
        Kind::Part => Message::Part(Part { payload, ..json(kind, header)? }),
        Kind::Answer => Message::Answer(Answer { payload, ..json(kind, header)? }),
        Kind::Error => Message::Error(json(kind, header)?),
        Kind::Bye => Message::Bye(json(kind, header)?),
    })
}
