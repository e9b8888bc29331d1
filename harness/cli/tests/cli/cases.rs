//! Reports of other tools tried on this one: checkpoints that cannot draw, folders that lead elsewhere or never end,
//! texts in another encoding. What is refused is refused when it is planned, with the words that help.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::plan::Plan;
use edgemaxx_engine::{SandboxStatus, User, detect_sandbox};
use serde_json::{Value, json};

use crate::common::{Playground, copy_folder, edgemaxx, repository};

/// Longer than planning takes anywhere, and shorter than for ever.
const LONG: Duration = Duration::from_secs(300);

fn said(output: &Output) -> (i32, String) {
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A contest of the tiny model against the candidate `mine`, whose folder is a copy of it.
fn ground() -> Playground {
    let it = Playground::native("[[candidate]]\nname = \"mine\"\ncheckpoint = \"mine\"\n");
    copy_folder(&repository("fixtures/models/emoji-sdxl"), &it.path("mine"));
    it
}

fn verb(it: &Playground, verb: &str) -> (i32, String) {
    let mut command = edgemaxx();
    command.arg(verb).arg(it.contest()).timeout(LONG);
    if verb == "plan" {
        let _ = fs::remove_dir_all(it.path("out"));
        command.arg("--out").arg(it.path("out"));
    }
    said(&command.output().unwrap())
}

fn generate(it: &Playground, arguments: &[&str]) -> (i32, String) {
    let mut command = edgemaxx();
    command.args(["generate", "--prompt", "red apple", "--steps", "2", "--checkpoint"]);
    command.arg(it.path("mine")).args(arguments).timeout(LONG);
    if !arguments.contains(&"--out") {
        command.arg("--out").arg(it.path("x.png"));
    }
    said(&command.output().unwrap())
}

/// What [`verb`] planned.
fn planned(it: &Playground) -> Plan {
    Plan::from_json(&fs::read_to_string(it.path("out/plan.json")).unwrap()).unwrap()
}

/// Changes keys of a JSON file of the candidate.
fn edit(it: &Playground, file: &str, keys: &[(&str, Value)]) {
    let path = it.path("mine").join(file);
    let mut json: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    for (key, value) in keys {
        json[key] = value.clone();
    }
    fs::write(path, json.to_string()).unwrap();
}

/// Gives the candidate a scheduler, in both files that name it.
fn scheduler(it: &Playground, class: &str, keys: &[(&str, Value)]) {
    edit(it, "model_index.json", &[("scheduler", json!(["diffusers", class]))]);
    edit(it, SCHEDULER, &[("_class_name", json!(class))]);
    edit(it, SCHEDULER, keys);
}

/// As baseline refused by `plan` and `doctor`, as candidate warned of, and by `generate` in the same words.
fn cannot_draw(change: impl Fn(&Playground), words: &[&str]) {
    let it = ground();
    change(&it);
    let (code, message) = generate(&it, &[]);
    assert_eq!(code, 2, "generate: {message}");
    let holds = |message: &str, who: &str| {
        for word in words {
            assert!(message.contains(word), "{who}: {word:?} in {message}");
        }
        assert!(!message.contains("half"), "{who}: {message}");
    };
    holds(&message, "generate");
    for name in ["plan", "doctor"] {
        let (code, message) = verb(&it, name);
        assert!(name == "doctor" || code == 0, "{name}: {message}");
        assert!(
            message.contains("candidate \"mine\" cannot answer, and will be ranked as failed"),
            "{message}"
        );
        holds(&message, name);
    }
    as_baseline(&it);
    for name in ["plan", "doctor"] {
        let (code, message) = verb(&it, name);
        assert_eq!(code, 2, "{name}: {message}");
        assert!(message.contains("baseline.checkpoint: "), "{message}");
        holds(&message, name);
    }
}

/// Makes the candidate's checkpoint the baseline's.
fn as_baseline(it: &Playground) {
    let model = format!("{:?}", repository("fixtures/models/emoji-sdxl"));
    it.replace("contest.toml", &model, "\"mine\"");
    it.replace(
        "contest.toml",
        "[[candidate]]\nname = \"mine\"\ncheckpoint = \"mine\"\n",
        "[[candidate]]\nname = \"a\"\n",
    );
}

/// `plan` and `doctor` refuse the candidate's checkpoint, in these words, where it is the baseline's.
fn refused_as_baseline(it: &Playground, words: &str) {
    as_baseline(it);
    for name in ["plan", "doctor"] {
        let (code, message) = verb(it, name);
        assert!(
            code == 2 && message.contains("baseline.checkpoint: ") && message.contains(words),
            "{message}"
        );
    }
}

const SCHEDULER: &str = "scheduler/scheduler_config.json";
const UNET: &str = "unet/diffusion_pytorch_model.safetensors";

/// Who brings an engine may lay out files as that likes, and then nothing can be derived from them.
#[test]
fn a_recipe_for_files_of_an_engines_own_layout() {
    let it = ground();
    let mine = "checkpoint = \"mine\"\n";
    it.replace(
        "contest.toml",
        mine,
        &format!("{mine}derive = \"int8\"\nengine = {{ command = [\"true\"] }}\n"),
    );
    fs::remove_file(it.path("mine").join("model_index.json")).unwrap();
    for name in ["plan", "doctor"] {
        let (_, message) = verb(&it, name);
        let why = "candidate \"mine\" cannot answer, and will be ranked as failed: int8 cannot be derived from its checkpoint: ";
        assert!(message.contains(why) && message.contains("model_index.json"), "{name}: {message}");
    }
}

/// As baseline refused by `plan` and `doctor`, and as candidate warned of, though it can be loaded.
#[test]
fn schedules_that_make_no_numbers() {
    let it = ground();
    let last = [("predict_x0", json!(false)), ("final_sigmas_type", json!("zero"))];
    scheduler(&it, "UniPCMultistepScheduler", &last);
    let words = "scheduler_config.json with another final_sigmas_type, algorithm_type or predict_x0";
    let (code, message) = verb(&it, "plan");
    assert!(code == 0 && message.contains("cannot answer") && message.contains(words), "{message}");
    refused_as_baseline(&it, words);
}

#[test]
fn schedulers_that_nobody_here_knows() {
    for class in ["KDPM2DiscreteScheduler", "FlowMatchEulerDiscreteScheduler"] {
        cannot_draw(
            |it| edit(it, SCHEDULER, &[("_class_name", json!(class))]),
            &["scheduler_config.json", class],
        );
    }
    let name = |it: &Playground| {
        edit(
            it,
            "model_index.json",
            &[("scheduler", json!(["diffusers", "EDMDPMSolverMultistepScheduler"]))],
        );
    };
    cannot_draw(name, &["model_index.json", "`scheduler`", "EDMDPMSolverMultistepScheduler"]);
}

#[test]
fn sigmas_and_models_that_nobody_here_knows() {
    let two = [("use_karras_sigmas", json!(true)), ("use_beta_sigmas", json!(true))];
    cannot_draw(|it| edit(it, SCHEDULER, &two), &["scheduler_config.json", "use_beta_sigmas", "at most one"]);
    let continuous = [("timestep_type", json!("continuous"))];
    cannot_draw(|it| edit(it, SCHEDULER, &continuous), &["scheduler_config.json", "timestep_type"]);
    let steps = ["scheduler_config.json", "skip_prk_steps", "true"];
    cannot_draw(|it| scheduler(it, "PNDMScheduler", &[]), &steps);
    // The weights of what takes the scale are not there.
    cannot_draw(
        |it| edit(it, "unet/config.json", &[("time_cond_proj_dim", json!(256))]),
        &["unet/", "time_embedding.cond_proj.weight"],
    );
    let vae =
        |it: &Playground| edit(it, "model_index.json", &[("vae", json!(["diffusers", "AutoencoderTiny"]))]);
    cannot_draw(vae, &["model_index.json", "AutoencoderTiny", "AutoencoderKL"]);
}

#[test]
fn schedulers_that_are_known_draw() {
    let spread = |key: &'static str| [(key, json!(true))];
    for (class, keys) in [
        ("EulerAncestralDiscreteScheduler", vec![]),
        ("LCMScheduler", vec![]),
        ("DPMSolverMultistepScheduler", spread("use_karras_sigmas").to_vec()),
        ("EulerDiscreteScheduler", spread("use_exponential_sigmas").to_vec()),
    ] {
        let it = ground();
        scheduler(&it, class, &keys);
        let (code, message) = verb(&it, "plan");
        assert!(code == 0 && !message.contains("cannot answer"), "{class}: {message}");
        let (code, message) = generate(&it, &[]);
        assert_eq!(code, 0, "{class}: {message}");
        let first = fs::read(it.path("x.png")).unwrap();
        generate(&it, &[]);
        assert_eq!(first, fs::read(it.path("x.png")).unwrap(), "{class}: noise on the way is of the seed");
    }
}

#[test]
fn noise_alone_does_not_tell_a_picture() {
    let keys = [
        ("_class_name", json!("DDIMScheduler")),
        ("rescale_betas_zero_snr", json!(true)),
        ("timestep_spacing", json!("trailing")),
        ("prediction_type", json!("epsilon")),
    ];
    cannot_draw(|it| edit(it, SCHEDULER, &keys), &["rescale_betas_zero_snr", "epsilon", "v_prediction"]);
    let it = ground();
    edit(&it, SCHEDULER, &keys);
    edit(&it, SCHEDULER, &[("prediction_type", json!("v_prediction"))]);
    let (code, message) = generate(&it, &[]);
    assert_eq!(code, 0, "{message}");
}

/// A safetensors file whose matrices are stored as 8-bit floats.
fn in_eight_bits(path: &Path, kind: &str) {
    let bytes = fs::read(path).unwrap();
    let start = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Map<String, Value> = serde_json::from_slice(&bytes[8..start]).unwrap();
    let (mut tensors, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, info) in header.iter().filter(|(name, _)| *name != "__metadata__") {
        let shape = info["shape"].clone();
        let size = shape.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).product::<usize>();
        let at = data.len();
        data.resize(at + size, 0u8);
        tensors.insert(name.clone(), json!({"dtype": kind, "shape": shape, "data_offsets": [at, at + size]}));
    }
    let header = Value::Object(tensors).to_string().into_bytes();
    fs::write(path, [(header.len() as u64).to_le_bytes().as_slice(), &header, &data].concat()).unwrap();
}

