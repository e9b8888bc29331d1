//! The engine's side of the socket.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{FromRawFd as _, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use edgemaxx_protocol::{
    Answer, Decoder, Generate, Heartbeat, Hello, Limits, Load, Message, Object, Part, ProtocolError, Ready,
    Refusal, encode, encode_head, preamble,
};

use crate::clock::nanoseconds;

/// Time between heartbeats while loading.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// A payload up to this length is copied behind its header: one call of the system instead of two.
const COPIED: usize = 16 << 10;

/// An engine that cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Started by hand.
    #[error(
        "EDGEMAXX_SOCKET is {0}; expected fd:N, an inherited socket. An engine is started by the harness, e.g. by `edgemaxx engine check`"
    )]
    Environment(String),
    /// The socket failed.
    #[error("the socket to the harness: {0}")]
    Io(#[from] io::Error),
    /// The harness sent something that is not allowed.
    #[error("from the harness: {0}")]
    Protocol(#[from] ProtocolError),
    /// The harness sent something at the wrong time.
    #[error("from the harness: a {found} frame where {expected} was expected")]
    Order {
        /// What came.
        found: edgemaxx_protocol::Kind,
        /// What should have come.
        expected: &'static str,
    },
    /// Loading failed; the harness was told.
    #[error("{0}")]
    Load(String),
}

/// What an answer says, and what belongs to it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reply {
    /// In the task's words.
    pub header: Object,
    /// As the task says.
    pub payload: Vec<u8>,
}

/// Sends parts of an answer ahead of its end, for tasks that allow it.
pub struct Parts<'a> {
    connection: &'a mut Connection,
    id: u64,
}

impl Parts<'_> {
    /// Sends a part.
    ///
    /// # Errors
    /// In words: the harness is gone, or the part is beyond its bounds.
    pub fn send(&mut self, part: Reply) -> Result<(), String> {
        let part = Part { id: self.id, part: part.header, payload: part.payload };
        self.connection.send(&Message::Part(part)).map_err(|error| error.to_string())
    }
}

/// Answers a request, or says why not.
pub type Answerer = Box<dyn FnMut(&Generate, &mut Parts<'_>) -> Result<Reply, String>>;

/// Frames to and from the harness.
pub struct Connection {
    socket: UnixStream,
    decoder: Decoder,
}

impl Connection {
    /// The connection that `EDGEMAXX_SOCKET` names; sends the preamble.
    ///
    /// # Errors
    /// [`ServeError`]: the variable is missing or wrong, or the socket fails.
    pub fn from_environment() -> Result<Self, ServeError> {
        let mut connection = Self::raw_from_environment()?;
        connection.socket.write_all(&preamble())?;
        Ok(connection)
    }

    /// As [`Self::from_environment`], but nothing is sent.
    pub(crate) fn raw_from_environment() -> Result<Self, ServeError> {
        let value = std::env::var(crate::process::SOCKET_VARIABLE)
            .map_err(|error| ServeError::Environment(error.to_string()))?;
        let fd: RawFd = value
            .strip_prefix("fd:")
            .and_then(|number| number.parse().ok())
            .filter(|fd| *fd > 2)
            .ok_or_else(|| ServeError::Environment(format!("{value:?}")))?;
        // SAFETY: `fcntl` with F_GETFD only asks whether the descriptor is open.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
            return Err(ServeError::Environment(format!("{value:?}, but that descriptor is not open")));
        }
        // SAFETY: the harness opened this descriptor for us alone and nothing else here owns it.
        let socket = unsafe { UnixStream::from_raw_fd(fd) };
        Ok(Self { socket, decoder: Decoder::new(Limits::engine()) })
    }

    /// A connection over an open socket; sends the preamble.
    ///
    /// # Errors
    /// The socket fails.
    pub fn over(mut socket: UnixStream) -> Result<Self, ServeError> {
        socket.write_all(&preamble())?;
        Ok(Self { socket, decoder: Decoder::new(Limits::engine()) })
    }

    /// Sends a message.
    ///
    /// # Errors
    /// [`ServeError`]: it is not allowed, or the socket fails.
    pub fn send(&mut self, message: &Message) -> Result<(), ServeError> {
        let (mut head, payload) = encode_head(message)?;
        if payload.len() > COPIED {
            self.send_bytes(&head)?;
            return self.send_bytes(payload);
        }
        head.extend_from_slice(payload);
        self.send_bytes(&head)
    }

    /// Sends bytes as they are: for engines that misbehave on purpose.
    ///
    /// # Errors
    /// The socket fails.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), ServeError> {
        Ok(self.socket.write_all(bytes)?)
    }

    /// The next message; `None` when the harness is gone.
    ///
    /// # Errors
    /// [`ServeError`]: bytes that are not allowed, or the socket fails.
    pub fn receive(&mut self) -> Result<Option<Message>, ServeError> {
        loop {
            match self.socket.read(self.decoder.space()) {
                Ok(0) => return Ok(None),
                Ok(count) => {
                    if let Some(message) = self.decoder.advance(count)? {
                        return Ok(Some(message));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The settings to load, and where from; `None` when the harness wants nothing.
    ///
    /// # Errors
    /// [`ServeError`].
    pub fn receive_load(&mut self) -> Result<Option<Load>, ServeError> {
        match self.receive()? {
            None | Some(Message::Bye(_)) => Ok(None),
            Some(Message::Load(load)) => Ok(Some(load)),
            Some(other) => Err(ServeError::Order { found: other.kind(), expected: "load" }),
        }
    }

    /// Runs `work` while a thread sends heartbeats.
    ///
    /// # Errors
    /// The socket cannot be shared with the thread.
    pub fn with_heartbeats<T>(&mut self, work: impl FnOnce() -> T) -> Result<T, ServeError> {
        let mut socket = self.socket.try_clone()?;
        let frame = encode(&Message::Heartbeat(Heartbeat {}))?;
        let (done, rest) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                // Ends when `done` is dropped, so that no heartbeat follows `ready`.
                while rest.recv_timeout(HEARTBEAT) == Err(mpsc::RecvTimeoutError::Timeout) {
                    if socket.write_all(&frame).is_err() {
                        break;
                    }
                }
            });
            let result = work();
            drop(done);
            Ok(result)
        })
    }
}

