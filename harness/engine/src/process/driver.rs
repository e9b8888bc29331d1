//! [`ProcessEngine`]: the protocol's harness side, with the clock.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use edgemaxx_contract::contest::Timeouts;
use edgemaxx_contract::sample::{EngineInfo, Failure, FailureKind};
use edgemaxx_devices::cpu;
use edgemaxx_protocol::{self as protocol, Generate, Hello, Load, Message, Refusal, encode, preamble};

use super::group::Group;
use super::guard::Guard;
use super::running::Running;
use super::sandbox::Access;
use super::socket::{Link, LinkError, MAX_HEARTBEATS};
use super::spawn::{Spawned, spawn};
use super::spec::ProcessSpec;
use crate::clock::nanoseconds;
use crate::engine::{Answer, Ask, Closed, Engine, Loaded, Part};

/// Time to exit after SIGTERM, before SIGKILL.
const GRACE: Duration = Duration::from_millis(500);
/// Time to come to rest: nobody waits for it but the harness, and a busy machine takes its time.
const REST: Duration = Duration::from_secs(10);
/// The same where up to a card's whole memory is moved meanwhile.
const SWAP: Duration = Duration::from_secs(120);
/// An engine that takes longer to take a request is timed from the request's first byte.
const SEND_PATIENCE: Duration = Duration::from_millis(2);

/// Parts with the moments when they were complete, the answer's end, and when that was.
type Received = (Vec<(protocol::Part, Instant)>, protocol::Answer, Instant);

/// An engine in a process of its own.
pub struct ProcessEngine {
    running: Running,
    link: Link,
    timeouts: Timeouts,
    guard: Guard,
    /// How long it may take to come to rest, and to wake.
    rest: Duration,
    /// Launch and load share their time.
    load_deadline: Instant,
    is_loaded: bool,
    /// Says goodbye only while the two sides are in step.
    in_step: bool,
    closed: Option<Closed>,
}

impl ProcessEngine {
    /// Starts the process and waits for its `hello`: the engine, what it says it is, and the
    /// nanoseconds from spawn to `hello`.
    ///
    /// # Errors
    /// The failure to be recorded; every process is ended.
    pub fn launch(spec: &ProcessSpec) -> Result<(Self, EngineInfo, u64), Failure> {
        let start = Instant::now();
        let Spawned { running, socket, output } =
            spawn(spec, Access::Measured).map_err(|detail| Failure { kind: FailureKind::Spawn, detail })?;
        let guard = Guard::new(running.root(), spec.limits.processes);
        let mut engine = Self {
            running,
            guard,
            rest: if spec.set_aside { SWAP } else { REST },
            link: Link::new(socket, output),
            timeouts: spec.timeouts,
            load_deadline: start + seconds(spec.timeouts.load_s),
            is_loaded: false,
            in_step: true,
            closed: None,
        };
        let (message, at) = engine.exchange(&preamble(), engine.load_deadline, "launch")?;
        let Message::Hello(Hello { engine: name, version }) = message else {
            return Err(engine.unexpected(&message, "hello"));
        };
        Ok((engine, EngineInfo { name, version }, nanoseconds(at - start)))
    }

    /// Sends bytes and waits for the next message.
    fn exchange(
        &mut self,
        bytes: &[u8],
        deadline: Instant,
        what: &str,
    ) -> Result<(Message, Instant), Failure> {
        self.link.send(bytes, deadline).map_err(|error| self.fail(error, what))?;
        self.receive(deadline, what)
    }

    fn receive(&mut self, deadline: Instant, what: &str) -> Result<(Message, Instant), Failure> {
        let (guard, group) = (&self.guard, self.running.group());
        let held = || group.and_then(Group::memory_bytes);
        self.link.receive(deadline, &mut || guard.check(held())).map_err(|error| self.fail(error, what))
    }

    /// The failure that an error of the link amounts to. The engine is ended.
    fn fail(&mut self, error: LinkError, what: &str) -> Failure {
        self.in_step = false;
        let (kind, detail) = match error {
            LinkError::Timeout => {
                let limit = if self.is_loaded { self.timeouts.request_s } else { self.timeouts.load_s };
                (FailureKind::Timeout, format!("no answer to {what} within {limit:.1} s"))
            }
            LinkError::Closed => (FailureKind::Died, self.how_it_died(what)),
            LinkError::Protocol(error) => (FailureKind::Protocol, format!("{what}: {error}")),
            LinkError::Unasked => {
                (FailureKind::Protocol, format!("bytes that nobody asked for, before {what}"))
            }
            LinkError::Stopped(reason) => (FailureKind::Died, format!("ended during {what}: {reason}")),
        };
        self.remember_end(GRACE);
        Failure { kind, detail: self.with_tail(detail) }
    }

