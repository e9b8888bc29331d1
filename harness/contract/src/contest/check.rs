//! From the file as written to the checked contest.

use std::collections::BTreeMap;

use super::engine::{EngineSpec, engine};
use super::limit::Limit;
use super::spec::{
    BaselineSpec, CandidateSpec, CheckpointSpec, Contest, CopiesSpec, Device, Measurement, QualitySpec,
    Recipe, Residency, RewardFormula, Rewards, ScoreSpec, Stopping, Timeouts,
};
use super::wire::{
    WireBaseline, WireCandidate, WireContest, WireCopies, WireGate, WireMeasurement, WireQuality, WireRecipe,
    WireRewards, WireScore,
};
use crate::confidence::{DEFAULT_LEVEL, HIGHEST_LEVEL, LOWEST_LEVEL};
use crate::digest::Digest;
use crate::input::{InputError, TomlFile, bad, within};
use crate::metric::{Class, Gate, Metric, Model, Statistic};
use crate::task::{self, RequestSpec, Settings, SettingsPatch, TaskRef};

/// Name of the control when the contest names none.
pub const CONTROL: &str = "control";

/// Pairs of all candidates and the control in all sessions: a plan of more takes gigabytes, and a week on any device.
const MOST_PAIRS: u64 = 1_000_000;

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

/// A pipeline's name goes into file names and tables.
fn check_name(field: &str, name: &str) -> Result<(), InputError> {
    let ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let path_like = name.split('/').any(|part| part.is_empty() || part.starts_with('.'));
    if name.is_empty() || name.len() > 100 || !name.chars().all(ok) || path_like {
        let found: String = name.chars().take(120).collect();
        return Err(bad(
            field,
            "1 to 100 letters, digits, '-', '_', '.' (owner/name allowed)",
            format!("{found:?}"),
        ));
    }
    Ok(())
}

fn baseline(wire: WireBaseline, settings: Settings) -> Result<BaselineSpec, InputError> {
    let name = wire.name.unwrap_or_else(|| "baseline".to_owned());
    check_name("baseline.name", &name)?;
    Ok(BaselineSpec {
        name,
        description: wire.description.unwrap_or_default(),
        checkpoint: CheckpointSpec { source: wire.checkpoint, unet: wire.unet, derive: None },
        settings,
        engine: engine("baseline.engine", wire.engine)?.unwrap_or(EngineSpec::Native),
    })
}

fn candidate_spec(
    index: usize,
    wire: WireCandidate,
    settings: SettingsPatch,
    baseline: &BaselineSpec,
) -> Result<CandidateSpec, InputError> {
    let field = |key: &str| format!("candidate[{index}] {:?} {key}", wire.name);
    check_name(&field("name"), &wire.name)?;
    if let Some(WireRecipe::Noise { sigma, .. }) = wire.derive {
        within(&field("derive.noise.sigma"), sigma, 0.0, 10.0)?;
    }
    // Who names a checkpoint means it as it is; the baseline's is meant with the baseline's UNet.
    let inherited = if wire.checkpoint.is_none() { baseline.checkpoint.unet.clone() } else { None };
    let checkpoint = CheckpointSpec {
        source: wire.checkpoint.unwrap_or_else(|| baseline.checkpoint.source.clone()),
        unet: wire.unet.or(inherited),
        derive: wire.derive.map(|recipe| match recipe {
            WireRecipe::Int8 => Recipe::Int8,
            WireRecipe::F16 => Recipe::F16,
            WireRecipe::Bf16 => Recipe::Bf16,
            WireRecipe::Noise { sigma, seed } => Recipe::Noise { sigma, seed },
        }),
    };
    let engine = engine(&field("engine"), wire.engine)?;
    let differs = checkpoint != baseline.checkpoint
        || settings != SettingsPatch::default()
        || engine.as_ref().is_some_and(|e| *e != baseline.engine);
    if wire.control && differs {
        return Err(bad(
            format!("candidate[{index}] {:?}", wire.name),
            "a control to be the baseline itself, without checkpoint, unet, derive, generation or engine",
            "a difference",
        ));
    }
    Ok(CandidateSpec {
        control: wire.control,
        repeats: wire.repeats,
        by_engine: wire.by_engine,
        description: wire.description.unwrap_or_default(),
        name: wire.name,
        checkpoint,
        settings,
        engine,
    })
}

