//! Bad input: one clear message that names file and field, and the right exit code.

use std::fs;

use crate::common::{Playground, candidate, copy_folder, edgemaxx, failure, repository};

fn refused(ground: &Playground, expected: &[&str]) {
    let (code, message) = failure(&mut ground.run("out"));
    assert_eq!(code, 2, "{message}");
    for part in expected {
        assert!(message.contains(part), "{part:?} in {message}");
    }
    assert!(!ground.path("out/plan.json").exists(), "nothing is planned from bad input");
}

#[test]
fn contests() {
    let ground = || Playground::new(&candidate("fast", &[]));
    let it = ground();
    it.replace("contest.toml", "width = 64", "widht = 64");
    refused(&it, &["contest.toml", "widht", "width"]);

    let it = ground();
    it.replace("contest.toml", "width = 64", "width = 64000");
    refused(&it, &["contest.toml", "request.width", "8192"]);

    let it = ground();
    it.replace("contest.toml", "[device]", "[device");
    refused(&it, &["contest.toml", "line 4"]);

    let it = ground();
    it.replace("contest.toml", "checkpoint = \"model\"", "checkpoint = \"elsewhere\"");
    refused(&it, &["contest.toml", "elsewhere", "no such folder"]);

    let it = ground();
    fs::remove_file(it.contest()).unwrap();
    refused(&it, &["contest.toml", "no such file"]);
}

#[test]
fn prompts() {
    let ground = || Playground::new(&candidate("fast", &[]));
    let it = ground();
    fs::write(it.path("DIGESTS"), format!("{}  prompts.txt\n", "0".repeat(64))).unwrap();
    refused(&it, &["prompts.txt", "changed", "DIGESTS"]);

    let it = ground();
    fs::write(it.path("DIGESTS"), "").unwrap();
    refused(&it, &["prompts.txt", "not listed"]);

    let it = ground();
    fs::write(it.path("prompts.txt"), "one\n\nthree\n").unwrap();
    refused(&it, &["prompts.txt:2"]);
    fs::write(it.path("prompts.txt"), "\u{feff}one\ntwo\none \n").unwrap();
    refused(&it, &["prompts.txt:3", "earlier line"]);

    let it = ground();
    fs::remove_file(it.path("prompts.txt")).unwrap();
    refused(&it, &["request.prompts", "no such file"]);
}

/// The tiny SDXL with one file changed by `change`.
fn broken(change: impl FnOnce(&std::path::Path)) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    copy_folder(&repository("fixtures/models/emoji-sdxl"), &model);
    change(&model);
    let mut command = edgemaxx();
    command.args(["generate", "--prompt", "red apple", "--steps", "1", "--checkpoint"]);
    command.arg(&model).arg("--out").arg(folder.path().join("x.png"));
    failure(&mut command)
}

#[test]
fn a_picture_that_cannot_be_written_or_is_none() {
    let mut command = edgemaxx();
    command.args(["generate", "--prompt", "red apple", "--steps", "1", "--out", "/dev/full", "--checkpoint"]);
    let (code, message) = failure(command.arg(repository("fixtures/models/emoji-sdxl")));
    assert_eq!(code, 3, "{message}");
    assert!(message.contains("/dev/full: No space left"), "{message}");

    let (code, message) = broken(|model| {
        let path = model.join("vae/diffusion_pytorch_model.safetensors");
        let mut bytes = fs::read(&path).unwrap();
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let tensors: serde_json::Value = serde_json::from_slice(&bytes[8..header]).unwrap();
        let span = &tensors["decoder.conv_out.bias"]["data_offsets"];
        let at = |end: usize| header + span[end].as_u64().unwrap() as usize;
        // NaN in every format
        bytes[at(0)..at(1)].fill(0xff);
        fs::write(path, bytes).unwrap();
    });
    assert_eq!(code, 4, "{message}");
    assert!(message.contains("values that are not numbers"), "{message}");

    let mut command = edgemaxx();
    command.args(["generate", "--prompt", "x", "--steps", "1000", "--out", "/dev/null", "--checkpoint"]);
    let folder = tempfile::tempdir().unwrap();
    copy_folder(&repository("fixtures/models/emoji-sdxl"), folder.path());
    let scheduler = folder.path().join("scheduler/scheduler_config.json");
    edit(&scheduler, "\"num_train_timesteps\": 1000", "\"num_train_timesteps\": 999");
    let (code, message) = failure(command.arg(folder.path()));
    assert_eq!(code, 2, "{message}");
    assert!(message.contains("`steps`: found 1000, expected 1 to 999"), "{message}");
}