#[test]
fn files_that_are_not_what_they_should_be() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 5135149760\n";
    cannot_draw(|it| fs::write(it.path("mine").join(UNET), pointer).unwrap(), &[UNET, "git lfs pull"]);
    cannot_draw(
        |it| fs::write(it.path("mine/vae/config.json"), pointer).unwrap(),
        &["vae/config.json", "git lfs pull"],
    );
    cannot_draw(|it| in_eight_bits(&it.path("mine").join(UNET), "F8_E8M0"), &[UNET, "F8_E8M0"]);
    // Numbers of eight bits are read; all zeros draw nothing much.
    let it = ground();
    in_eight_bits(&it.path("mine").join(UNET), "F8_E4M3");
    let (code, message) = generate(&it, &[]);
    assert_eq!(code, 0, "{message}");
    cannot_draw(
        |it| {
            let text = fs::read_to_string(it.path("mine/unet/config.json")).unwrap();
            let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            fs::write(it.path("mine/unet/config.json"), [&[0xff, 0xfe], wide.as_slice()].concat()).unwrap();
        },
        &["unet/config.json", "UTF-16"],
    );
}

/// A number that only Python has stops nobody who does not need it, nor does a byte order mark.
#[test]
fn what_other_tools_write_is_read() {
    let it = ground();
    let path = it.path("mine").join(SCHEDULER);
    let text = fs::read_to_string(&path).unwrap();
    let text = text.replacen('{', "{\n  \"lambda_min_clipped\": -Infinity,\n  \"odd\": [NaN, Infinity],", 1);
    fs::write(path, format!("\u{feff}{text}")).unwrap();
    let (code, message) = generate(&it, &[]);
    assert_eq!(code, 0, "{message}");
    let (code, message) = verb(&it, "plan");
    assert!(code == 0 && !message.contains("cannot answer"), "{message}");
    // Two classes that are known: diffusers takes the index's.
    edit(&it, "model_index.json", &[("scheduler", json!(["diffusers", "DDIMScheduler"]))]);
    let (code, message) = generate(&it, &[]);
    assert_eq!(code, 0, "{message}");
    assert!(message.contains("DDIMScheduler is used, as by diffusers"), "{message}");
    let index = fs::read(it.path("x.png")).unwrap();
    let (code, _) = generate(&it, &["--scheduler", "DDIMScheduler"]);
    assert!(code == 0 && fs::read(it.path("x.png")).unwrap() == index);
}

