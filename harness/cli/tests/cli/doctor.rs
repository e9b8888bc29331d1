//! What `doctor` says of a machine, a run does; and a candidate's installer is kept apart.

use std::fs;

use crate::common::{Playground, candidate, edgemaxx, failure};

#[test]
fn a_run_on_the_wrong_device_measures_nothing_unless_told_to() {
    let ground = Playground::new(&candidate("fast", &["--latency-us", "1000"]));
    let device = "kind = \"cuda\"\nname = \"No Such GPU\"\nfree_memory_mib = 1024\ndriver = \"550.54.14\"";
    ground.replace("contest.toml", "kind = \"cpu\"", device);

    let (code, message) = failure(edgemaxx().arg("doctor").arg(ground.path("contest.toml")));
    assert_eq!(code, 3, "{message}");
    let output = edgemaxx().arg("doctor").arg("--json").arg(ground.path("contest.toml")).output().unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["fit"], false);
    let device = &answer["checks"][0];
    assert_eq!((device["name"].as_str(), device["fitness"].as_str()), (Some("device"), Some("unfit")));
    for words in ["why", "cure"] {
        assert!(!device[words].as_str().unwrap().is_empty(), "{device}");
    }

    let (code, message) = failure(&mut ground.run("out"));
    assert_eq!(code, 3, "{message}");
    assert!(message.contains("No Such GPU") && message.contains("--allow-unfit"), "{message}");
    assert!(!ground.path("out/samples.jsonl").exists(), "nothing was measured");

    // Real latencies of a busy machine may fail the control; the report is written all the same.
    ground.run("unfit").arg("--allow-unfit").output().unwrap();
    let read = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&fs::read(ground.path("unfit").join(name)).unwrap()).unwrap()
    };
    assert!(read("environment.json")["unfit"].to_string().contains("No Such GPU"));
    assert!(read("ranking.json")["weights_refused"].is_string());
}

#[test]
fn a_device_that_nothing_computes_on_is_refused_before_anything_is_planned() {
    let ground = Playground::new(&candidate("fast", &[]));
    ground.replace("contest.toml", "kind = \"cpu\"", "kind = \"metal\"");
    let (code, message) = failure(&mut ground.run("out"));
    assert!(code == 2 && message.contains("contest.toml") && message.contains("Metal"), "{message}");
    assert!(!ground.path("out/plan.json").exists(), "nothing is planned");
}

#[test]
fn a_program_that_an_engine_needs_is_looked_for() {
    let needy = "\n[[candidate]]\nname = \"needy\"\n\
         engine = { command = [\"edgemaxx\", \"engine\", \"mock\"], needs = [\"no-such-program\"] }\n";
    let ground = Playground::new(needy);
    let output = edgemaxx().arg("doctor").arg(ground.contest()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let warned = "candidate \"needy\" cannot start here: it needs \"no-such-program\"";
    assert!(said.contains(warned), "{said}");

    ground.replace("contest.toml", "no-such-program", "sh");
    let output = edgemaxx().arg("doctor").arg(ground.contest()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("cannot start"), "{said}");
}

#[test]
fn a_card_is_named_only_where_there_are_cards() {
    let ground = Playground::new(&candidate("fast", &[]));
    let (code, message) = failure(ground.run("out").args(["--device", "0"]));
    assert!(code == 2 && message.contains("--device 0") && message.contains("processor"), "{message}");
    let (code, message) = failure(edgemaxx().arg("doctor").arg(ground.contest()).args(["--device", "1"]));
    assert!(code == 2 && message.contains("--device 1"), "{message}");
}

#[test]
fn the_command_says_how_it_was_built_and_every_run_records_it() {
    let output = edgemaxx().arg("--version").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let ground = Playground::new(&candidate("fast", &["--latency-us", "1000"]));
    ground.run("out").output().unwrap();
    let text = fs::read(ground.path("out/environment.json")).unwrap();
    let environment: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let build = &environment["build"];
    for (line, field) in [("commit", "commit"), ("profile", "profile"), ("compiler", "rustc")] {
        let value = build[field].as_str().unwrap();
        assert!(!value.is_empty() && said.contains(&format!("{line}: {value}\n")), "{said}: {build}");
    }
    assert!(build["rustc"].as_str().unwrap().starts_with("rustc 1."), "{build}");
    assert!(environment.get("card").is_none(), "a contest for the processor");
}

#[test]
fn a_state_folder_that_cannot_be_read_accuses_nobody() {
    let ground = Playground::new("");
    let mut doctor = edgemaxx();
    let output =
        doctor.arg("doctor").arg(ground.contest()).env("XDG_STATE_HOME", "/dev/null").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("cannot tell whether a run that crashed left clocks locked"), "{said}");
}