#[test]
#[cfg(not(feature = "cuda"))]
fn a_device_that_is_not_there() {
    let out = std::env::temp_dir().join("edgemaxx-no-gpu.png");
    let model = repository("fixtures/models/emoji-sdxl");
    let mut generate = edgemaxx();
    generate.args(["generate", "--prompt", "red apple", "--device", "cuda", "--checkpoint"]);
    generate.arg(model).arg("--out").arg(&out);
    let mut settings = edgemaxx();
    settings.args(["engine", "candle", "--device", "cuda", "--settings"]);
    for command in [&mut generate, &mut settings] {
        let (code, message) = failure(command);
        assert_eq!(code, 3, "{message}");
        assert!(message.contains("scripts/build-cuda.sh"), "the cure: {message}");
    }
    assert!(!out.exists(), "no picture from another device");
}

fn edit(path: &std::path::Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from));
    fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn checkpoints() {
    const UNET: &str = "unet/diffusion_pytorch_model.safetensors";
    type Change = fn(&std::path::Path);
    const SCHEDULER: &str = "scheduler/scheduler_config.json";
    let cases: [(Change, &[&str]); 10] = [
        (
            |m| edit(&m.join("text_encoder/config.json"), "\"layer_norm_eps\": ", "\"layer_norm_eps\": -"),
            &["text_encoder/config.json", "layer_norm_eps", "above 0"],
        ),
        (
            |m| edit(&m.join(SCHEDULER), "\"beta_start\": ", "\"beta_start\": -"),
            &["scheduler_config.json", "beta_start", "above 0"],
        ),
        (
            |m| edit(&m.join(SCHEDULER), "\"beta_end\": 0.", "\"beta_end\": 0.9"),
            &["scheduler_config.json", "beta_end", "something of the picture"],
        ),
        (
            |m| edit(&m.join(SCHEDULER), "\"beta_start\": ", "\"beta_start\": [],\n\"x\": "),
            &["scheduler_config.json", "expected f64", "line"],
        ),
        (
            |m| {
                edit(
                    &m.join("scheduler/scheduler_config.json"),
                    "EulerDiscreteScheduler",
                    "FlowMatchScheduler",
                )
            },
            &["scheduler_config.json", "FlowMatchScheduler", "EulerDiscreteScheduler", "DDIMScheduler"],
        ),
        (
            |m| edit(&m.join("unet/config.json"), "64,\n    128,\n    128", "64,\n    128,\n    192"),
            &["unet"],
        ),
        (
            |m| edit(&m.join("unet/config.json"), "\"layers_per_block\": 1", "\"layers_per_block\": 2"),
            &[UNET],
        ),
        (
            |m| {
                let bytes = fs::read(m.join(UNET)).unwrap();
                fs::write(m.join(UNET), &bytes[..bytes.len() / 2]).unwrap();
            },
            &[UNET],
        ),
        (
            |m| {
                fs::remove_file(m.join(UNET)).unwrap();
                fs::write(m.join("unet/diffusion_pytorch_model.bin"), "pickle").unwrap();
            },
            &["diffusion_pytorch_model.bin", "pickle", "safetensors"],
        ),
        (|m| fs::remove_file(m.join("model_index.json")).unwrap(), &["model_index.json"]),
    ];
    for (index, (change, expected)) in cases.into_iter().enumerate() {
        let (code, message) = broken(change);
        assert_eq!(code, 2, "case {index}: {message}");
        for part in expected {
            assert!(message.contains(part), "case {index}: {part:?} in {message}");
        }
    }
}