#[test]
fn folders_that_lead_elsewhere_or_never_end_are_their_candidates_failure() {
    type Make = fn(&Path);
    let odd: [(Make, &str); 5] = [
        (|m| nix_fifo(&m.join("x.json")), "x.json: expected a plain file or a folder, found a pipe"),
        (
            |m| nix_fifo(&m.join("edgemaxx.toml")),
            "edgemaxx.toml: expected a plain file or a folder, found a pipe",
        ),
        (
            |m| symlink(".", m.join("a")).unwrap(),
            "a: expected a plain file or a folder, found a link to a folder",
        ),
        (|m| symlink("/dev/zero", m.join("z")).unwrap(), "z: a link out of the checkpoint (to /dev/zero)"),
        (
            |m| fs::File::create(m.join("big.json")).unwrap().set_len(1 << 40).unwrap(),
            "big.json: size in bytes 1099511627776",
        ),
    ];
    for (make, words) in odd {
        let it = ground();
        make(&it.path("mine"));
        let (code, message) = verb(&it, "plan");
        assert_eq!(code, 0, "{message}");
        assert!(message.contains(words), "{words:?} in {message}");
        let (code, message) = generate(&it, &[]);
        assert!(code == 2 && message.contains(words), "{message}");
    }
    // It is never launched, and fails with the same words.
    let it = ground();
    symlink("../contest.toml", it.path("mine/edgemaxx.toml")).unwrap();
    it.run("out").output().unwrap();
    let ranking = fs::read_to_string(it.path("out/ranking.json")).unwrap();
    assert!(ranking.contains("edgemaxx.toml: a link out of the checkpoint"), "{ranking}");
}

