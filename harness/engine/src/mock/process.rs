//! The mock as a process: `edgemaxx engine mock`.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use edgemaxx_contract::digest::Digest;
use edgemaxx_protocol::{
    Answer, Generate, Heartbeat, Hello, Kind, Message, Part, Ready, Refusal, encode, preamble,
};

use super::act;
use super::script::{Cheat, Misdeed, MockScript, When};
use crate::serve::{Connection, ServeError};

/// A mock that cannot start, or whose script ends it.
#[derive(Debug, thiserror::Error)]
pub enum MockError {
    /// The command line.
    #[error(
        "{0}; usage: edgemaxx engine mock [--script FILE] [--name NAME] [--load-us N] [--latency-us N] [--noise N] [--parts N] [--stubborn] [--fault MISDEED@WHEN]... [--cheat cache|one-answer|remembers|busy]"
    )]
    Usage(String),
    /// The script.
    #[error("{}: {problem}", path.display())]
    Script {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The connection.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The script says so.
    #[error("died with status {0}, as scripted")]
    Scripted(u8),
}

impl MockError {
    /// The status to exit with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Script { .. } => 2,
            Self::Serve(_) => 1,
            Self::Scripted(code) => *code,
        }
    }
}

/// Serves the harness that started this process as the arguments say.
///
/// # Errors
/// [`MockError`], with the status to exit with.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<(), MockError> {
    let script = parse(arguments)?;
    if script.stubborn {
        // SAFETY: sets a signal's disposition; no handler of ours runs.
        unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
    }
    let connection = if script.misdeed(When::Hello) == Some(Misdeed::WrongVersion) {
        Connection::raw_from_environment()?
    } else {
        Connection::from_environment()?
    };
    if script.cheat == Some(Cheat::Busy) {
        std::thread::spawn(|| {
            loop {
                std::hint::spin_loop();
            }
        });
    }
    let mut mock = Mock { script, connection, task: String::new(), requests: 0, seen: BTreeSet::new() };
    let result = mock.live();
    if mock.script.stubborn && result.is_ok() {
        sleep_forever();
    }
    result
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<MockScript, MockError> {
    let mut script = MockScript::default();
    let mut words = arguments.into_iter().map(|word| word.to_string_lossy().into_owned());
    while let Some(word) = words.next() {
        if word == "--stubborn" {
            script.stubborn = true;
            continue;
        }
        let value = words.next().ok_or_else(|| MockError::Usage(format!("{word} needs a value")))?;
        let number = || {
            value
                .parse::<u64>()
                .map_err(|_| MockError::Usage(format!("{word}: expected a number, found {value:?}")))
        };
        match word.as_str() {
            "--script" => {
                let path = PathBuf::from(&value);
                let problem = |problem: String| MockError::Script { path: path.clone(), problem };
                let text = std::fs::read_to_string(&path).map_err(|error| problem(error.to_string()))?;
                script = serde_json::from_str(&text).map_err(|error| problem(error.to_string()))?;
            }
            "--name" => script.name = value,
            "--load-us" => script.load_us = number()?,
            "--latency-us" => script.latency_us = number()?,
            "--parts" => script.parts = u32::try_from(number()?).unwrap_or(u32::MAX),
            "--noise" => script.noise = number()?.min(255) as u8,
            "--fault" => {
                let fault = value.parse().map_err(|error| MockError::Usage(format!("--fault: {error}")))?;
                script.faults.push(fault);
            }
            "--cheat" => {
                let cheat = serde_json::from_value(value.as_str().into())
                    .map_err(|error| MockError::Usage(format!("--cheat: {error}")))?;
                script.cheat = Some(cheat);
            }
            _ => return Err(MockError::Usage(format!("unknown option {word:?}"))),
        }
    }
    Ok(script)
}

fn sleep_forever() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

struct Mock {
    script: MockScript,
    connection: Connection,
    requests: u64,
    task: String,
    /// What was answered before.
    seen: BTreeSet<Digest>,
}

impl Mock {
    fn live(&mut self) -> Result<(), MockError> {
        if let Some(misdeed) = self.script.misdeed(When::Hello) {
            return self.commit(misdeed, None);
        }
        let hello = Hello { engine: self.script.name.clone(), version: env!("CARGO_PKG_VERSION").to_owned() };
        self.connection.send(&Message::Hello(hello))?;
        let Some(wanted) = self.connection.receive_load()? else { return Ok(()) };
        self.task = wanted.task;
        if let Some(misdeed) = self.script.misdeed(When::Load) {
            return self.commit(misdeed, None);
        }
        let load = Duration::from_micros(self.script.load_us);
        self.connection.with_heartbeats(|| std::thread::sleep(load))?;
        let ready = act::ready(&self.task, &self.script);
        self.connection.send(&Message::Ready(Ready { ready }))?;
        loop {
            match self.connection.receive()? {
                None | Some(Message::Bye(_)) => return Ok(()),
                Some(Message::Generate(request)) => self.answer(&request)?,
                Some(other) => {
                    let order = ServeError::Order { found: other.kind(), expected: "generate or bye" };
                    return Err(order.into());
                }
            }
        }
    }