#[test]
fn candidate_files() {
    let ground = || Playground::new("[[candidate]]\nname = \"mine\"\ncheckpoint = \"mine\"\n");
    let file = |it: &Playground, engine: &str| {
        fs::create_dir_all(it.path("mine")).unwrap();
        fs::write(it.path("mine/weights.safetensors"), "not read by the mock").unwrap();
        fs::write(it.path("mine/edgemaxx.toml"), format!("[engine]\n{engine}\n")).unwrap();
    };
    // a stranger's file must not open the judge's own files to its engine
    for (engine, expected) in [
        ("comand = [\"x\"]", "unknown field `comand`"),
        (
            "command = [\"../contest.toml\"]",
            "engine.command[0]: expected what lies in the candidate's folder",
        ),
        ("command = [\"python3\", \"../prompts.txt\"]", "engine.command[1]"),
        ("command = [\"/bin/sh\"]", "engine.command[0]"),
        (
            "command = [\"./no-engine\"]",
            "engine.command[0]: expected a program's name, or a file of the folder",
        ),
        ("command = [\"python3\"]\nfiles = [\"../model\"]", "engine.files[0]"),
        ("command = [\"python3\"]\nfiles = [\"lib\"]", "engine.files[0]: expected a file or folder"),
    ] {
        let it = ground();
        file(&it, engine);
        refused(&it, &["mine/edgemaxx.toml", expected]);
    }
    let it = ground();
    file(&it, "command = [\"edgemaxx\", \"engine\", \"mock\"]\nneeds = [\"no-such-program\"]");
    let (code, message) = failure(&mut it.run("out"));
    assert_eq!(code, 4, "its own fault: {message}");
    let ranking = fs::read_to_string(it.path("out/ranking.json")).unwrap();
    assert!(ranking.contains("it needs \\\"no-such-program\\\""), "{ranking}");

    let it = ground();
    file(
        &it,
        "command = [\"edgemaxx\", \"engine\", \"mock\"]\nfiles = [\"weights.safetensors\"]\nneeds = [\"sh\"]\nresources = { memory_mib = 4096, processes = 16 }",
    );
    it.run("out").output().unwrap();
    // whether the control ties with the baseline is another matter
    let ranking = fs::read_to_string(it.path("out/ranking.json")).unwrap();
    assert!(!ranking.contains("\"failed\""), "{ranking}");
}

/// Whatever is measured, nobody could win, or it could not be told who.
#[test]
fn contests_that_cannot_be_won() {
    let one_in_twenty = "at_least = 0.5\nquantile = 0.05";
    for (from, to, expected) in [
        ("pairs = 3", "pairs = 3\nquick_sessions = 1", "measurement.quick_sessions: expected a value from 2"),
        ("sessions = 5", "sessions = 1", "measurement.sessions: expected a value from 2"),
        ("pairs = 3", "pairs = 3\nthreads = 501", "measurement.threads: expected a value from 1 to 500"),
        (
            "[score]\nsimilarity = \"ssim-gray\"",
            "",
            "quality.clip: expected a CLIP folder, since score.similarity reads",
        ),
        (
            "at_least = 0.5",
            one_in_twenty,
            "at least 59, which quality.gate[0] of ssim_gray takes to be proven, found 15",
        ),
        ("name = \"fast\"", "name = \"control\"", "another name than the control's"),
        ("[baseline]", "[baseline]\nname = \"control\"", "another name than the control's"),
    ] {
        let it = Playground::new(&candidate("fast", &[]));
        it.replace("contest.toml", from, to);
        refused(&it, &["contest.toml", expected]);
    }
    let named = format!("{}[[candidate]]\nname = \"same\"\ncontrol = true\n", candidate("control", &[]));
    let it = Playground::new(&named);
    edgemaxx().arg("plan").arg(it.contest()).arg("--out").arg(it.path("out")).assert().success();
    edgemaxx()
        .arg("measure")
        .arg(it.path("out"))
        .args(["--deadline", "9223372036854775808"])
        .assert()
        .code(2);
}