/// Candidates of a block where the contest does not say: as many as simulation found to be worth it
/// (METHODOLOGY.md) where one process is in memory at a time, else one, since the memory for more is
/// nobody's to presume.
fn shared(residency: Residency) -> u32 {
    match residency {
        Residency::Together => 1,
        Residency::Alternating => 12,
    }
}

/// One baseline that answers for several asks all of them the same: then nobody has requests of his own.
fn block(wire: &WireMeasurement) -> Result<u32, InputError> {
    let usual = if wire.own_requests { 1 } else { shared(wire.residency) };
    let block = within("measurement.block", wire.block.unwrap_or(usual), 1, 64)?;
    match wire.own_requests && block > 1 {
        true => Err(bad("measurement.block", "1, since measurement.own_requests asks each its own", block)),
        false => Ok(block),
    }
}

/// Where early rounds are named, a third of the pairs.
fn early_pairs(wire: &WireMeasurement, pairs: u32) -> Result<u32, InputError> {
    match (wire.early_rounds.unwrap_or(0), wire.early_pairs) {
        (0, None) => Ok(0),
        (0, Some(found)) => {
            Err(bad("measurement.early_pairs", "measurement.early_rounds beside it, or neither", found))
        }
        (_, found) => within("measurement.early_pairs", found.unwrap_or(pairs.div_ceil(3)), 1, pairs),
    }
}

/// At most every second request is another one's twin, and none where nothing is asked twice.
fn twins(wire: &WireMeasurement, pairs: u32, task: TaskRef) -> Result<u32, InputError> {
    let twins = within("measurement.twins", wire.twins.unwrap_or(0), 0, pairs / 2)?;
    match twins > 0 && task.asks_once() {
        true => Err(bad("measurement.twins", &format!("none, since a {task} is asked for each once"), twins)),
        false => Ok(twins),
    }
}

fn measurement(wire: &WireMeasurement, task: TaskRef) -> Result<Measurement, InputError> {
    let sessions = within("measurement.sessions", wire.sessions.unwrap_or(8), 1, 1000)?;
    let pairs = within("measurement.pairs", wire.pairs.unwrap_or(20), 1, 10_000)?;
    let warmup_min = within("measurement.warmup_min", wire.warmup_min.unwrap_or(1), 0, 100)?;
    let until = wire.until_half_width;
    if let Some(half_width) = until {
        within("measurement.until_half_width", half_width, 1e-6, 1.0)?;
    }
    if let Some(slowdown) = wire.max_slowdown {
        within("measurement.max_slowdown", slowdown, 0.0, 10.0)?;
    }
    if let Some(budget) = wire.budget_s {
        within("measurement.budget_s", budget, 1.0, 1e7)?;
    }
    Ok(Measurement {
        sessions,
        pairs,
        quick_sessions: within(
            "measurement.quick_sessions",
            wire.quick_sessions.unwrap_or(sessions.min(3)),
            1,
            1000,
        )?,
        quick_pairs: within("measurement.quick_pairs", wire.quick_pairs.unwrap_or(pairs.min(2)), 1, 10_000)?,
        warmup_min,
        warmup_max: within(
            "measurement.warmup_max",
            wire.warmup_max.unwrap_or(warmup_min.max(10)),
            warmup_min,
            1000,
        )?,
        threads: within("measurement.threads", wire.threads.unwrap_or(1), 1, 1024)?,
        residency: wire.residency,
        block: block(wire)?,
        early_rounds: within("measurement.early_rounds", wire.early_rounds.unwrap_or(0), 0, sessions)?,
        early_pairs: early_pairs(wire, pairs)?,
        twins: twins(wire, pairs, task)?,
        own_requests: wire.own_requests,
        timeouts: Timeouts {
            load_s: within(
                "measurement.load_timeout_s",
                wire.load_timeout_s.unwrap_or(600.0),
                0.1,
                86_400.0,
            )?,
            request_s: within(
                "measurement.request_timeout_s",
                wire.request_timeout_s.unwrap_or(120.0),
                0.1,
                86_400.0,
            )?,
            exit_s: within("measurement.exit_timeout_s", wire.exit_timeout_s.unwrap_or(10.0), 0.1, 3_600.0)?,
        },
        stopping: Stopping {
            until_half_width: until,
            budget_s: wire.budget_s,
            max_slowdown: wire.max_slowdown,
        },
    })
}

