//! The harness's end of the socket: frames within deadlines, and the engine's output meanwhile.

use std::io::{self, PipeReader, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use edgemaxx_protocol::{AnswerLimits, Decoder, Limits, Message, ProtocolError};

use super::last_words::LastWords;

/// Frames of waiting (heartbeats) accepted for one answer.
pub(super) const MAX_HEARTBEATS: u32 = 100_000;

/// Why nothing came.
#[derive(Debug)]
pub(super) enum LinkError {
    /// Not in time.
    Timeout,
    /// The engine closed the socket, or is gone.
    Closed,
    /// Bytes that the protocol does not allow.
    Protocol(ProtocolError),
    /// Bytes that nobody asked for.
    Unasked,
    /// The wait was given up, see [`Link::receive`].
    Stopped(String),
}

/// A check made now and then while waiting; an error ends the wait.
pub(super) type Watch<'a> = &'a mut dyn FnMut() -> Result<(), String>;
/// How often the check is made.
const WATCH_EVERY: Duration = Duration::from_millis(250);

/// The socket and the output of one engine.
pub(super) struct Link {
    socket: UnixStream,
    output: Option<PipeReader>,
    last: LastWords,
    decoder: Decoder,
}

/// What to wait for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ready {
    Read,
    Write,
}

/// Waits until one of `files` is ready or the deadline passed; whether one is.
pub(super) fn wait<F: AsFd>(files: &[(F, Ready)], deadline: Instant) -> bool {
    let mut polled = [libc::pollfd { fd: -1, events: 0, revents: 0 }; 2];
    for (slot, (file, ready)) in polled.iter_mut().zip(files) {
        slot.fd = file.as_fd().as_raw_fd();
        slot.events = if *ready == Ready::Read { libc::POLLIN } else { libc::POLLOUT };
    }
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // Rounded up, so that the last fraction of a millisecond is not spent spinning.
        let ms = left.as_nanos().div_ceil(1_000_000).min(60_000) as libc::c_int;
        // SAFETY: a pointer to live entries; an entry with fd −1 is skipped.
        let count = unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, ms) };
        if count > 0 {
            return true;
        }
        let interrupted = count < 0 && io::Error::last_os_error().kind() != io::ErrorKind::Interrupted;
        if interrupted || Instant::now() >= deadline {
            return false;
        }
    }
}

impl Link {
    pub(super) fn new(socket: UnixStream, output: PipeReader) -> Self {
        set_nonblocking(&output);
        let decoder = Decoder::new(Limits::harness(AnswerLimits::default()));
        Self { socket, output: Some(output), last: LastWords::default(), decoder }
    }

    /// From now on an answer within these limits is accepted; memory for it is held ready.
    pub(super) fn expect_answer(&mut self, limits: AnswerLimits) {
        self.decoder.set_limits(Limits::harness(limits));
        self.decoder.prepare(limits.answer_bytes);
    }

    /// Sends all bytes.
    pub(super) fn send(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), LinkError> {
        let mut left = bytes;
        while !left.is_empty() {
            match self.socket.write(left) {
                Ok(0) => return Err(LinkError::Closed),
                Ok(count) => left = &left[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.drain_output();
                    if !wait(&[(&self.socket, Ready::Write)], deadline.min(Instant::now() + WATCH_EVERY))
                        && Instant::now() >= deadline
                    {
                        return Err(LinkError::Timeout);
                    }
                }
                Err(_) => return Err(LinkError::Closed),
            }
        }
        Ok(())
    }

    /// Errs if the engine sent something that nobody asked for, or is gone.
    pub(super) fn expect_silence(&mut self) -> Result<(), LinkError> {
        if self.decoder.is_inside_frame() {
            return Err(LinkError::Unasked);
        }
        let mut byte = [0];
        match self.socket.read(&mut byte) {
            Ok(0) => Err(LinkError::Closed),
            Ok(_) => Err(LinkError::Unasked),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(())
            }
            Err(_) => Err(LinkError::Closed),
        }
    }

    /// Nothing more will be sent.
    pub(super) fn finish(&mut self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Write);
    }

    /// The next message and the moment its last byte was read.
    pub(super) fn receive(
        &mut self,
        deadline: Instant,
        watch: Watch<'_>,
    ) -> Result<(Message, Instant), LinkError> {
        let mut next_watch = Instant::now() + WATCH_EVERY;
        loop {
            match self.socket.read(self.decoder.space()) {
                Ok(0) => return Err(LinkError::Closed),
                Ok(count) => {
                    let at = Instant::now();
                    if let Some(message) = self.decoder.advance(count).map_err(LinkError::Protocol)? {
                        return Ok((message, at));
                    }
                    if at >= deadline {
                        return Err(LinkError::Timeout);
                    }
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Err(LinkError::Closed),
            }
            let until = deadline.min(next_watch);
            let woken = match &self.output {
                Some(output) => {
                    wait(&[(self.socket.as_fd(), Ready::Read), (output.as_fd(), Ready::Read)], until)
                }
                None => wait(&[(&self.socket, Ready::Read)], until),
            };
            let now = Instant::now();
            if !woken && now >= deadline {
                return Err(LinkError::Timeout);
            }
            if now >= next_watch {
                watch().map_err(LinkError::Stopped)?;
                next_watch = now + WATCH_EVERY;
            }
            self.drain_output();
        }
    }

    /// Takes what the engine printed, up to a pipe's worth.
    fn drain_output(&mut self) {
        let Some(output) = &mut self.output else { return };
        let mut chunk = [0; 4096];
        for _ in 0..16 {
            match output.read(&mut chunk) {
                Ok(0) => {
                    self.output = None;
                    return;
                }
                Ok(count) => self.last.hear(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    /// The end of what the engine printed.
    pub(super) fn last_words(&mut self) -> String {
        self.drain_output();
        self.last.words()
    }
}

fn set_nonblocking(output: &PipeReader) {
    // SAFETY: flags of a live descriptor. If it fails, output is read when there is some.
    unsafe {
        let flags = libc::fcntl(output.as_raw_fd(), libc::F_GETFL);
        libc::fcntl(output.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK);
    }
}
