//! From the file as written to the checked contest.

mod measurement;
mod pipelines;
mod quality;
mod rewards;
mod score;

use measurement::measurement;
use pipelines::{baseline, candidate_spec, check_name};
use quality::{has_models, quality};
use rewards::{copies, rewards};
use score::score;

use super::spec::{Contest, Device, DeviceKind, Residency};
use super::wire::WireContest;
use crate::confidence::{DEFAULT_LEVEL, HIGHEST_LEVEL, LOWEST_LEVEL};
use crate::digest::Digest;
use crate::input::{InputError, TomlFile, bad, within};
use crate::metric::Statistic;
use crate::task::{self, SettingsPatch};

/// Name of the control when the contest names none.
pub const CONTROL: &str = "control";

/// Pairs of all candidates and the control in all sessions: a plan of more takes gigabytes, and a week on any device.
const MOST_PAIRS: u64 = 1_000_000;

/// Threads that an engine may compute with: a dozen of the 512 processes that it may have are left for all else that it does.
const MOST_THREADS: u32 = 500;

impl Contest {
    /// Reads a contest file's text.
    ///
    /// # Errors
    /// [`InputError`] names line and column, or the key, what was expected and what was found.
    pub fn parse(text: &str) -> Result<Self, InputError> {
        let wire: WireContest = toml::from_str(text)?;
        if wire.format != 1 {
            return Err(bad("format", "1 (the contest format this release reads)", wire.format));
        }
        check_name("name", &wire.name)?;
        let task = wire.task.map_or(Ok(task::DEFAULT), |name| task::by_name(&name))?;
        let file = TomlFile::parse(text)?;
        let request = task.request(&file.input("request", &[&"request"])?)?;
        let settings = task.settings(&file.input("baseline.generation", &[&"baseline", &"generation"])?)?;
        let baseline = baseline(wire.baseline, settings)?;
        let mut candidates = Vec::new();
        for (index, candidate) in wire.candidates.into_iter().enumerate() {
            let field = format!("candidate[{index}] {:?} generation", candidate.name);
            let generation = match candidate.generation {
                Some(_) => task.patch(&file.input(field, &[&"candidate", &index, &"generation"])?)?,
                None => SettingsPatch::default(),
            };
            candidates.push(candidate_spec(index, candidate, generation, &baseline)?);
        }
        let mut seen = vec![baseline.name.as_str()];
        for candidate in &candidates {
            if seen.contains(&candidate.name.as_str()) {
                return Err(bad("candidate.name", "a name used once", format!("{:?} twice", candidate.name)));
            }
            let earlier = &seen[1..];
            if let Some(other) = candidate.repeats.iter().find(|other| !earlier.contains(&other.as_str())) {
                return Err(bad("candidate.repeats", "names of earlier candidates", format!("{other:?}")));
            }
            seen.push(&candidate.name);
        }
        let gone_minutes = wire.validator.gone_minutes.unwrap_or(30);
        within("validator.gone_minutes", gone_minutes, 1, 24 * 60)?;
        let open_minutes = wire.validator.open_minutes.unwrap_or(30);
        within("validator.open_minutes", open_minutes, 0, 6 * 60)?;
        if candidates.iter().filter(|c| c.control).count() > 1 {
            return Err(bad("candidate.control", "one control at most", "several"));
        }
        if let Some(incumbent) = &wire.incumbent
            && candidates.iter().all(|candidate| candidate.name != *incumbent)
        {
            return Err(bad("incumbent", "the name of a [[candidate]]", format!("{incumbent:?}")));
        }
        let measurement = measurement(&wire.measurement, task)?;
        if measurement.residency == Residency::Swapped && wire.device.kind == DeviceKind::Cpu {
            let expected = "\"together\" or \"alternating\", since a processor has no memory of its own";
            return Err(bad("measurement.residency", expected, "\"swapped\""));
        }
        let entered = candidates.len() as u64 + 1;
        let pairs = u64::from(measurement.sessions) * u64::from(measurement.pairs) * entered;
        if pairs > MOST_PAIRS {
            let expected = format!("at most {MOST_PAIRS} for all candidates and the control together");
            return Err(bad("measurement.sessions times measurement.pairs", &expected, pairs));
        }
        Ok(Self {
            digest: Digest::of(text),
            title: wire.title.unwrap_or_else(|| wire.name.clone()),
            description: wire.description.unwrap_or_default(),
            name: wire.name,
            netuid: wire.netuid,
            device: Device {
                kind: wire.device.kind,
                name: wire.device.name,
                free_memory_mib: wire.device.free_memory_mib,
                driver: wire.device.driver,
            },
            task,
            quality: quality(wire.quality, task, &request, &baseline.checkpoint)?,
            request,
            candidates,
            gone_minutes,
            open_minutes,
            measurement,
            baseline,
            score: score(&wire.score, task)?,
            noise_floor: within(
                "rewards.noise_floor",
                wire.rewards.noise_floor.unwrap_or(0.05),
                1e-4,
                100.0,
            )?,
            rewards: rewards(&wire.rewards)?,
            copies: copies(&wire.copies)?,
            incumbent: wire.incumbent,
        })
    }

    /// Whether a run of this contest can have a winner: what is measured suffices for what is asked, and the control
    /// is nobody else. Asked when a run is planned, so that older runs stay readable.
    ///
    /// # Errors
    /// [`InputError`] names the key.
    pub fn can_be_won(&self) -> Result<(), InputError> {
        let names = self.candidates.iter().map(|candidate| &candidate.name).chain([&self.baseline.name]);
        if self.candidates.iter().all(|candidate| !candidate.control)
            && names.into_iter().any(|name| name == CONTROL)
        {
            let expected =
                "another name than the control's, which is so called where no candidate has `control = true`";
            return Err(bad("candidate.name or baseline.name", expected, format!("{CONTROL:?}")));
        }
        for (key, sessions) in
            [("sessions", self.measurement.sessions), ("quick_sessions", self.measurement.quick_sessions)]
        {
            within(&format!("measurement.{key}"), sessions, 2, 1000)?;
        }
        within("measurement.threads", self.measurement.threads, 1, MOST_THREADS)?;
        if self.score.similarity_exponent > 0.0 {
            has_models(&self.quality.models, self.score.similarity, "score.similarity")?;
        }
        let pairs = self.measurement.pairs_at_all();
        for (index, gate) in self.quality.gates.iter().enumerate() {
            let Statistic::Quantile(q) = gate.statistic else { continue };
            // An extreme of n values bounds the quantile with confidence 1 − (1 − q)ⁿ from below, 1 − qⁿ from above.
            let beyond = if gate.metric.higher_is_better() { 1.0 - q } else { q };
            let needed = ((1.0 - self.quality.level).ln() / beyond.ln()).ceil();
            if f64::from(pairs) < needed {
                return Err(bad(
                    "measurement.sessions times measurement.pairs",
                    &format!(
                        "at least {needed}, which quality.gate[{index}] of {} takes to be proven",
                        gate.metric
                    ),
                    pairs,
                ));
            }
        }
        Ok(())
    }
}

/// A level of confidence.
fn level(field: &str, wire: Option<f64>) -> Result<f64, InputError> {
    within(field, wire.unwrap_or(DEFAULT_LEVEL), LOWEST_LEVEL, HIGHEST_LEVEL)
}
