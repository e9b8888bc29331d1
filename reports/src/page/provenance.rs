//! Where the page comes from: machine, pins, digests, and the commands that make it again.

use edgemaxx_contract::contest::DeviceKind;
use edgemaxx_contract::environment::{Build, Card, Environment};
use edgemaxx_contract::plan::Extent;
use edgemaxx_contract::run_files::SAMPLES_FILE;
use serde::Serialize;

use super::Fact;
use crate::escape::visible;
use crate::number;
use crate::view::RunView;

/// Environment, digests, commands.
#[derive(Debug, Serialize)]
pub(crate) struct Provenance {
    pub environment: Vec<Fact>,
    pub pins: Vec<String>,
    pub unfit: Vec<String>,
    pub baseline: Vec<Fact>,
    pub digests: Vec<Fact>,
    pub commands: String,
}

/// All of it.
pub(crate) fn provenance(view: &RunView<'_>) -> Provenance {
    let e = view.environment;
    let gpus = if e.gpus.is_empty() { "none".to_owned() } else { visible(&e.gpus.join(", ")) };
    let mut digests: Vec<Fact> =
        view.files.iter().map(|f| Fact::new(visible(&f.name), f.digest.to_string())).collect();
    digests.extend([
        Fact::new("contest", view.plan.contest.digest.to_string()),
        Fact::new(
            format!("prompts {}", visible(&view.plan.prompts.file)),
            view.plan.prompts.digest.to_string(),
        ),
        Fact::new("plan", view.estimates.plan.to_string()),
        Fact::new("head of the samples' hash chain", view.log.chain.head().to_string()),
    ]);
    Provenance {
        environment: vec![
            Fact::new("EdgeMaxx", visible(&e.edgemaxx)),
            Fact::new("Built", e.build.as_ref().map_or_else(|| "not recorded".to_owned(), built)),
            Fact::new("System", visible(&e.os)),
            Fact::new("Processor", format!("{} ({} usable)", visible(&e.cpu), e.cpus)),
            Fact::new("Memory", number::bytes(e.memory_bytes)),
            Fact::new("GPUs", gpus),
            Fact::new("Device of the contest", device(view)),
            Fact::new("Card that engines saw", cards(e)),
            Fact::new("Sandbox", visible(&e.sandbox.to_string())),
            Fact::new(
                "Protocol's own share of every latency",
                number::optional(e.protocol_ns.map(|ns| ns as f64 / 1e6), |ms| {
                    format!("{} ms", number::significant(ms, 3))
                }),
            ),
            Fact::new("Threads per engine", view.plan.measurement.threads.to_string()),
            Fact::new("Measurement began", number::utc(view.log.header.started_unix_ms)),
            Fact::new("Entropy of the plan", visible(view.plan.entropy.as_str())),
        ],
        pins: e.pins.iter().map(|pin| visible(pin)).collect(),
        unfit: e.unfit.iter().map(|reason| visible(reason)).collect(),
        baseline: super::candidate::settings(view.plan.task, view.plan.baseline()),
        digests,
        commands: commands(view),
    }
}

fn built(build: &Build) -> String {
    let Build { commit, profile, rustc, features } = build;
    let features = if features.is_empty() { "none".to_owned() } else { features.join(", ") };
    visible(&format!("commit {commit}, profile {profile}, {rustc}, features: {features}"))
}

fn card(card: &Card) -> String {
    let driver = card.driver.as_ref().map_or_else(String::new, |driver| format!(", driver {driver}"));
    visible(&format!("{}: {}{driver}", card.index, card.name))
}

/// The card that engines saw, of each lane where there are several.
fn cards(environment: &Environment) -> String {
    let own = |of: &Environment| of.card.as_ref().map_or_else(|| "none".to_owned(), card);
    if environment.lanes.is_empty() {
        return own(environment);
    }
    let each = environment.lanes.iter().enumerate();
    each.map(|(lane, of)| format!("lane {lane}: {}", own(of))).collect::<Vec<_>>().join("; ")
}

/// The contest's device in words.
pub(crate) fn device(view: &RunView<'_>) -> String {
    let kind = match view.plan.device.kind {
        DeviceKind::Cpu => "CPU",
        DeviceKind::Cuda => "CUDA",
        DeviceKind::Metal => "Metal",
    };
    view.plan
        .device
        .name
        .as_deref()
        .map_or_else(|| kind.to_owned(), |name| format!("{kind}: {}", visible(name)))
}

fn commands(view: &RunView<'_>) -> String {
    let plan = view.plan;
    // Entropy may hold any visible character; this goes into a shell.
    let entropy = plan.entropy.as_str();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@".contains(c);
    let entropy = if entropy.chars().all(plain) {
        entropy.to_owned()
    } else {
        format!("'{}'", entropy.replace('\'', r"'\''"))
    };
    let quick = if plan.extent == Extent::Quick { " --quick" } else { "" };
    let lanes = if plan.lanes > 1 { format!(" --lanes {}", plan.lanes) } else { String::new() };
    let samples = view.files.iter().filter(|f| f.name.ends_with(SAMPLES_FILE));
    let check: String =
        samples.map(|f| format!("echo '{}  {}' | sha256sum --check\n", f.digest, f.name)).collect();
    let models = view.quality.header.models.iter();
    let models: Vec<String> = models
        .map(|(model, digest)| format!("--{model} DIR, the folder of digest {}", digest.short()))
        .collect();
    let elsewhere = if models.is_empty() {
        String::new()
    } else {
        format!("   # elsewhere with {}", models.join(" and "))
    };
    format!(
        "# in the run folder: from the recorded samples and answers, every later file again, byte for byte\n\
         {check}\
         edgemaxx quality .{elsewhere}\n\
         edgemaxx analyze .\n\
         edgemaxx rank .\n\
         edgemaxx report .\n\
         \n\
         # beside the contest's prompts and models: the same plan measured anew\n\
         edgemaxx run contest.toml --day {} --entropy {entropy}{quick}{lanes}\n",
        plan.day,
    )
}