fn quality(
    wire: WireQuality,
    task: TaskRef,
    request: &RequestSpec,
    baseline: &CheckpointSpec,
) -> Result<QualitySpec, InputError> {
    let class = wire.class.map_or(Ok(Vec::new()), |name| class_gates(&name, task))?;
    let named: Vec<Gate> =
        wire.gates.into_iter().enumerate().map(|(index, g)| gate(index, g)).collect::<Result<Vec<_>, _>>()?;
    let gates: Vec<Gate> = class.into_iter().chain(named).collect();
    let of_task: Vec<Metric> = Metric::of_task(task.name()).collect();
    if let Some((index, gate)) = gates.iter().enumerate().find(|(_, gate)| !of_task.contains(&gate.metric)) {
        let names: Vec<String> = of_task.iter().map(Metric::to_string).collect();
        let expected = format!("a metric of {}: {}", task.answer().several, names.join(", "));
        return Err(bad(format!("quality.gate[{index}].metric"), &expected, gate.metric));
    }
    if let Some(gate) = gates.iter().find(|gate| gate.metric.entry().scored && task.scored(request) == 0) {
        let expected = format!("1 or more, since a gate reads {}", gate.metric);
        return Err(bad("request.scored", &expected, 0));
    }
    let reads_baseline = of_task.iter().any(|metric| metric.needs().contains(&Model::Baseline));
    let own = reads_baseline.then(|| baseline.source.clone());
    let models = [(Model::Clip, wire.clip), (Model::Lpips, wire.lpips), (Model::Baseline, own)];
    let models = models.into_iter().filter_map(|(model, folder)| Some((model, folder?))).collect();
    for gate in &gates {
        has_models(&models, gate.metric, "a gate")?;
    }
    Ok(QualitySpec { models, level: level("quality.level", wire.level)?, gates })
}

/// The gates of a class of the task.
fn class_gates(name: &str, task: TaskRef) -> Result<Vec<Gate>, InputError> {
    let class = Class::of_task(task.name()).find(|class| class.name == name);
    class.map(Class::gates).ok_or_else(|| {
        let names: Vec<String> =
            Class::of_task(task.name()).map(|class| format!("{:?}", class.name)).collect();
        let expected = match names.as_slice() {
            [] => format!("none: there are no classes of {}", task.answer().several),
            names => names.join(" or "),
        };
        bad("quality.class", &expected, format!("{name:?}"))
    })
}

/// Refuses what reads a metric whose models have no folder.
fn has_models(models: &BTreeMap<Model, String>, metric: Metric, reader: &str) -> Result<(), InputError> {
    match metric.needs().iter().find(|model| !models.contains_key(model)) {
        None => Ok(()),
        Some(model) => {
            let expected = format!("{} folder, since {reader} reads {metric}", model.with_article());
            Err(bad(format!("quality.{model}"), &expected, "none"))
        }
    }
}

fn gate(index: usize, wire: WireGate) -> Result<Gate, InputError> {
    let field = |key: &str| format!("quality.gate[{index}] {} {key}", wire.metric);
    let statistic = match wire.quantile {
        None => Statistic::Mean,
        Some(q) => Statistic::Quantile(within(&field("quantile"), q, 0.001, 0.999)?),
    };
    let (key, other, threshold) = if wire.metric.higher_is_better() {
        ("at_least", wire.at_most, wire.at_least)
    } else {
        ("at_most", wire.at_least, wire.at_most)
    };
    let threshold = match (threshold, other) {
        (Some(value), None) if value.is_finite() => value,
        _ => return Err(bad(field(key), "exactly this bound, a finite number", "something else")),
    };
    let (low, high) = wire.metric.range();
    within(&field(key), threshold, low, high)?;
    Ok(Gate { metric: wire.metric, statistic, threshold, reason: wire.reason })
}