/// A root harness reads what the user that it starts engines as may not.
#[test]
fn files_that_engines_may_not_read_are_told_before_anything_is_measured() {
    let SandboxStatus::Bubblewrap { user: User::Stranger | User::StrangerThroughout, .. } = detect_sandbox()
    else {
        let _ = writeln!(std::io::stderr(), "SKIPPED: engines run here as who runs the harness");
        return;
    };
    let words = "mine/unet/config.json: private; a root harness starts engines as a user of their own";
    let it = ground();
    let close = |mode| {
        fs::set_permissions(it.path("mine/unet/config.json"), fs::Permissions::from_mode(mode)).unwrap()
    };
    close(0o600);
    for name in ["plan", "doctor"] {
        let (code, message) = verb(&it, name);
        assert!(name == "doctor" || code == 0, "{message}");
        assert!(message.contains("candidate \"mine\" cannot answer") && message.contains(words), "{message}");
    }
    refused_as_baseline(&it, words);
    close(0o644);
    assert_eq!(verb(&it, "plan").0, 0);
}

/// `doctor` promises nothing that planning does not keep: both look at all that is here.
#[test]
fn what_planning_is_refused_for_doctor_says_too() {
    type Change = fn(&Playground);
    let cases: [(&str, Change); 6] = [
        ("gone.txt", |it| it.replace("contest.toml", "prompts.txt", "gone.txt")),
        ("no prompts", |it| fs::write(it.path("prompts.txt"), "").unwrap()),
        ("not listed", |it| fs::write(it.path("DIGESTS"), "").unwrap()),
        ("engine.files", |it| {
            let engine = "engine = { command = [\"true\"], files = [\"gone.py\"] }";
            it.replace("contest.toml", "checkpoint = \"mine\"\n", &format!("{engine}\n"));
        }),
        ("another name than the control's", |it| it.replace("contest.toml", "\"mine\"\n", "\"control\"\n")),
        ("measurement.sessions", |it| {
            it.replace("contest.toml", "sessions = 2\npairs", "sessions = 1\npairs")
        }),
    ];
    for (words, change) in cases {
        let it = ground();
        change(&it);
        for name in ["plan", "doctor"] {
            let (code, message) = verb(&it, name);
            assert!(code == 2 && message.contains(words), "{name}, {words}: {code} {message}");
        }
    }
}

/// What is to be in memory at once is asked before anything is measured, and where one process is at a time it is not.
#[test]
fn whether_what_is_in_memory_at_once_fits_is_told_by_plan_and_doctor() {
    for (residency, expected) in [("together", true), ("alternating", false)] {
        let it = ground();
        it.replace("contest.toml", "[measurement]", &format!("[measurement]\nresidency = {residency:?}"));
        let plan =
            edgemaxx().arg("plan").arg(it.contest()).arg("--out").arg(it.path("out")).output().unwrap();
        let said = String::from_utf8_lossy(&plan.stdout).into_owned();
        assert_eq!(said.contains("MiB of weights in memory at once"), expected, "{said}");
        let doctor = edgemaxx().args(["doctor", "--json"]).arg(it.contest()).output().unwrap();
        let answer: Value = serde_json::from_slice(&doctor.stdout).unwrap();
        let checks = answer["checks"].as_array().unwrap();
        let found = checks.iter().find(|check| check["name"] == "weights together");
        assert_eq!(found.is_some(), expected, "{answer}");
    }
}

