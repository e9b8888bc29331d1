//! Of a contest's file: the baseline and the candidates.

use super::super::engine::{EngineSpec, engine};
use super::super::spec::{BaselineSpec, CandidateSpec, CheckpointSpec, Recipe};
use super::super::wire::{WireBaseline, WireCandidate, WireRecipe};
use crate::input::{InputError, bad, within};
use crate::task::{Settings, SettingsPatch};

/// A pipeline's name goes into file names and tables.
pub(super) fn check_name(field: &str, name: &str) -> Result<(), InputError> {
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

pub(super) fn baseline(wire: WireBaseline, settings: Settings) -> Result<BaselineSpec, InputError> {
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

pub(super) fn candidate_spec(
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