/// What would else be found out after everything is measured.
#[test]
fn contests_that_cannot_be_done() {
    let ground = || Playground::new(&candidate("fast", &[]));
    for (field, expected) in [("clip", "transformers layout"), ("lpips", "convert-lpips")] {
        let it = ground();
        fs::create_dir(it.path("empty")).unwrap();
        it.replace("contest.toml", "[quality]\n", &format!("[quality]\n{field} = \"empty\"\n"));
        refused(&it, &["contest.toml", &format!("quality.{field}"), expected, "config.json"]);
        let (code, message) = failure(edgemaxx().arg("doctor").arg(it.contest()));
        assert!(code == 2 && message.contains(expected), "{message}");
    }

    let it = ground();
    it.replace("contest.toml", "width = 64\nheight = 64", "width = 8192\nheight = 8192");
    refused(&it, &["contest.toml", "request.width times request.height", "33554432"]);

    let it = ground();
    let engine = "engine = { command = [\"edgemaxx\", \"engine\", \"mock\", \"--latency-us\", \"4000\"] }";
    it.replace("contest.toml", engine, "");
    copy_folder(&repository("fixtures/models/emoji-sdxl"), &it.path("model"));
    it.replace("contest.toml", "width = 64", "width = 65");
    refused(&it, &["contest.toml", "request.width: expected a multiple of", "found 65"]);
    it.replace("contest.toml", "width = 65", "width = 64");
    it.replace("contest.toml", "guidance_scale = 5.0", "guidance_scale = 5.0, scheduler = \"PNDM\"");
    refused(
        &it,
        &["contest.toml", "baseline.generation.scheduler", "EulerDiscreteScheduler", "DDIMScheduler"],
    );

    let odd = "[[candidate]]\nname = \"odd\"\ngeneration = { scheduler = \"PNDM\" }\n";
    let it = Playground::new(odd);
    refused(&it, &["contest.toml", "candidate[0] \"odd\" generation.scheduler", "DDIMScheduler", "PNDM"]);
    // The same in its own folder is its own fault.
    let it = Playground::new("[[candidate]]\nname = \"odd\"\ncheckpoint = \"mine\"\n");
    fs::create_dir(it.path("mine")).unwrap();
    fs::write(it.path("mine/edgemaxx.toml"), "[generation]\nscheduler = \"PNDM\"\n").unwrap();
    edgemaxx().arg("plan").arg(it.contest()).arg("--out").arg(it.path("out")).assert().success();
}

#[test]
fn an_engine_that_lacks_a_file_is_named_and_leaves_no_folder() {
    let ground = Playground::new(
        &(candidate("fine", &[])
            + "[[candidate]]\nname = \"lacking\"\n[candidate.engine]\ncommand = [\"edgemaxx\"]\nfiles = [\"no/such\"]\n"),
    );
    let (code, message) = failure(&mut ground.run("out"));
    assert!(code == 2 && message.contains("candidate \"lacking\""), "{message}");
    assert!(message.contains("no/such") && message.contains("relative to the contest's folder"), "{message}");
    assert!(!ground.path("out").exists(), "the next run may have this name");
}

#[test]
fn an_unknown_scheduler_is_the_flags_fault() {
    let out = tempfile::tempdir().unwrap();
    let mut command = edgemaxx();
    command.arg("generate").arg("--checkpoint").arg(repository("fixtures/models/emoji-sdxl"));
    command.args(["--prompt", "x", "--scheduler", "NoScheduler", "--out"]).arg(out.path().join("x.png"));
    let (code, message) = failure(&mut command);
    assert!(
        code == 2 && message.contains("error: --scheduler NoScheduler: expected EulerDiscreteScheduler"),
        "{message}"
    );
}

#[test]
fn a_submission_is_tried_without_a_wallet() {
    let home = tempfile::tempdir().unwrap();
    let mut command = edgemaxx();
    command.args(["miner", "submit", "--repository", "me/mine", "--contest", "c", "--dry-run", "--from"]);
    command.arg(repository("fixtures/models/emoji-sdxl")).arg("--wallet.path").arg(home.path());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("no wallet default in "), "{said}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("nothing was published or signed"));
}

