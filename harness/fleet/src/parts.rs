//! Bytes through the server: published in parts, each signed for its place, and fetched as what they are called by.

use std::collections::VecDeque;
use std::future::IntoFuture as _;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use async_nats::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use edgemaxx_contract::digest::{Digest, DigestBuilder};
use edgemaxx_files::WholeFile;

use crate::connection::{Queue, Side};
use crate::content::{Content, PART_BYTES};
use crate::error::{FleetError, Result};
use crate::key::Key;
use crate::subject;

/// Parts that are on their way at once.
const IN_FLIGHT: usize = 16;

/// The header of a part: the Ed25519 signature, in Base64, of what [`placed`] gives.
const SIGNATURE: &str = "Edgemaxx-Signature";

/// What stands before what is signed of a part: no document begins so, and no challenge of a server, which is a text.
const PURPOSE: &[u8] = b"\xffedgemaxx-part\0";

/// What is signed of a part. A server lets others write here by way of replies: what its owner did not put here, at this
/// place of this content, is not its word.
fn placed(content: Content, number: u64, part: &[u8]) -> Vec<u8> {
    let Content { digest, bytes } = content;
    let place = format!("{digest} {bytes} {number} {}", Digest::of(part));
    [PURPOSE, place.as_bytes()].concat()
}

impl Queue {
    /// Publishes bytes: what they are called.
    ///
    /// # Errors
    /// The server does not take them.
    pub fn publish(&self, bytes: &[u8]) -> Result<Content> {
        let content = Content::of(bytes);
        self.publish_from(&mut &*bytes, content)?;
        Ok(content)
    }

    /// Publishes what `reader` gives.
    ///
    /// # Errors
    /// It cannot be read, is not that, or the server does not take it.
    pub fn publish_from(&self, reader: &mut dyn Read, content: Content) -> Result<()> {
        let own = self.key().name();
        let from = (self.side() == Side::Worker).then_some(own.as_str());
        let mut buffer = vec![0; PART_BYTES];
        let mut digest = DigestBuilder::default();
        let mut waiting = VecDeque::new();
        for number in 0..content.parts() {
            let filled = fill(reader, &mut buffer).map_err(|error| FleetError::Message(error.to_string()))?;
            let part = &buffer[..filled];
            digest.update(part);
            let (_, subject) = subject::part(from, &content.digest, number);
            let mut headers = HeaderMap::new();
            let signature = STANDARD.encode(self.key().sign(&placed(content, number, part))?);
            headers.insert(SIGNATURE, signature);
            let sent = self.js().publish_with_headers(subject, headers, Bytes::copy_from_slice(part));
            waiting.push_back(self.ask("publish", sent)?);
            if waiting.len() > IN_FLIGHT
                && let Some(first) = waiting.pop_front()
            {
                self.ask("publish", first.into_future())?;
            }
        }
        for ack in waiting {
            self.ask("publish", ack.into_future())?;
        }
        match digest.finish() {
            found if found == content.digest => Ok(()),
            found => Err(FleetError::Content { named: content.digest, found }),
        }
    }

    /// Bytes that `from` has published, the coordinator where it is `None`; never others than they are called by, and
    /// never more than they are said to be.
    ///
    /// # Errors
    /// The server does not hold them; or their owner has put others under their name.
    pub fn fetch(&self, from: Option<&str>, content: Content) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.fetch_to(from, content, &mut bytes)?;
        Ok(bytes)
    }

    /// The same into a file, which is there as a whole or not at all.
    ///
    /// # Errors
    /// As before, or the file cannot be written.
    pub fn fetch_file(&self, from: Option<&str>, content: Content, path: &Path) -> Result<()> {
        let mut file = WholeFile::create(path).map_err(FleetError::file(path))?;
        self.fetch_to(from, content, &mut file)?;
        file.finish().map_err(FleetError::file(path))
    }

    fn fetch_to(&self, from: Option<&str>, content: Content, out: &mut dyn Write) -> Result<()> {
        let mut digest = DigestBuilder::default();
        let absent = || FleetError::Absent(content.digest);
        for number in 0..content.parts() {
            let (stream, subject) = subject::part(from, &content.digest, number);
            let message = self.last(stream, subject)?.ok_or_else(absent)?;
            let part = &message.payload;
            // A worker is held to what it signed. Whatever else stands there is as if nothing did.
            if let Some(worker) = from {
                let signature = message.headers.get(SIGNATURE).map(|value| value.as_str());
                let signature = STANDARD.decode(signature.unwrap_or_default()).unwrap_or_default();
                if !Key::has_signed(worker, &placed(content, number, part), &signature) {
                    return Err(absent());
                }
            }
            if part.len() as u64 != content.bytes_of(number) {
                return Err(FleetError::Length { named: content.digest, bytes: content.bytes });
            }
            digest.update(part);
            out.write_all(part)
                .map_err(|source| FleetError::File { path: PathBuf::from("content"), source })?;
        }
        match digest.finish() {
            found if found == content.digest => Ok(()),
            found => Err(FleetError::Content { named: content.digest, found }),
        }
    }
}

/// Reads until the buffer is full, or there is no more: how much there was.
fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
