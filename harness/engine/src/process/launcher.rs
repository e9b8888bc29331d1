//! Launches the processes of a plan's pipelines.

use std::collections::BTreeMap;

use edgemaxx_contract::plan::PipelinePlan;
use edgemaxx_contract::sample::{Failure, FailureKind};
use edgemaxx_protocol::Load;

use super::driver::ProcessEngine;
use super::spec::ProcessSpec;
use crate::engine::{Launched, Launcher};

/// What each pipeline's process is started with and is to load, by the pipeline's name.
#[derive(Debug, Clone, Default)]
pub struct ProcessLauncher {
    pipelines: BTreeMap<String, Result<(ProcessSpec, Load), Failure>>,
}

impl ProcessLauncher {
    /// Knows no pipeline.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces a pipeline.
    pub fn insert(&mut self, name: &str, process: ProcessSpec, load: Load) {
        self.pipelines.insert(name.to_owned(), Ok((process, load)));
    }

    /// Adds or replaces a pipeline that cannot be launched: that is what each of its launches fails with.
    pub fn insert_failed(&mut self, name: &str, failure: Failure) {
        self.pipelines.insert(name.to_owned(), Err(failure));
    }
}

impl Launcher for ProcessLauncher {
    fn launch(&mut self, pipeline: &PipelinePlan) -> Result<Launched, Failure> {
        let known = self.pipelines.get(&pipeline.name).ok_or_else(|| Failure {
            kind: FailureKind::Spawn,
            detail: format!("nobody said how to start pipeline {:?}", pipeline.name),
        })?;
        let (process, load) = known.as_ref().map_err(Failure::clone)?;
        let (engine, info, launch_ns) = ProcessEngine::launch(process)?;
        Ok(Launched { engine: Box::new(engine), info, launch_ns, load: load.clone() })
    }
}
