//! `edgemaxx engine check`: a good engine is praised, and bad ones are told what is wrong.

use crate::common::{copy_folder, edgemaxx, failure, repository};
use serde_json::Value;

/// `edgemaxx engine check OPTIONS -- edgemaxx engine mock ARGUMENTS`, as JSON, and its exit code.
fn check(options: &[&str], arguments: &[&str]) -> (i32, Value) {
    let mut command = edgemaxx();
    command.args(["engine", "check", "--json", "--width", "64", "--height", "64"]);
    command.args(["--load-timeout", "5", "--request-timeout", "1", "--exit-timeout", "1"]);
    command.args(options).args(["--", "edgemaxx", "engine", "mock"]).args(arguments);
    let output = command.output().unwrap();
    let answer = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().unwrap(), answer)
}

#[test]
fn a_good_engine_conforms() {
    let (code, answer) = check(&[], &["--latency-us", "3000"]);
    assert_eq!((code, &answer["verdict"]), (0, &Value::from("good")), "{answer:#}");
    let what: Vec<&str> =
        answer["checks"].as_array().unwrap().iter().map(|check| check["what"].as_str().unwrap()).collect();
    for wanted in ["hello", "load", "picture", "repeated request", "other prompt", "idle", "bye"] {
        assert!(what.contains(&wanted), "{wanted} in {what:?}");
    }
}

#[test]
fn bad_engines_are_told_what_is_wrong() {
    for (fault, what, words) in [
        ("wrong-version@hello", "hello", "protocol 99.0"),
        ("refuse@load", "load", "refused"),
        ("die@0", "first picture", "exited with status 3"),
        ("wrong-id@1", "picture", "an answer to request"),
        ("garbage@1", "picture", "broke the protocol"),
        ("huge-frame@1", "picture", "at most"),
        ("hang@1", "picture", "no answer to request 2 within "),
        ("wrong-size@1", "picture", "64×64 were asked for"),
    ] {
        let (code, answer) = check(&[], &["--fault", fault]);
        assert_eq!((code, &answer["verdict"]), (1, &Value::from("bad")), "{fault}: {answer:#}");
        let last = answer["checks"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(last["what"], what, "{fault}: {last}");
        assert!(last["detail"].as_str().unwrap().contains(words), "{fault}: {last}");
    }
    // in the sandbox, whoever will not leave ends with it
    for (options, verdict) in [(&["--unsandboxed"][..], "bad"), (&[], "doubtful")] {
        let (code, answer) = check(options, &["--stubborn"]);
        let last = answer["checks"].as_array().unwrap().last().unwrap().clone();
        let sandboxed = answer["sandbox"].as_str().unwrap().starts_with("bubblewrap");
        let verdict = if sandboxed { verdict } else { "bad" };
        assert_eq!((&last["what"], &last["verdict"]), (&"bye".into(), &verdict.into()), "{last}");
        assert_eq!(code, i32::from(verdict == "bad"));
    }
}

#[test]
fn latents_are_those_of_the_checkpoint() {
    let model = repository("fixtures/models/emoji-sdxl").display().to_string();
    let (code, answer) = check(&["--checkpoint", &model], &[]);
    let checks = answer["checks"].as_array().unwrap();
    let ready = checks.iter().find(|check| check["what"] == "ready").unwrap();
    // A contest whose baseline says the same measures it.
    assert_eq!((code, &ready["verdict"]), (0, &"doubtful".into()), "{answer:#}");
    assert_eq!(checks.last().unwrap()["what"], "bye", "{answer:#}");
    let detail = ready["detail"].as_str().unwrap();
    assert!(
        detail.contains(r#""vae_scale_factor":8"#) && detail.contains(r#""vae_scale_factor":4"#),
        "{detail}"
    );
}

#[test]
fn what_the_harness_costs_is_measured() {
    let small = ["--answers", "20", "--streams", "2", "--parts", "5"];
    let output = edgemaxx().args(["engine", "cost", "--json"]).args(small).output().unwrap();
    let cost: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&cost["answer"]["count"], &cost["part"]["count"]), (&20.into(), &8.into()), "{cost:#}");
    for times in [&cost["answer"], &cost["part"]] {
        let ns = |quantile: &str| times[quantile].as_u64().unwrap();
        assert!(ns("p50_ns") > 0 && ns("p50_ns") <= ns("p99_ns"), "{cost:#}");
    }
    let output = edgemaxx().args(["engine", "cost"]).args(small).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("a part") && text.contains("p99"), "{text}");
}

#[test]
fn people_get_a_line_for_each_check() {
    let mut command = edgemaxx();
    command.args(["engine", "check", "--width", "64", "--height", "64", "edgemaxx", "engine", "mock"]);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.starts_with("good     hello: mock "), "{text}");
}

#[test]
fn programs_and_folders_that_are_missing_are_named() {
    let (code, message) = failure(edgemaxx().args(["engine", "check", "--checkpoint", "no/such", "true"]));
    assert!(code == 2 && message.contains("no/such"), "{code} {message}");
    let output = edgemaxx().args(["engine", "check", "no-such-program"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.code() == Some(1) && text.contains("no-such-program: no such program"), "{text}");
    let (code, message) = failure(edgemaxx().args(["engine", "check"]));
    assert!(code == 2 && message.contains("<CMD>"), "{code} {message}");
}

#[test]
fn a_candidates_own_file_names_its_engine() {
    let folder = tempfile::tempdir().unwrap();
    let file = |text: &str| std::fs::write(folder.path().join("edgemaxx.toml"), text).unwrap();
    let run = || {
        let mut command = edgemaxx();
        command
            .args(["engine", "check", "--width", "64", "--height", "64", "--checkpoint"])
            .arg(folder.path());
        command.output().unwrap()
    };
    file("[engine]\ncommand = [\"edgemaxx\", \"engine\", \"mock\", \"--name\", \"of-the-folder\"]\n");
    let output = run();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("hello: of-the-folder"), "{text}");
    file("[engine]\ncommand = [\"python3\"]\nneeds = [\"no-such-program\"]\n");
    let output = run();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.code() == Some(1) && text.contains("it needs \"no-such-program\""), "{text}");
    file("[engine]\ncommand = [\"../engine\"]\n");
    let message = String::from_utf8(run().stderr).unwrap();
    assert!(message.contains("edgemaxx.toml: engine.command[0]"), "{message}");
}