/// Serves the harness that started this process until it says `bye`: loads once, then answers
/// requests one by one. `load` gives what `ready` says and the function that answers; either may
/// refuse in words. Returns how many requests were answered.
///
/// # Errors
/// [`ServeError`]; the process should then print it and exit with another status than 0.
pub fn serve<A>(
    hello: &Hello,
    load: impl FnOnce(&Load) -> Result<(Object, A), String>,
) -> Result<u64, ServeError>
where
    A: FnMut(&Generate, &mut Parts<'_>) -> Result<Reply, String>,
{
    serve_over(Connection::from_environment()?, hello, load)
}

/// As [`serve`], over a connection.
///
/// # Errors
/// See [`serve`].
pub fn serve_over<A>(
    mut connection: Connection,
    hello: &Hello,
    load: impl FnOnce(&Load) -> Result<(Object, A), String>,
) -> Result<u64, ServeError>
where
    A: FnMut(&Generate, &mut Parts<'_>) -> Result<Reply, String>,
{
    connection.send(&Message::Hello(hello.clone()))?;
    let Some(wanted) = connection.receive_load()? else { return Ok(0) };
    let (ready, mut answer) = match connection.with_heartbeats(|| load(&wanted))? {
        Ok(loaded) => loaded,
        Err(problem) => {
            connection.send(&Message::Error(Refusal::new(None, &problem)))?;
            return Err(ServeError::Load(problem));
        }
    };
    connection.send(&Message::Ready(Ready { ready }))?;
    let mut answered = 0;
    loop {
        let request = match connection.receive()? {
            None | Some(Message::Bye(_)) => return Ok(answered),
            Some(Message::Generate(request)) => request,
            Some(other) => {
                return Err(ServeError::Order { found: other.kind(), expected: "generate or bye" });
            }
        };
        let start = Instant::now();
        let message = match answer(&request, &mut Parts { connection: &mut connection, id: request.id }) {
            Ok(Reply { header, payload }) => {
                answered += 1;
                let engine_ns = Some(nanoseconds(start.elapsed()));
                Message::Answer(Answer { id: request.id, engine_ns, answer: header, payload })
            }
            Err(problem) => Message::Error(Refusal::new(Some(request.id), &problem)),
        };
        connection.send(&message)?;
    }
}