/// What would refuse the hotkey when it is to sign is said before anybody is asked anything.
#[test]
fn a_dry_run_looks_at_the_hotkey() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    let hotkeys = home.path().join("w/hotkeys");
    fs::create_dir_all(&hotkeys).unwrap();
    crate::common::alice_in(&hotkeys.join("open"));
    fs::set_permissions(hotkeys.join("open"), fs::Permissions::from_mode(0o644)).unwrap();
    crate::common::secret(&hotkeys.join("empty"), "");
    for (hotkey, expected) in
        [("open", "others may read the key"), ("empty", "field `file`"), ("none", "cannot read the key file")]
    {
        let mut command = edgemaxx();
        command.args(["miner", "submit", "--repository", "me/mine", "--contest", "c", "--dry-run", "--from"]);
        command.arg(repository("fixtures/models/emoji-sdxl")).arg("--wallet.path").arg(home.path());
        command.args(["-w", "w", "-H", hotkey, "--subtensor.chain_endpoint", "ws://127.0.0.1:1"]);
        let (code, message) = failure(&mut command);
        assert!(code == 2 && message.contains(expected), "{hotkey}: {code} {message}");
    }
}

/// A limit of the shell on the size of files is an error like a full disk, with the file's name.
#[test]
fn a_file_that_may_not_grow_is_named() {
    let ground = Playground::new(&candidate("a", &["--latency-us", "100"]));
    let (program, contest, out) = (env!("CARGO_BIN_EXE_edgemaxx"), ground.contest(), ground.path("out"));
    let mut shell = assert_cmd::Command::new("sh");
    // In blocks of 512 or 1024 bytes: room for the contest, not for the plan.
    shell
        .arg("-c")
        .arg("ulimit -f 3; exec \"$0\" plan \"$1\" --out \"$2\"")
        .arg(program)
        .arg(contest)
        .arg(out);
    let (code, message) = failure(&mut shell);
    assert_eq!(code, 3, "{message}");
    assert!(message.contains("plan.json") && message.contains("File too large"), "{message}");
}

#[test]
fn a_path_that_is_no_text_is_named() {
    use std::os::unix::ffi::OsStrExt as _;
    let ground = Playground::new(&candidate("a", &["--latency-us", "100"]));
    let odd = ground.folder.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9"));
    std::fs::create_dir(&odd).unwrap();
    for name in ["contest.toml", "prompts.txt"] {
        std::fs::copy(ground.path(name), odd.join(name)).unwrap();
    }
    copy_folder(&ground.path("model"), &odd.join("model"));
    let (code, message) =
        failure(edgemaxx().arg("plan").arg(odd.join("contest.toml")).arg("--out").arg(ground.path("out")));
    assert!(code == 2 && message.contains("caf\u{fffd}") && message.contains("UTF-8"), "{code}: {message}");
    let (code, message) =
        failure(edgemaxx().arg("plan").arg(odd.join("missing.toml")).arg("--out").arg(&odd));
    assert!(code == 2 && message.contains("caf\u{fffd}/missing.toml"), "{code}: {message}");
}

/// Of several that begin at once in one folder one measures, and the others are told.
#[test]
fn two_runs_in_one_folder_are_one() {
    let ground = Playground::new(&candidate("a", &["--latency-us", "100"]));
    ground.replace("contest.toml", "sessions = 5", "sessions = 2");
    let start = || {
        let mut run = std::process::Command::new(env!("CARGO_BIN_EXE_edgemaxx"));
        run.arg("run")
            .arg(ground.contest())
            .arg("--out")
            .arg(ground.path("out"))
            .args(["--day", "2026-11-22"]);
        run.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped()).spawn().unwrap()
    };
    let all: Vec<_> = (0..4).map(|_| start()).collect();
    let ended: Vec<(Option<i32>, String)> = all
        .into_iter()
        .map(|run| {
            let output = run.wait_with_output().unwrap();
            (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
        })
        .collect();
    let (done, told): (Vec<_>, Vec<_>) = ended.iter().partition(|(code, _)| matches!(code, Some(0 | 3)));
    assert_eq!((done.len(), told.len()), (1, 3), "{ended:?}");
    assert!(told.iter().all(|(code, said)| *code == Some(2) && said.contains("--out")), "{told:?}");
    edgemaxx().arg("rank").arg(ground.path("out")).assert().success();
}
