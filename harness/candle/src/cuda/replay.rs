//! A step recorded once and replayed: a CUDA graph, which spares the processor the launches.
use super::Cuda;
use crate::error::Result;
use candle_core::{Error, Tensor};
use cudarc::driver::CudaGraph;
use cudarc::driver::sys::{CUgraphInstantiate_flags, CUstreamCaptureMode};

/// What a recording takes is larger by one in so many than what its tensors hold at once, for the holes between them.
const BESIDE: usize = 4;

/// A recorded computation. Its inputs are the tensors it read when it was recorded; write new numbers into them.
pub(crate) struct Replay {
    graph: CudaGraph,
    output: Tensor,
}

// SAFETY: the pipeline that owns it lets one thread at a time use it.
unsafe impl Send for Replay {}

impl Cuda {
    /// Runs `work` once as it is, so that kernels and algorithms are loaded, and once more to record it. Memory that it
    /// takes and frees belongs to the recording; only its result stays.
    ///
    /// The recording begins by taking and freeing all that it takes at once: the driver then lays what follows into that
    /// one block. It refuses to move a process off the card (error 801 of `cuCheckpointProcessCheckpoint`, driver 580)
    /// whose recordings have several large blocks, three of 170 MiB for example.
    pub(crate) fn record(&self, work: &mut dyn FnMut() -> Result<Tensor>) -> Result<Replay> {
        let stream = self.shared.device.cuda_stream();
        // candle uploads small shape tables now and then; while recording they come from the first run
        let _tables = self.shared.device.enable_cuda_graph_htod_cache();
        let (output, most) = self.most_memory(&mut *work)?;
        // what this run freed would lie beside what the recording takes
        self.trim()?;
        stream.begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED).map_err(Error::wrap)?;
        // SAFETY: nothing reads it.
        let block = unsafe { self.shared.device.alloc::<u8>((most + most / BESIDE).max(1)) }.map(drop);
        let recorded = block
            .map_err(Into::into)
            .and_then(|()| work())
            .and_then(|again| Ok(output.slice_set(&again, 0, 0)?));
        let graph = stream.end_capture(CUgraphInstantiate_flags(0)).map_err(Error::wrap);
        recorded?;
        let graph = graph?.ok_or_else(|| Error::Msg("the driver recorded nothing".to_owned()))?;
        Ok(Replay { graph, output })
    }
}

impl Replay {
    /// Computes anew from what the inputs hold now; the result is overwritten by the next call.
    pub(crate) fn run(&self) -> candle_core::Result<&Tensor> {
        self.graph.launch().map_err(Error::wrap)?;
        Ok(&self.output)
    }
}