    fn how_it_died(&mut self, what: &str) -> String {
        match self.running.wait(Duration::from_secs(1)) {
            Some(ended) => {
                let short = self.running.group().is_some_and(Group::ran_out_of_memory);
                let why = if short { ", for it needed more memory than it may have," } else { "" };
                format!("{}{why} during {what}", describe(ended.status))
            }
            None => format!("closed its socket during {what}"),
        }
    }

    fn with_tail(&mut self, detail: String) -> String {
        let tail = self.link.last_words();
        if tail.is_empty() { detail } else { format!("{detail}; it printed last: {tail}") }
    }

    fn unexpected(&mut self, message: &Message, expected: &str) -> Failure {
        self.in_step = false;
        let detail = match message {
            Message::Error(Refusal { message, .. }) => format!("an error instead of {expected}: {message}"),
            other => format!("a {} frame where {expected} was expected", other.kind()),
        };
        self.remember_end(GRACE);
        Failure { kind: FailureKind::Protocol, detail: self.with_tail(detail) }
    }

    /// Ends the tree, once.
    fn remember_end(&mut self, grace: Duration) {
        if self.closed.is_none() {
            let before = cpu::memory(self.running.root()).filter(|memory| memory.processes > 0);
            let forced = self.running.end(grace);
            let largest = self.running.wait(Duration::ZERO).and_then(|ended| ended.peak_rss_bytes);
            let peak_rss_bytes = before.map(|memory| memory.peak_bytes).max(largest);
            self.closed = Some(Closed { peak_rss_bytes, forced, clean_exit: false });
        }
    }

    fn restless(&mut self, detail: String) -> Failure {
        self.in_step = false;
        self.remember_end(GRACE);
        Failure { kind: FailureKind::Restless, detail: self.with_tail(detail) }
    }

    fn refused(&mut self, detail: String) -> Failure {
        Failure { kind: FailureKind::Refused, detail: self.with_tail(detail) }
    }

    /// The parts of the answer to request `id`, with the moment when each was complete, and its end.
    fn answer(&mut self, id: u64, deadline: Instant) -> Result<Received, Failure> {
        let what = format!("request {id}");
        let mut parts = Vec::new();
        loop {
            let other = match self.receive(deadline, &what)? {
                (Message::Part(part), at) if part.id == id => {
                    parts.push((part, at));
                    continue;
                }
                (Message::Answer(answer), at) if answer.id == id => return Ok((parts, answer, at)),
                (Message::Error(Refusal { id: Some(named), message }), _) if named == id => {
                    return Err(self.refused(message));
                }
                (Message::Part(protocol::Part { id: other, .. }), _)
                | (Message::Answer(protocol::Answer { id: other, .. }), _)
                | (Message::Error(Refusal { id: Some(other), .. }), _) => other,
                (other, _) => return Err(self.unexpected(&other, "answer")),
            };
            self.in_step = false;
            self.remember_end(GRACE);
            let detail = format!("an answer to request {other} where one to {id} was expected");
            return Err(Failure { kind: FailureKind::Protocol, detail: self.with_tail(detail) });
        }
    }

    fn ensure_usable(&self) -> Result<(), Failure> {
        if self.in_step && self.closed.is_none() {
            return Ok(());
        }
        Err(Failure { kind: FailureKind::Died, detail: "the engine has already been ended".to_owned() })
    }
}

impl Engine for ProcessEngine {
    fn load(&mut self, load: &Load) -> Result<Loaded, Failure> {
        self.ensure_usable()?;
        self.link.expect_silence().map_err(|error| self.fail(error, "load"))?;
        let frame = encode(&Message::Load(load.clone()))
            .map_err(|error| self.fail(LinkError::Protocol(error), "load"))?;
        let deadline = self.load_deadline.max(Instant::now() + Duration::from_secs(1));
        self.link.send(&frame, deadline).map_err(|error| self.fail(error, "load"))?;
        let sent = Instant::now();
        for _ in 0..MAX_HEARTBEATS {
            match self.receive(deadline, "load")? {
                (Message::Heartbeat(_), _) => {}
                (Message::Ready(said), at) => {
                    self.is_loaded = true;
                    return Ok(Loaded { ready: said.ready, load_ns: nanoseconds(at - sent) });
                }
                (Message::Error(Refusal { message, .. }), _) => return Err(self.refused(message)),
                (other, _) => return Err(self.unexpected(&other, "ready")),
            }
        }
        let detail = format!("more than {MAX_HEARTBEATS} heartbeats while loading");
        self.in_step = false;
        self.remember_end(GRACE);
        Err(Failure { kind: FailureKind::Protocol, detail })
    }