fn level(field: &str, wire: Option<f64>) -> Result<f64, InputError> {
    within(field, wire.unwrap_or(DEFAULT_LEVEL), LOWEST_LEVEL, HIGHEST_LEVEL)
}

fn score(wire: &WireScore, task: TaskRef) -> Result<ScoreSpec, InputError> {
    Ok(ScoreSpec {
        level: level("score.level", wire.level)?,
        min_speedup: within("score.min_speedup", wire.min_speedup.unwrap_or(1.0), 1.0, 100.0)?,
        similarity: similarity(wire.similarity.as_deref(), task)?,
        similarity_gate: within("score.similarity_gate", wire.similarity_gate.unwrap_or(0.0), -1.0, 0.999)?,
        similarity_exponent: within(
            "score.similarity_exponent",
            wire.similarity_exponent.unwrap_or(0.5),
            0.0,
            16.0,
        )?,
        limits: limits(&wire.limits, task)?,
    })
}

/// Bounds on what only answers in parts have, and energy for each unit, are for tasks whose answers have units.
fn limits(limits: &[Limit], task: TaskRef) -> Result<Vec<Limit>, InputError> {
    for (index, limit) in limits.iter().enumerate() {
        let field = |key: &str| format!("score.limit[{index}].{key}");
        if task.unit().is_none() {
            let expected = format!("none: {} come whole", task.answer().several);
            return Err(bad(field("of"), &expected, limit.of));
        }
        if limits[..index].iter().any(|other| other.of == limit.of) {
            return Err(bad(field("of"), "a bound named once", format!("the {} twice", limit.of)));
        }
        within(&field("at_most"), limit.at_most, 0.001, 1000.0)?;
    }
    Ok(limits.to_vec())
}

/// A metric of the task that a score can multiply speed with: the last of them, where none is named. A name is written
/// with hyphens, and may be with underscores.
fn similarity(name: Option<&str>, task: TaskRef) -> Result<Metric, InputError> {
    let known: Vec<Metric> = Metric::of_task(task.name()).filter(|metric| metric.is_similarity()).collect();
    let found = match name {
        // A task without metrics of its own has nothing that this could say.
        None => known.last().copied().or_else(|| Metric::all().find(|metric| metric.is_similarity())),
        Some(name) => known.iter().copied().find(|metric| metric.name() == name.replace('-', "_")),
    };
    found.ok_or_else(|| {
        let names: Vec<String> = known.iter().map(|metric| metric.to_string().replace('_', "-")).collect();
        bad(
            "score.similarity",
            &format!("one of {}", names.join(", ")),
            format!("{:?}", name.unwrap_or("none")),
        )
    })
}

fn copies(wire: &WireCopies) -> Result<CopiesSpec, InputError> {
    let usual = CopiesSpec::default();
    // Less than half of another's weights is not told from chance by all that is compared.
    let share = |name: &str, value: Option<f64>, usual: f64, least: f64| {
        within(name, value.unwrap_or(usual), least, 1.0)
    };
    Ok(CopiesSpec {
        weights: share("copies.weights", wire.weights, usual.weights, 0.5)?,
        engine: share("copies.engine", wire.engine, usual.engine, 0.1)?,
        settings: share("copies.settings", wire.settings, usual.settings, 0.1)?,
    })
}

fn rewards(wire: &WireRewards) -> Result<Rewards, InputError> {
    if let Some(fallback) = &wire.fallback {
        check_name("rewards.fallback", fallback)?;
    }
    Ok(Rewards {
        formula: wire.formula.unwrap_or(RewardFormula::Tiers),
        top_tier_share: within("rewards.top_tier_share", wire.top_tier_share.unwrap_or(0.8), 0.5, 1.0)?,
        margin: within("rewards.margin", wire.margin.unwrap_or(0.0), 0.0, 10.0)?,
        fallback: wire.fallback.clone(),
    })
}