    fn answer(&mut self, request: &Generate) -> Result<(), MockError> {
        let index = self.requests;
        self.requests += 1;
        if let Some(misdeed) = self.script.misdeed(When::Request(index)) {
            return self.commit(misdeed, Some(request));
        }
        let start = Instant::now();
        let frames = match self.frames(request)? {
            Ok(frames) => frames,
            Err(problem) => {
                let refusal = Message::Error(Refusal::new(Some(request.id), &problem));
                return Ok(self.connection.send(&refusal)?);
            }
        };
        let latency = Duration::from_nanos(self.script.latency_ns(0, index));
        let new = self.seen.insert(act::key(&request.ask, &request.payload));
        let wait = if self.script.cheat == Some(Cheat::Cache) && !new { Duration::ZERO } else { latency };
        let count = u32::try_from(frames.len()).unwrap_or(u32::MAX);
        for (index, frame) in (1u32..).zip(frames) {
            std::thread::sleep((wait * index / count).saturating_sub(start.elapsed()));
            self.connection.send_bytes(&frame)?;
        }
        Ok(())
    }

    /// The honest answer: parts, if the script says so, and the end; or why there is none.
    fn frames(&self, request: &Generate) -> Result<Result<Vec<Vec<u8>>, String>, MockError> {
        let reply = match act::answer(&self.task, &request.ask, &request.payload, &self.script) {
            Ok(reply) => reply,
            Err(problem) => return Ok(Err(problem)),
        };
        let (parts, payload) = act::divide(reply.payload, self.script.parts);
        let id = request.id;
        let engine_ns = Some(self.script.latency_us * 1000);
        let parts = parts.into_iter().map(|payload| Message::Part(Part { id, payload, ..Part::default() }));
        let end = Message::Answer(Answer { id, engine_ns, answer: reply.header, payload });
        let frames = parts.chain([end]).map(|message| encode(&message).map_err(ServeError::from));
        Ok(Ok(frames.collect::<Result<_, _>>()?))
    }

    /// Misbehaves; returns if the engine then goes on.
    fn commit(&mut self, misdeed: Misdeed, request: Option<&Generate>) -> Result<(), MockError> {
        // Without a request at hand the worst frames are made from a heartbeat.
        let honest = match request {
            Some(request) => self.frames(request)?.unwrap_or_default().pop(),
            None => None,
        };
        let heartbeat = || encode(&Message::Heartbeat(Heartbeat {})).map_err(ServeError::from);
        let frame = honest.map_or_else(heartbeat, Ok)?;
        let id = request.map_or(0, |request| request.id);
        match misdeed {
            Misdeed::Die => return Err(MockError::Scripted(3)),
            Misdeed::ExitZero => return Err(MockError::Scripted(0)),
            Misdeed::Hang => sleep_forever(),
            Misdeed::Garbage => self.connection.send_bytes(&[0xA5; 4096])?,
            Misdeed::HugeFrame => {
                let mut prefix = [0xff; 9];
                prefix[4] = Kind::Answer as u8;
                prefix[5..].copy_from_slice(&64u32.to_le_bytes());
                self.connection.send_bytes(&prefix)?;
                sleep_forever()
            }
            Misdeed::SlowLoris => {
                for byte in &frame {
                    std::thread::sleep(Duration::from_millis(50));
                    self.connection.send_bytes(&[*byte])?;
                }
            }
            Misdeed::HalfFrame => {
                self.connection.send_bytes(&frame[..frame.len() / 2])?;
                sleep_forever()
            }
            Misdeed::Refuse => {
                let id = request.map(|request| request.id);
                self.connection.send(&Message::Error(Refusal::new(id, "cannot, as scripted")))?;
            }
            Misdeed::WrongSize => {
                let reply = act::unusable(&self.task);
                let (answer, payload) = (reply.header, reply.payload);
                self.connection.send(&Message::Answer(Answer { id, engine_ns: None, answer, payload }))?;
            }
            Misdeed::WrongId => {
                let id = id.wrapping_add(1000);
                self.connection.send(&Message::Answer(Answer { id, ..Answer::default() }))?;
            }
            Misdeed::PartUnasked => {
                self.connection.send(&Message::Part(Part { id, ..Part::default() }))?;
                sleep_forever()
            }
            Misdeed::AnswerTwice => self.connection.send_bytes(&[frame.clone(), frame].concat())?,
            Misdeed::WrongVersion => {
                let mut other = preamble();
                other[8] = 99;
                self.connection.send_bytes(&other)?;
            }
        }
        Ok(())
    }
}