    fn set_patience(&mut self, seconds: f64) {
        self.timeouts.request_s = seconds;
    }

    fn ask(&mut self, ask: &Ask<'_>) -> Result<Answer, Failure> {
        self.ensure_usable()?;
        let generate = Generate { id: ask.id, ask: ask.header.clone(), payload: ask.payload.to_vec() };
        let frame = encode(&Message::Generate(generate)).map_err(|error| Failure {
            kind: FailureKind::Protocol,
            detail: format!("the request cannot be sent: {error}"),
        })?;
        let what = format!("request {}", ask.id);
        self.link.expect_silence().map_err(|error| self.fail(error, &what))?;
        self.link.expect_answer(ask.limits);

        let begin = Instant::now();
        let deadline = begin + seconds(self.timeouts.request_s);
        self.link.send(&frame, deadline).map_err(|error| self.fail(error, &what))?;
        let sent = Instant::now();
        // A slow taker may have worked on the part it took.
        let start = if sent - begin > SEND_PATIENCE { begin } else { sent };
        let (parts, end, received) = self.answer(ask.id, deadline)?;

        let since = |at: Instant| nanoseconds(at.saturating_duration_since(start));
        let part = |(part, at): (protocol::Part, Instant)| Part {
            at_ns: since(at),
            header: part.part,
            payload: part.payload,
        };
        let parts: Vec<Part> = parts.into_iter().map(part).collect();
        Ok(Answer {
            latency_ns: since(received),
            first_ns: parts.iter().find(|part| part.carries_something()).map(|part| part.at_ns),
            parts,
            engine_ns: end.engine_ns,
            header: end.answer,
            payload: end.payload,
        })
    }

    fn rest(&mut self) -> Result<(), Failure> {
        if self.closed.is_some() {
            return Ok(());
        }
        self.running.rest(self.rest).map_err(|detail| self.restless(detail))
    }

    fn wake(&mut self) -> Result<(), Failure> {
        if self.closed.is_some() {
            return Ok(());
        }
        self.running.wake(self.rest).map_err(|detail| self.restless(detail))
    }

    fn with_last_words(&mut self, problem: String) -> String {
        self.with_tail(problem)
    }

    fn cpu_ns(&self) -> Option<u64> {
        self.running.cpu_ns()
    }

    fn moved_ns(&self) -> u64 {
        self.running.moved_ns()
    }

    fn root(&self) -> Option<u32> {
        Some(self.running.root())
    }

    fn close(&mut self) -> Closed {
        if let Some(closed) = self.closed {
            return closed;
        }
        let before = cpu::memory(self.running.root()).filter(|memory| memory.processes > 0);
        let _ = self.running.wake(self.rest);
        let mut clean_exit = false;
        if self.in_step {
            let patience = seconds(self.timeouts.exit_s);
            if let Ok(frame) = encode(&Message::Bye(protocol::Bye {}))
                && self.link.send(&frame, Instant::now() + patience).is_ok()
            {
                self.link.finish();
                clean_exit = self.running.wait(patience).is_some_and(|ended| ended.status.success());
            }
        }
        self.remember_end(GRACE);
        let mut closed = Closed { clean_exit, ..self.closed.unwrap_or_default() };
        closed.peak_rss_bytes = closed.peak_rss_bytes.max(before.map(|memory| memory.peak_bytes));
        self.closed = Some(closed);
        closed
    }
}

fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or(Duration::from_secs(86_400))
}

/// How a process ended, in words. Shells and bubblewrap pass a signal on as 128 + its number.
pub(super) fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    let named = |signal: i32| match nix::sys::signal::Signal::try_from(signal) {
        Ok(name) => format!("killed by signal {signal} ({name})"),
        Err(_) => format!("killed by signal {signal}"),
    };
    match (status.signal(), status.code()) {
        (Some(signal), _) => named(signal),
        (None, Some(code @ 129..=192)) => named(code - 128),
        (None, Some(code)) => format!("exited with status {code}"),
        (None, None) => "ended".to_owned(),
    }
}