fn nix_fifo(path: &Path) {
    nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
}

/// Of two that plan into one folder at once, the second is told so and writes nothing.
#[test]
fn a_folder_that_another_is_planning_into_is_left_alone() {
    let it = ground();
    fs::create_dir(it.path("out")).unwrap();
    let other = fs::File::open(it.path("out")).unwrap();
    other.lock().unwrap();
    let plan = || {
        let mut command = edgemaxx();
        command.arg("plan").arg(it.contest()).arg("--out").arg(it.path("out")).timeout(LONG);
        said(&command.output().unwrap())
    };
    let (code, message) = plan();
    assert!(code == 2 && message.contains("another run was planned here meanwhile"), "{message}");
    assert_eq!(fs::read_dir(it.path("out")).unwrap().count(), 0);
    drop(other);
    assert_eq!(plan().0, 0);
    let (code, message) = plan();
    assert!(code == 2 && it.path("out/plan.json").is_file(), "{message}");
}

/// What downloads and desktops leave behind is no other checkpoint; what the hub's cache links to is read.
#[test]
fn copies_of_one_commit_are_one_checkpoint() {
    let it = ground();
    let digest = || {
        let (code, message) = verb(&it, "plan");
        assert_eq!(code, 0, "{message}");
        planned(&it).pipelines.iter().find(|pipeline| pipeline.name == "mine").unwrap().digest
    };
    let plain = digest();
    for folder in [".cache/huggingface/download", ".git"] {
        fs::create_dir_all(it.path("mine").join(folder)).unwrap();
    }
    for file in [".cache/huggingface/download/x.metadata", ".git/HEAD", ".DS_Store", "unet/._config.json"] {
        fs::write(it.path("mine").join(file), "1764280000.1").unwrap();
    }
    assert_eq!(digest(), plain);
    fs::remove_dir_all(it.path("mine")).unwrap();
    let snapshot = it.path("cache/models--a--b/snapshots/0123456789abcdef0123456789abcdef01234567");
    fs::create_dir_all(it.path("cache/models--a--b/blobs")).unwrap();
    let mut number = 0;
    link_all(
        &repository("fixtures/models/emoji-sdxl"),
        &snapshot,
        &it.path("cache/models--a--b/blobs"),
        &mut number,
    );
    assert!(number > 10);
    // A link to the folder, and one to where it lies, lead there as well.
    symlink(&snapshot, it.path("linked")).unwrap();
    symlink(snapshot.parent().unwrap(), it.path("snapshots")).unwrap();
    let below = Path::new("snapshots").join(snapshot.file_name().unwrap());
    let mut before = "mine".into();
    for (number, way) in [snapshot, "linked".into(), below].into_iter().enumerate() {
        it.replace("contest.toml", &format!("checkpoint = {before:?}"), &format!("checkpoint = {way:?}"));
        assert_eq!(digest(), plain, "{way:?}");
        let ranking = it.measured(&format!("run-{number}")).join("ranking.json");
        let ranking = fs::read_to_string(ranking).unwrap();
        assert!(!ranking.contains("\"failed\""), "{way:?}: {ranking}");
        before = way;
    }
}

/// A folder whose files are links to blobs beside it, as in Hugging Face's cache.
fn link_all(from: &Path, to: &Path, blobs: &Path, number: &mut u32) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            link_all(&path, &target, blobs, number);
        } else {
            *number += 1;
            let blob = blobs.join(number.to_string());
            fs::copy(&path, &blob).unwrap();
            let up = "../".repeat(to.strip_prefix(blobs.parent().unwrap()).unwrap().components().count());
            symlink(format!("{up}blobs/{number}"), target).unwrap();
        }
    }
}

#[test]
fn prompts_that_are_cut_are_counted() {
    let it = ground();
    let long = "red apple, ".repeat(40);
    fs::write(it.path("prompts.txt"), format!("blue heart\n{long}\n")).unwrap();
    for name in ["plan", "doctor"] {
        let (_, message) = verb(&it, name);
        assert!(
            message.contains("warning: prompts.txt: 1 of 2 prompts are cut (line 2)"),
            "{name}: {message}"
        );
    }
    fs::write(it.path("prompts.txt"), format!("{long} green\n{long} blue\n")).unwrap();
    let (code, message) = verb(&it, "plan");
    assert!(
        code == 2 && message.contains("prompts.txt:2: the text encoders read the same of it as of line 1"),
        "{message}"
    );
    let (code, message) = generate(&it, &["--negative-prompt", &long]);
    assert!(code == 0 && message.contains("warning: --negative-prompt has"), "{message}");
}