#[test]
fn a_checkpoints_own_settings_are_those_of_every_verb() {
    let folder = tempfile::tempdir().unwrap();
    let (fixture, own) = (repository("fixtures/models/emoji-sdxl"), folder.path().join("own"));
    copy_folder(&fixture, &own);
    let file = |text: &str| std::fs::write(own.join("edgemaxx.toml"), text).unwrap();
    let picture = |checkpoint: &std::path::Path, settings: &[&str]| {
        let out = folder.path().join("out.png");
        let mut command = edgemaxx();
        command.arg("generate").arg("--checkpoint").arg(checkpoint).args(["--prompt", "red apple"]);
        command.args(settings).arg("--out").arg(&out).assert().success();
        std::fs::read(&out).unwrap()
    };
    file("[generation]\nsteps = 2\nguidance_scale = 1.0\n");
    let asked = |steps| ["--steps", steps, "--guidance-scale", "1"];
    assert!(picture(&own, &[]) == picture(&fixture, &asked("2")), "its own settings");
    assert!(
        picture(&own, &["--steps", "3"]) == picture(&fixture, &asked("3")),
        "what is asked for goes first"
    );

    file("[generation]\nsteps = 2\nscheduler = \"NoSuchScheduler\"\n");
    let mut command = edgemaxx();
    let output =
        command.args(["engine", "check", "--unsandboxed", "--checkpoint"]).arg(&own).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.code() == Some(1) && text.contains("NoSuchScheduler"), "{text}");
}

#[test]
fn a_recipe_for_what_no_engine_runs_makes_no_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("to");
    let optimize = |recipe: &str| {
        let mut command = edgemaxx();
        command.args(["miner", "optimize", recipe, "--from"]).arg(repository("fixtures/models/emoji-sdxl"));
        command.arg("--to").arg(&to);
        command
    };
    let (code, message) = failure(&mut optimize("scheduler=NoSuchScheduler"));
    let said = message.contains("generation.scheduler: expected") && message.contains("\"NoSuchScheduler\"");
    assert!(code == 2 && said, "{code} {message}");
    assert!(!to.exists());
    optimize("scheduler=DDIMScheduler").assert().success();
    assert!(std::fs::read_to_string(to.join("edgemaxx.toml")).unwrap().contains("DDIMScheduler"));
}

/// As a virtual environment's Python does.
#[cfg(target_os = "linux")]
#[test]
fn a_program_that_leads_out_of_sight_says_where() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    if !edgemaxx_engine::detect_sandbox().is_sandboxed() {
        crate::node::skipped("no sandbox here, so that engines see everything; install bubblewrap");
        return;
    }
    let (venv, base) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bin = |folder: &tempfile::TempDir| {
        let bin = folder.path().canonicalize().unwrap().join("bin");
        std::fs::create_dir(&bin).unwrap();
        bin
    };
    let (link, python) = (bin(&venv).join("python"), bin(&base).join("python3.11"));
    std::fs::write(&python, "#!/bin/sh\nexit 3\n").unwrap();
    std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
    symlink(&python, &link).unwrap();
    let check = |read: &[&std::path::Path]| {
        let mut command = edgemaxx();
        command.args(["engine", "check"]);
        for folder in read {
            command.arg("--read").arg(folder);
        }
        String::from_utf8(command.arg("--").arg(&link).output().unwrap().stdout).unwrap()
    };
    let base = base.path().canonicalize().unwrap();
    let said = check(&[venv.path()]);
    let expected = format!(
        "a link to {}, which the engine cannot see; let it read {}",
        python.display(),
        base.display()
    );
    assert!(said.contains(&expected), "{said}");
    let said = check(&[venv.path(), &base]);
    assert!(!said.contains("a link to"), "it starts, and is no engine: {said}");
}

/// An engine that is part of this program, too; a language model's folder that cannot be read is one all the same.
#[test]
fn a_checkpoint_is_checked_as_what_it_is_with_the_engine_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("own");
    copy_folder(&repository("fixtures/models/stories-llama"), &own);
    let check = || {
        let output =
            edgemaxx().args(["engine", "check", "--unsandboxed", "--checkpoint"]).arg(&own).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(check().contains("ready "), "the built-in engine");
    std::fs::write(own.join("edgemaxx.toml"), "[engine]\nnative = \"candle-transformers\"\n").unwrap();
    let text = check();
    // Which has no LLaMA in this layout.
    assert!(
        text.contains("model_type: found `llama`") || text.contains("`model_type`: found `llama`"),
        "{text}"
    );
    std::fs::remove_file(own.join("config.json")).unwrap();
    std::fs::remove_file(own.join("edgemaxx.toml")).unwrap();
    for name in ["a.gguf", "b.gguf"] {
        std::fs::write(own.join(name), "").unwrap();
    }
    let text = check();
    assert!(text.contains("2 GGUF files") && text.contains("one GGUF file"), "{text}");
}
