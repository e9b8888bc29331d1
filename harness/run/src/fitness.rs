//! Whether this machine is fit to measure, and its clocks.

use std::path::{Path, PathBuf};

use edgemaxx_contract::contest::{Device, DeviceKind};
use edgemaxx_engine::SandboxStatus;
use edgemaxx_measure::preflight::{
    Check, ClockError, Fitness, Lock, NvmlClocks, Wanted, checks, gather, leftover, lock, restore,
};

use crate::error::{Class, Result, RunError};
use crate::progress::Observer;

/// A GPU of any name where there is one, else the processor.
pub fn any_device() -> Wanted {
    let kind = if edgemaxx_measure::gpu_names().is_empty() { DeviceKind::Cpu } else { DeviceKind::Cuda };
    Wanted { device: Device { kind, name: None, free_memory_mib: None, driver: None }, threads: 1 }
}

/// All checks of this machine; `folder` is where the run is written.
pub fn examine(wanted: &Wanted, sandbox: &SandboxStatus, folder: &Path) -> Vec<Check> {
    // Engines see the first GPU by PCI bus.
    let gpu = (wanted.device.kind == DeviceKind::Cuda).then_some(0);
    checks(wanted, &gather(gpu, sandbox, folder))
}

/// What a run does with what was found: ends, or goes on and says so. What keeps weights from it.
///
/// # Errors
/// The machine is unfit, and that is not allowed.
pub fn judge(found: &[Check], allow_unfit: bool, observer: &dyn Observer) -> Result<Vec<String>> {
    let words = |check: &Check| format!("{}: {}: {}", check.name, check.found, check.cure);
    let unfit: Vec<String> = found.iter().filter(|c| c.fitness == Fitness::Unfit).map(words).collect();
    if !unfit.is_empty() && !allow_unfit {
        return Err(RunError::of(
            Class::Environment,
            format!(
                "this machine is not fit for the contest, and nothing was measured:\n{}\nmend it (`edgemaxx doctor` tells more), or measure all the same by --allow-unfit: no weights can come of it",
                unfit.join("\n")
            ),
        ));
    }
    for check in found.iter().filter(|check| check.fitness == Fitness::Advice) {
        observer.note(&format!("advice: {}", words(check)));
    }
    let marked: Vec<String> = found.iter().filter(|c| c.fitness >= Fitness::NoWeights).map(words).collect();
    for reason in &marked {
        observer.note(&format!("warning: no weights can come of this run: {reason}"));
    }
    Ok(marked)
}

/// Locks the GPU's clocks for this run to what it holds by default, or at most.
///
/// # Errors
/// There is no GPU, or its clocks cannot be locked.
pub fn lock_clocks(observer: &dyn Observer) -> Result<Lock> {
    let facts = gather(Some(0), &SandboxStatus::Unsandboxed { reason: String::new() }, Path::new("."));
    let gpu = match facts.gpu {
        Some(Ok(gpu)) => gpu,
        Some(Err(why)) => return Err(RunError::of(Class::Environment, format!("--lock-clocks: {why}"))),
        None => return Err(RunError::input("--lock-clocks: no GPU is used")),
    };
    let mhz = gpu.default_clock_mhz.or(gpu.clock_mhz.map(|(_, most)| most)).ok_or_else(|| {
        RunError::of(Class::Environment, "--lock-clocks: the driver does not tell its clocks")
    })?;
    let held = lock(&state_folder(), Box::new(NvmlClocks), gpu.index, mhz).map_err(clock_failure)?;
    observer.note(&format!("GPU {}: clocks locked to {mhz} MHz for this run", gpu.index));
    Ok(held)
}

/// Puts back the clocks that are locked, whoever locked them; the GPU, if there was one.
///
/// # Errors
/// They cannot be put back.
pub fn restore_clocks() -> Result<Option<u32>> {
    restore(&state_folder(), &mut NvmlClocks).map_err(clock_failure)
}

/// Puts back the clocks that a crashed run left locked.
pub fn put_back_leftovers(observer: &dyn Observer) {
    match leftover(&state_folder(), &mut NvmlClocks) {
        Ok(None) => {}
        Ok(Some(gpu)) => {
            observer.note(&format!("GPU {gpu}: put back the clocks that a run which crashed had locked"))
        }
        Err(error @ ClockError::State { .. }) => {
            observer.note(&format!(
                "warning: cannot tell whether a run that crashed left clocks locked: {error}"
            ));
        }
        Err(error) => observer.note(&format!("warning: a run that crashed left clocks locked: {error}")),
    }
}

fn clock_failure(error: ClockError) -> RunError {
    RunError::of(Class::Environment, error.to_string())
}

/// Where it is kept what must be put back.
fn state_folder() -> PathBuf {
    crate::state::state_folder().unwrap_or_else(|| std::env::temp_dir().join("edgemaxx"))
}