#[test]
fn generate_says_what_it_takes_and_writes_what_the_name_says() {
    let it = ground();
    let named = |checkpoint: &str| {
        let mut command = edgemaxx();
        command.args(["generate", "--prompt", "x", "--checkpoint", checkpoint, "--out"]);
        said(&command.arg(it.path("x.png")).current_dir(it.folder.path()).output().unwrap())
    };
    for hub in ["hf:owner/name@main", "owner/name"] {
        let (code, message) = named(hub);
        assert!(code == 2 && message.contains("hf download owner/name --local-dir"), "{message}");
    }
    let (code, message) = named("mine/unet/diffusion_pytorch_model.safetensors");
    assert!(code == 2 && message.contains("P.from_single_file('mine/unet/"), "{message}");
    let out = it.path("x.jpg");
    let (code, message) = generate(&it, &["--out", out.to_str().unwrap()]);
    assert!(code == 0 && fs::read(&out).unwrap().starts_with(&[0xff, 0xd8, 0xff]), "{message}");
    let (code, message) = generate(&it, &["--out", it.path("x.webp").to_str().unwrap()]);
    assert!(code == 2 && message.contains("expected a name that ends in .png, .jpg or .jpeg"), "{message}");
}

/// Settings that lie in the baseline's folder are nobody's: however a candidate spells that folder, it is the baseline's.
#[test]
fn a_folder_is_the_same_however_it_is_spelled() {
    let it = ground();
    as_baseline(&it);
    fs::write(it.path("mine/edgemaxx.toml"), "[generation]\nsteps = 2\n").unwrap();
    symlink("mine", it.path("link")).unwrap();
    let own = it.path("mine").display().to_string();
    let spelled = ["mine", "./mine", "mine/", "mine/../mine", "link", &own];
    let candidate =
        |(i, folder): (usize, &&str)| format!("[[candidate]]\nname = \"c{i}\"\ncheckpoint = {folder:?}\n");
    let candidates: String = spelled.iter().enumerate().map(candidate).collect();
    it.replace("contest.toml", "[[candidate]]\nname = \"a\"\n", &candidates);
    let (code, message) = verb(&it, "plan");
    assert_eq!(code, 0, "{message}");
    let plan = planned(&it);
    assert_eq!(plan.pipelines.len(), 2 + spelled.len());
    for pipeline in &plan.pipelines {
        assert_eq!(pipeline.settings, plan.baseline().settings, "{}", pipeline.checkpoint.source);
    }
    // Another folder with the same files is another candidate.
    copy_folder(&it.path("mine"), &it.path("other"));
    it.replace("contest.toml", "checkpoint = \"link\"", "checkpoint = \"other\"");
    let (code, message) = verb(&it, "plan");
    assert_eq!(code, 0, "{message}");
    let others = planned(&it).pipelines;
    assert_eq!(others.iter().filter(|other| other.settings != plan.baseline().settings).count(), 1);
}

#[test]
fn of_two_unets_in_one_folder_nobody_guesses() {
    let it = ground();
    it.replace("contest.toml", "checkpoint = \"mine\"", "unet = \"unet\"");
    let unet = |it: &Playground| it.path("unet").display().to_string();
    copy_folder(&repository("fixtures/models/emoji-sdxl-student/unet"), &it.path("unet"));
    for name in ["plan", "doctor"] {
        let message = verb(&it, name).1;
        assert!(!message.contains("cannot answer"), "{message}");
    }
    assert_eq!(generate(&it, &["--unet", &unet(&it)]).0, 0);
    copy_folder(&repository("fixtures/models/emoji-sdxl/unet"), &it.path("unet/unet"));
    let mut check = edgemaxx();
    check.args(["engine", "check", "--unet", &unet(&it), "--checkpoint"]).arg(it.path("mine"));
    let check = said(&check.timeout(LONG).output().unwrap());
    for (code, message) in
        [verb(&it, "plan"), verb(&it, "doctor"), generate(&it, &["--unet", &unet(&it)]), check]
    {
        assert!(code == 2 && message.contains("a UNet in it and another in its unet/"), "{code}: {message}");
    }
}
