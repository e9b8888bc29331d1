use super::*;
use crate::dtype::Dtype;
use crate::input::InputError;
use crate::task::{self, picture};

const CONTEST: &str = r#"
format = 1
name = "demo"
[device]
kind = "cpu"
[request]
prompts = "p.txt"
width = 64
height = 64
[baseline]
checkpoint = "model"
generation = { steps = 20, guidance_scale = 5.0 }
[[candidate]]
name = "fast"
generation = { steps = 10 }
[quality]
clip = "clip"
[[quality.gate]]
metric = "clip_image_cosine"
at_least = 0.9
reason = "because"
"#;

fn error(from: &str, to: &str) -> String {
    assert!(CONTEST.contains(from), "the sample holds {from:?}");
    Contest::parse(&CONTEST.replace(from, to)).unwrap_err().to_string()
}

#[test]
fn a_contest_is_read_with_its_defaults() {
    let contest = Contest::parse(CONTEST).unwrap();
    let settings = contest.task.patched(&contest.baseline.settings, &contest.candidates[0].settings).unwrap();
    let settings: picture::Settings = settings.view().unwrap();
    assert_eq!((settings.steps, settings.guidance_scale, settings.dtype), (10, 5.0, Dtype::F32));
    assert_eq!(contest.candidates[0].checkpoint, contest.baseline.checkpoint);
    assert_eq!(contest.measurement.sessions, 8);
    assert_eq!(contest.rewards.top_tier_share, 0.8);
}

#[test]
fn candidates_have_the_baselines_unet_unless_they_name_a_checkpoint() {
    let text = CONTEST.replacen("generation = {", "unet = \"student\"\ngeneration = {", 1);
    let text = format!(
        "{text}\n[[candidate]]\nname = \"plain\"\ncheckpoint = {:?}\n[[candidate]]\nname = \"other\"\nunet = \"other\"\n\
         [[candidate]]\nname = \"again\"\ncontrol = true\n",
        Contest::parse(CONTEST).unwrap().baseline.checkpoint.source
    );
    let contest = Contest::parse(&text).unwrap();
    assert_eq!(contest.baseline.checkpoint.unet.as_deref(), Some("student"));
    let unet_of = |name: &str| {
        let candidate = contest.candidates.iter().find(|candidate| candidate.name == name).unwrap();
        candidate.checkpoint.unet.as_deref()
    };
    let found = ["fast", "plain", "other", "again"].map(unet_of);
    assert_eq!(found, [Some("student"), None, Some("other"), Some("student")]);
}

#[test]
fn unknown_keys_name_line_and_alternatives() {
    let message = error("width = 64", "widht = 64");
    assert!(
        message.contains("line 8") && message.contains("widht") && message.contains("width"),
        "{message}"
    );
}

#[test]
fn values_out_of_range_name_the_key() {
    for (from, to, expected) in [
        ("format = 1", "format = 2", "format: expected 1"),
        ("width = 64", "width = 0", "request.width"),
        ("steps = 10", "steps = 0", "candidate[0] \"fast\" generation.steps"),
        ("name = \"fast\"", "name = \"baseline\"", "a name used once"),
        ("name = \"fast\"", "name = \"../up\"", "candidate[0]"),
        ("name = \"fast\"", "name = \"fast\"\ncontrol = true", "control"),
        ("at_least = 0.9", "at_most = 0.9", "quality.gate[0] clip_image_cosine at_least"),
        ("at_least = 0.9", "at_least = nan", "at_least"),
        ("at_least = 0.9", "at_least = 7.0", "clip_image_cosine at_least: expected a value from -1 to 1"),
        ("width = 64\nheight = 64", "width = 8192\nheight = 4097", "at most 33554432 pixels"),
        ("clip = \"clip\"", "", "quality.clip"),
        ("guidance_scale = 5.0", "guidance_scale = nan", "guidance_scale"),
        ("[quality]", "[measurement]\nsessions = 0\n[quality]", "measurement.sessions"),
        ("[quality]", "[measurement]\nwarmup_min = 5\nwarmup_max = 4\n[quality]", "measurement.warmup_max"),
    ] {
        let message = error(from, to);
        assert!(message.contains(expected), "{to}: {message}");
    }
}

