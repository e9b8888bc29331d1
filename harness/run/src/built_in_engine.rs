//! The built-in engine as a process: edgemaxx-candle behind the protocol, for every task that it can do.

use edgemaxx_candle::{Accelerator, DType};
use edgemaxx_contract::contest::{DeviceKind, EngineSpec};
use edgemaxx_contract::dtype::Dtype;
use edgemaxx_protocol::Hello;

use crate::error::RunError;
use crate::task;

/// The contract's number format in the engine's words.
pub fn engine_dtype(dtype: Dtype) -> DType {
    match dtype {
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::Bf16 => DType::BF16,
    }
}

/// The device that the built-in engine computes on where a contest is for a kind of devices.
pub fn accelerator(kind: DeviceKind) -> Accelerator {
    match kind {
        DeviceKind::Cuda => Accelerator::Cuda,
        DeviceKind::Cpu | DeviceKind::Metal => Accelerator::Cpu,
    }
}

/// Serves the harness with a built-in engine on a device, with the task that it asks for.
///
/// # Errors
/// The harness is gone, or does not keep to the protocol.
pub fn serve(engine: &EngineSpec, device: Accelerator) -> Result<(), edgemaxx_engine::ServeError> {
    let name = match engine {
        EngineSpec::CandleTransformers => EngineSpec::CANDLE_TRANSFORMERS,
        _ => "edgemaxx-candle",
    };
    let hello = Hello { engine: name.to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
    let load = |load: &_| {
        let load: &edgemaxx_engine::Load = load;
        let kit = task::of_name(&load.task).map_err(|error: RunError| error.words())?;
        let native = kit.built_in(engine);
        native
            .ok_or_else(|| format!("the built-in engine cannot do the task {:?}", load.task))?
            .load(device, load)
    };
    edgemaxx_engine::serve(&hello, load).map(|_| ())
}
