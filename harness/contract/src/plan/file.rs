//! `plan.json` as it stands in the file, before its task has looked into it.

use serde::Deserialize;
use serde_json::Value;

use super::types::{
    ContestRef, Day, Entropy, Extent, PipelinePlan, Plan, PlannedRequest, PlannedSession, PromptsRef, Role,
};
use crate::contest::{CheckpointSpec, Device, EngineSpec, Measurement};
use crate::digest::Digest;
use crate::format::{self, Document, DocumentError, Format};
use crate::input::{Input, InputError};
use crate::task;

#[derive(Deserialize)]
struct PlanFile {
    #[serde(flatten)]
    format: Format,
    contest: ContestRef,
    prompts: PromptsRef,
    day: Day,
    entropy: Entropy,
    extent: Extent,
    #[serde(default = "super::types::one")]
    lanes: u32,
    device: Device,
    task: String,
    request: Value,
    measurement: Measurement,
    pipelines: Vec<PipelineFile>,
    requests: Vec<RequestFile>,
    sessions: Vec<PlannedSession>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PipelineFile {
    name: String,
    role: Role,
    description: String,
    checkpoint: CheckpointSpec,
    digest: Digest,
    settings: Value,
    engine: EngineSpec,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestFile {
    id: u32,
    seed: u64,
    ask: Value,
}

impl PlanFile {
    fn checked(self) -> Result<Plan, InputError> {
        let task = task::by_name(&self.task)?;
        let mut pipelines = Vec::with_capacity(self.pipelines.len());
        for (index, file) in self.pipelines.into_iter().enumerate() {
            let input = Input::json(format!("pipelines[{index}].settings"), &file.settings);
            pipelines.push(PipelinePlan {
                settings: task.settings(&input)?,
                name: file.name,
                role: file.role,
                description: file.description,
                checkpoint: file.checkpoint,
                digest: file.digest,
                engine: file.engine,
            });
        }
        let mut requests = Vec::with_capacity(self.requests.len());
        for (index, file) in self.requests.into_iter().enumerate() {
            let ask = task.ask(&Input::json(format!("requests[{index}].ask"), &file.ask))?;
            requests.push(PlannedRequest { id: file.id, seed: file.seed, ask });
        }
        Ok(Plan {
            format: self.format,
            contest: self.contest,
            prompts: self.prompts,
            day: self.day,
            entropy: self.entropy,
            extent: self.extent,
            lanes: self.lanes,
            device: self.device,
            task,
            request: task.request(&Input::json("request", &self.request))?,
            measurement: self.measurement,
            pipelines,
            requests,
            sessions: self.sessions,
        })
    }
}

impl Document for Plan {
    fn expected_format() -> Format {
        Format::new("edgemaxx-plan", 2)
    }

    fn format(&self) -> &Format {
        &self.format
    }

    fn to_json(&self) -> String {
        format::write(self)
    }

    fn from_json(text: &str) -> Result<Self, DocumentError> {
        let file: PlanFile = format::read(text, &Self::expected_format())?;
        Ok(file.checked()?)
    }
}
