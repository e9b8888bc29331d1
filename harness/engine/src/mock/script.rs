//! What a mock does.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Behaviour of a mock engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MockScript {
    /// Its name in `hello`.
    pub name: String,
    /// Time to load, microseconds.
    pub load_us: u64,
    /// Time of one answer once warm, microseconds.
    pub latency_us: u64,
    /// Added to the first answers: one number each, microseconds.
    pub warmup_us: Vec<u64>,
    /// Latency varies by up to this fraction, up and down, as a function of launch and request.
    pub jitter: f64,
    /// Parts sent ahead of each answer, whose payload is divided among them.
    pub parts: u32,
    /// How far its pictures are from those of a mock with 0, in grey levels.
    pub noise: u8,
    /// Channels of the latents.
    pub latent_channels: u32,
    /// Pixels per latent.
    pub vae_scale_factor: u32,
    /// Stays alive after SIGTERM and `bye`.
    pub stubborn: bool,
    /// What it does wrong.
    pub faults: Vec<Fault>,
    /// How it cheats, within the protocol.
    pub cheat: Option<Cheat>,
}

/// A way to look fast that no single answer betrays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cheat {
    /// Answers what it answered before at once.
    Cache,
    /// Gives every request the same answer.
    OneAnswer,
    /// Remembers an answer for each prompt, whatever the noise it is asked with.
    Remembers,
    /// Works on after its answer, in the other side's time.
    Busy,
}

impl Default for MockScript {
    fn default() -> Self {
        Self {
            name: "mock".to_owned(),
            load_us: 0,
            latency_us: 1000,
            warmup_us: Vec::new(),
            jitter: 0.0,
            parts: 0,
            noise: 0,
            latent_channels: 4,
            vae_scale_factor: 8,
            stubborn: false,
            faults: Vec::new(),
            cheat: None,
        }
    }
}

/// One misdeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// When.
    pub at: When,
    /// What.
    pub misdeed: Misdeed,
}

/// A moment in an engine's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Instead of `hello`.
    Hello,
    /// Instead of `ready`.
    Load,
    /// Instead of the answer to the n-th request, from 0.
    Request(u64),
    /// Instead of the answer to every request.
    EveryRequest,
}

/// What can be done wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Misdeed {
    /// Exits with status 3.
    Die,
    /// Exits with status 0.
    ExitZero,
    /// Says nothing more.
    Hang,
    /// Sends bytes that are no frame.
    Garbage,
    /// Announces a frame of 4 GiB.
    HugeFrame,
    /// Sends one byte every 50 ms.
    SlowLoris,
    /// Sends half a frame, then nothing.
    HalfFrame,
    /// Says it cannot.
    Refuse,
    /// Sends an answer that cannot be one to what was asked: a picture of another size.
    WrongSize,
    /// Answers another request.
    WrongId,
    /// Sends a part of an answer where none is allowed.
    PartUnasked,
    /// Sends the answer twice.
    AnswerTwice,
    /// Speaks another version of the protocol.
    WrongVersion,
}

/// A fault on the command line: `MISDEED@WHEN`, e.g. `die@3`, `refuse@load`, `hang@hello`, `refuse@every`.
impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || {
            format!(
                "expected MISDEED@WHEN, e.g. die@3, refuse@load, hang@hello or refuse@every; found {text:?}"
            )
        };
        let (misdeed, at) = text.split_once('@').ok_or_else(error)?;
        let misdeed = serde_json::from_value(misdeed.into()).map_err(|_| error())?;
        let at = match at {
            "hello" => When::Hello,
            "load" => When::Load,
            "every" => When::EveryRequest,
            number => When::Request(number.parse().map_err(|_| error())?),
        };
        Ok(Self { at, misdeed })
    }
}

impl MockScript {
    /// What is done wrong at `moment`, if anything.
    pub(super) fn misdeed(&self, moment: When) -> Option<Misdeed> {
        let every = |fault: &&Fault| {
            fault.at == moment || (fault.at == When::EveryRequest && matches!(moment, When::Request(_)))
        };
        self.faults.iter().find(every).map(|fault| fault.misdeed)
    }

    /// Time of the `index`-th answer of a launch, nanoseconds.
    pub(super) fn latency_ns(&self, launch: u64, index: u64) -> u64 {
        let warmup = usize::try_from(index).ok().and_then(|i| self.warmup_us.get(i)).copied().unwrap_or(0);
        let words = [launch.to_le_bytes(), index.to_le_bytes()].concat();
        let draw = edgemaxx_contract::digest::Digest::of_fields([self.name.as_bytes(), &words]);
        let unit = f64::from(u16::from_le_bytes([draw.as_bytes()[0], draw.as_bytes()[1]])) / 65535.0;
        let factor = 1.0 + self.jitter * (2.0 * unit - 1.0);
        ((self.latency_us + warmup) as f64 * 1000.0 * factor).max(1.0) as u64
    }
}
