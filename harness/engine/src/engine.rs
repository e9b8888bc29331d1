//! What the harness asks of an engine, whether it is a process or a mock.

use edgemaxx_contract::plan::PipelinePlan;
use edgemaxx_contract::sample::{EngineInfo, Failure};
use edgemaxx_protocol::{Load, Ready};

/// A launched engine.
///
/// Failures of kind `refused` and `picture` leave it usable; after any other it must be closed.
pub trait Engine {
    /// Loads the checkpoint.
    ///
    /// # Errors
    /// The failure to be recorded.
    fn load(&mut self, load: &Load) -> Result<Loaded, Failure>;

    /// Answers are waited for this long from now on, seconds.
    fn set_patience(&mut self, _seconds: f64) {}

    /// Makes one picture.
    ///
    /// # Errors
    /// The failure to be recorded.
    fn generate(&mut self, request: &Request<'_>) -> Result<Answer, Failure>;

    /// Processor time of its whole process tree so far, nanoseconds; `None` where it is not known.
    fn cpu_ns(&self) -> Option<u64> {
        None
    }

    /// The process whose descendants are the engine's; `None`: there is no process.
    fn root(&self) -> Option<u32> {
        None
    }

    /// Says goodbye, waits, and ends whatever is left of the process tree. Idempotent.
    fn close(&mut self) -> Closed;
}

/// Launches the process of a pipeline.
pub trait Launcher {
    /// Starts the process and waits for its `hello`.
    ///
    /// # Errors
    /// The failure to be recorded.
    fn launch(&mut self, pipeline: &PipelinePlan) -> Result<Launched, Failure>;
}

/// A process that said hello.
pub struct Launched {
    /// To talk to.
    pub engine: Box<dyn Engine>,
    /// What it says it is.
    pub info: EngineInfo,
    /// Spawn to `hello`, nanoseconds.
    pub launch_ns: u64,
    /// What it is to load.
    pub load: Load,
}

/// A loaded checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loaded {
    /// Shape of the latents it takes.
    pub ready: Ready,
    /// `load` sent to `ready` received, nanoseconds.
    pub load_ns: u64,
}

/// One picture to be made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Request<'a> {
    /// Unique on this engine.
    pub id: u64,
    /// What the picture should show.
    pub prompt: &'a str,
    /// What it should not show.
    pub negative_prompt: &'a str,
    /// Seed of the latents.
    pub seed: u64,
    /// Denoising steps.
    pub steps: u32,
    /// Classifier-free guidance.
    pub guidance_scale: f64,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Channels, height and width of the latents.
    pub latent_shape: [u32; 3],
    /// Initial noise, row-major, standard normal.
    pub latents: &'a [f32],
}

/// A picture of the size asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Request fully sent to picture fully received, nanoseconds.
    pub latency_ns: u64,
    /// What the engine says it took, nanoseconds.
    pub engine_ns: Option<u64>,
    /// `width × height × 3` bytes, rows from the top.
    pub rgb: Vec<u8>,
}

/// What is known of a process tree after its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Closed {
    /// Peak resident memory, bytes: the sum over its processes of each one's own peak.
    pub peak_rss_bytes: Option<u64>,
    /// It had to be killed: it ignored both `bye` and SIGTERM.
    pub forced: bool,
    /// After `bye` it exited by itself, in time, with status 0.
    pub clean_exit: bool,
}