#[test]
fn a_processor_contest_is_fit_here_or_says_what_is_not() {
    let ground = Playground::new("");
    let output = edgemaxx().arg("doctor").arg("--json").arg(ground.path("contest.toml")).output().unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let bad = answer["checks"]
        .as_array()
        .unwrap()
        .iter()
        .any(|check| ["unfit", "no_weights"].contains(&check["fitness"].as_str().unwrap()));
    assert_eq!(answer["fit"].as_bool(), Some(!bad), "{answer}");
    assert_eq!(output.status.code(), Some(if bad { 3 } else { 0 }));
}

#[test]
fn an_installer_changes_the_candidates_digest_and_a_folder_without_one_is_fine() {
    let folder = tempfile::tempdir().unwrap();
    let install = || {
        let output = edgemaxx().args(["engine", "install"]).arg(folder.path()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert_eq!(
        install(),
        (Some(0), "nothing to install: the candidate names no engine of its own\n".to_owned())
    );
    let (code, message) = failure(edgemaxx().args(["engine", "install"]).arg(folder.path().join("nope")));
    assert!(code == 2 && message.contains("nope: no such folder"), "{message}");
    fs::write(folder.path().join("engine.py"), "").unwrap();
    let engine = "[engine]\ncommand = [\"python3\", \"engine.py\"]\n";
    fs::write(folder.path().join("edgemaxx.toml"), engine).unwrap();
    assert!(install().1.contains("no install command"));
    let with = |script: &str| {
        let text = format!("{engine}install = [\"sh\", \"-c\", \"{script}\"]\n");
        fs::write(folder.path().join("edgemaxx.toml"), text).unwrap();
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    }
    with("date +%N > deps/now");
    let (code, first) = install();
    if code == Some(3) {
        return; // no sandbox here; the engine's own tests say so
    }
    let (_, second) = install();
    let digest = |text: &str| text.lines().last().unwrap().to_owned();
    assert!(first.contains("1 files") && digest(&first).starts_with("digest of the candidate: "), "{first}");
    assert_ne!(digest(&first), digest(&second), "what was fetched is part of it");
    with("exit 7");
    assert_eq!(install().0, Some(4));
}

/// Where it is called from, and how often, makes no difference; nor does what Python leaves beside its sources.
#[test]
fn an_installer_of_a_relative_folder_gives_one_digest() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("mine");
    fs::create_dir(&own).unwrap();
    fs::write(own.join("engine.py"), "").unwrap();
    let engine = "[engine]\ncommand = [\"python3\", \"engine.py\"]\ninstall = [\"python3\", \"inst.py\"]\n";
    fs::write(own.join("edgemaxx.toml"), engine).unwrap();
    let script = "import compileall, os\nos.makedirs('deps/pkg', exist_ok=True)\nopen('deps/pkg/a.py', 'w').write('x = 1')\n\
                  compileall.compile_dir('deps')\n";
    fs::write(own.join("inst.py"), script).unwrap();
    let install = |from: &std::path::Path, what: &str| {
        let output = edgemaxx().current_dir(from).args(["engine", "install", what]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), said.lines().last().unwrap_or_default().to_owned())
    };
    let first = install(folder.path(), "mine");
    if first.0 == Some(3) || !std::path::Path::new("/usr/bin/python3").exists() {
        return; // no sandbox or no Python here; the engine's own tests say so
    }
    assert!(first.0 == Some(0) && first.1.starts_with("digest of the candidate: "), "{first:?}");
    assert_eq!(install(folder.path(), "./mine"), first);
    assert_eq!(install(&own, "."), first);
    assert!(!own.join("deps/pkg/__pycache__").exists());
}