#[test]
fn a_candidate_file_is_read() {
    let text = "[generation]\nsteps = 4\n[engine]\ncommand = [\"python3\", \"e.py\"]";
    let file = CandidateFile::parse(text, task::DEFAULT).unwrap();
    let patch: picture::SettingsPatch = file.settings.view().unwrap();
    assert_eq!(patch, picture::SettingsPatch { steps: Some(4), ..Default::default() });
    let Some(EngineSpec::Command(command)) = file.engine else { panic!("a command") };
    assert!(command.own && command.files.is_empty() && command.resources == Resources::default());
    let file = "[engine]\ncommand = [\"./e\"]\nfiles = [\"lib\"]\nneeds = [\"nvcc\"]\nresources = { memory_mib = 4096 }";
    let Some(EngineSpec::Command(command)) = CandidateFile::parse(file, task::DEFAULT).unwrap().engine else {
        panic!()
    };
    assert_eq!((command.files[0].as_str(), command.needs[0].as_str()), ("lib", "nvcc"));
    assert_eq!(command.resources.memory_mib, Some(4096));
}

fn parse_candidate(text: &str) -> Result<CandidateFile, InputError> {
    CandidateFile::parse(text, task::DEFAULT)
}

#[test]
fn what_is_the_tasks_is_refused_at_its_place() {
    for (from, to, line, expected) in [
        ("steps = 20, guidance_scale = 5.0", "steps = 20", 12, "missing field `guidance_scale`"),
        ("steps = 10", "step = 10", 15, "unknown field `step`"),
        ("height = 64", "height = \"tall\"", 9, "invalid type: string \"tall\", expected u32"),
        ("prompts = \"p.txt\"\n", "", 6, "missing field `prompts`"),
    ] {
        let message = error(from, to);
        assert!(
            message.contains(expected) && message.contains(&format!("at line {line}, ")),
            "{to}: {message}"
        );
    }
    let message = parse_candidate("[generation]\n\nstep = 4").unwrap_err().to_string();
    assert!(message.contains("line 3") && message.contains("unknown field `step`"), "{message}");
}

#[test]
fn a_contest_names_its_task() {
    let named = CONTEST.replace("name = \"demo\"", "name = \"demo\"\ntask = \"picture\"");
    assert_eq!(Contest::parse(&named).unwrap().task, Contest::parse(CONTEST).unwrap().task);
    assert!(
        error("name = \"demo\"", "name = \"demo\"\ntask = \"x\"").starts_with("task: expected \"picture\"")
    );
}

#[test]
fn a_bad_candidate_file_names_the_key() {
    for (engine, expected) in [
        ("native = true\ncommand = [\"x\"]", "engine: expected native = true, or command"),
        ("command = []", "engine: expected"),
        (
            "native = true\nfiles = [\"x\"]",
            "engine: expected files, needs, install and resources beside a command only",
        ),
        ("command = [\"x\"]\nneeds = [\"/bin/sh\"]", "engine.needs: expected names of programs"),
        (
            "command = [\"x\"]\nresources = { processes = 0 }",
            "engine.resources.processes: expected a value from 1",
        ),
        ("comand = [\"x\"]", "unknown field `comand`"),
    ] {
        let message = parse_candidate(&format!("[engine]\n{engine}\n")).unwrap_err().to_string();
        assert!(message.contains(expected), "{engine}: {message}");
    }
}

#[test]
fn every_contest_that_is_shipped_can_be_read() {
    for (name, text) in [
        ("emoji-cpu", include_str!("../../../../fixtures/contests/emoji-cpu.toml")),
        ("sdxl-newdream-4090", include_str!("../../../../fixtures/contests/sdxl-newdream-4090.toml")),
        ("sdxl-newdream-m2", include_str!("../../../../fixtures/contests/sdxl-newdream-m2.toml")),
    ] {
        let read = Contest::parse(text);
        assert!(read.is_ok(), "{name}: {}", read.unwrap_err());
    }
}

#[test]
fn candidates_share_a_baseline_where_one_process_is_in_memory_at_a_time() {
    let with = |more: &str| {
        let text = CONTEST.replacen("[quality]", &format!("[measurement]\n{more}\n[quality]"), 1);
        Contest::parse(&text).map(|contest| contest.measurement)
    };
    assert_eq!(with("").unwrap().block, 1);
    assert_eq!(with("residency = \"alternating\"").unwrap().block, 12);
    assert_eq!(with("residency = \"alternating\"\nblock = 1").unwrap().block, 1);
    assert!(with("residency = \"swapped\"").unwrap_err().to_string().contains("no memory of its own"));
    let early = with("sessions = 6\npairs = 20\nearly_rounds = 2").unwrap();
    assert_eq!((early.early_pairs, early.pairs_at_all(), early.pairs_in(2)), (7, 94, 20));
    for (more, expected) in [
        ("block = 0", "measurement.block"),
        ("pairs = 4\nearly_rounds = 1\nearly_pairs = 5", "measurement.early_pairs"),
        ("sessions = 4\nearly_rounds = 5", "measurement.early_rounds"),
        ("early_pairs = 2", "measurement.early_rounds beside it"),
    ] {
        let error = with(more).unwrap_err().to_string();
        assert!(error.contains(expected), "{more}: {error}");
    }
}
