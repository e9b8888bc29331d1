//! The whole way with scripted engines.

use std::fs;

use crate::common::{Playground, candidate, derive, failure, repository, retime};

const DOWNSTREAM: [&str; 12] = [
    "quality.jsonl",
    "estimates.json",
    "ranking.json",
    "report.html",
    "report.md",
    "junit.xml",
    "summary.json",
    "leaderboard.csv",
    "estimates.csv",
    "samples.csv",
    "quality.csv",
    "samples.parquet",
];

fn ranking(run: &std::path::Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(run.join("ranking.json")).unwrap()).unwrap()
}

#[test]
fn a_faster_candidate_wins_and_every_file_is_there() {
    let ground = Playground::new(&candidate("fast", &["--latency-us", "1000"]));
    let output = ground.run("out").arg("--json").output().unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    // Real latencies of a busy machine may prove nothing; what the program says must agree.
    assert_eq!(answer["fit"], output.status.success(), "{answer}");
    for name in DOWNSTREAM {
        assert!(ground.path("out").join(name).metadata().unwrap().len() > 0, "{name}");
    }
    let estimates: serde_json::Value =
        serde_json::from_slice(&fs::read(ground.path("out/estimates.json")).unwrap()).unwrap();
    let telemetry = fs::read(ground.path("out/telemetry.jsonl")).unwrap();
    let digest = edgemaxx_contract::digest::Digest::of(telemetry).to_string();
    assert_eq!(estimates["telemetry"]["digest"], digest);
    assert!(estimates["telemetry"]["attempts"].as_u64().unwrap() > 0);
    retime(&ground.path("out"), 1, |candidate| if candidate == "fast" { 0.25 } else { 1.0 });
    derive(&ground.path("out"));
    assert_eq!(ranking(&ground.path("out"))["winner"], "fast");
}

#[test]
fn downstream_of_measure_every_byte_is_recomputed() {
    let ground = Playground::new(&candidate("fast", &["--latency-us", "1000"]));
    let run = ground.measured("out");
    let before: Vec<_> = DOWNSTREAM.iter().map(|name| fs::read(run.join(name)).unwrap()).collect();
    for (threads, locale) in [("1", "tr_TR.UTF-8"), ("2", "C")] {
        for name in DOWNSTREAM {
            fs::remove_file(run.join(name)).unwrap();
        }
        for verb in ["quality", "analyze", "rank", "report"] {
            crate::common::edgemaxx()
                .arg(verb)
                .arg(&run)
                .env("RAYON_NUM_THREADS", threads)
                .env("LC_ALL", locale)
                .env("TZ", "Asia/Tokyo")
                .assert()
                .success();
        }
        for (name, bytes) in DOWNSTREAM.iter().zip(&before) {
            assert!(fs::read(run.join(name)).unwrap() == *bytes, "{name} differs");
        }
    }
}

#[test]
fn a_picture_that_is_not_the_measured_one_is_in_no_report() {
    let ground = Playground::new(&candidate("fast", &["--latency-us", "1000"]));
    let run = ground.measured("out");
    let page = fs::read(run.join("report.html")).unwrap();
    let pictures: Vec<_> = fs::read_dir(run.join("artefacts")).unwrap().map(|e| e.unwrap().path()).collect();
    let refused = |words: &str| {
        let (code, said) = failure(crate::common::edgemaxx().arg("report").arg(&run));
        assert!(code == 2 && said.contains(words) && said.contains(".png"), "{code}: {said}");
        assert!(fs::read(run.join("report.html")).unwrap() == page, "the old page stays");
    };
    let whole: Vec<_> = pictures.iter().map(|picture| fs::read(picture).unwrap()).collect();
    let other = (1..whole.len()).find(|&i| whole[i] != whole[0]).unwrap();
    pictures.iter().for_each(|picture| fs::write(picture, &whole[other]).unwrap());
    refused("its content has digest");
    pictures.iter().for_each(|picture| fs::remove_file(picture).unwrap());
    refused("No such file");
}

/// Owners and their pictures' names may repeat one another, and derived checkpoints lie side by side; a run that goes
/// on is the one that was asked for, and computes with what it derived itself.
#[test]
fn derived_checkpoints_have_folders_of_their_own_and_are_made_anew() {
    let derived =
        "[[candidate]]\nname = \"x/y\"\nderive = \"f16\"\n[[candidate]]\nname = \"x\"\nderive = \"int8\"\n";
    let ground = Playground::native(derived);
    let run = |extra: &[&str]| {
        let mut run = crate::common::edgemaxx();
        run.arg("run").arg(ground.contest()).arg("--out").arg(ground.path("out")).args(extra);
        run
    };
    let output = run(&["--quick"]).output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}", String::from_utf8_lossy(&output.stderr));
    let weights = ground.path("out/checkpoints/x+y/unet/diffusion_pytorch_model.safetensors");
    let whole = fs::read(&weights).unwrap();
    assert!(ground.path("out/checkpoints/x/unet").is_dir());

    for (option, value) in [("--day", "2001-01-01"), ("--entropy", "0xdead"), ("--until", "1%")] {
        let (code, said) = failure(&mut run(&["--resume", option, value]));
        assert!(code == 2 && said.contains(option) && said.contains("planned with"), "{said}");
    }

    // As if killed before its end, with a checkpoint that somebody changed meanwhile.
    let samples = ground.path("out/samples.jsonl");
    let text = fs::read_to_string(&samples).unwrap();
    let kept: Vec<&str> = text.lines().take(6).collect();
    fs::write(&samples, kept.join("\n") + "\n").unwrap();
    let mut altered = whole.clone();
    *altered.last_mut().unwrap() ^= 1;
    fs::write(&weights, &altered).unwrap();
    // But not while another process measures with it.
    let held = fs::File::options().append(true).open(&samples).unwrap();
    held.lock().unwrap();
    let (_, said) = failure(&mut run(&["--quick", "--resume"]));
    assert!(fs::read(&weights).unwrap() == altered, "{said}");
    drop(held);
    let output = run(&["--quick", "--resume"]).output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(fs::read(&weights).unwrap() == whole, "derived anew");
}

#[test]
fn failing_engines_are_shown_and_the_others_are_measured() {
    let candidates = [
        candidate("fast", &["--latency-us", "1000"]),
        candidate("dies", &["--fault", "die@2"]),
        candidate("hangs", &["--fault", "hang@1"]),
        candidate("babbles", &["--fault", "garbage@1"]),
        candidate("unloadable", &["--fault", "refuse@load"]),
    ];
    let ground = Playground::new(&candidates.concat());
    let (code, message) = failure(&mut ground.run("out"));
    assert_eq!(code, 4, "{message}");
    retime(&ground.path("out"), 1, |candidate| if candidate == "fast" { 0.25 } else { 1.0 });
    derive(&ground.path("out"));
    let ranking = ranking(&ground.path("out"));
    let standing = |name: &str| {
        let entries = ranking["entries"].as_array().unwrap();
        entries.iter().find(|e| e["name"] == name).unwrap()["standing"].as_str().unwrap().to_owned()
    };
    assert_eq!(standing("fast"), "accepted");
    for name in ["dies", "hangs", "babbles", "unloadable"] {
        assert_eq!(standing(name), "failed", "{name}");
        assert!(message.contains(name), "{message}");
    }
    assert_eq!(ranking["winner"], "fast");
}

#[test]
fn candidates_that_surely_lose_end_early() {
    let candidates = [
        candidate("slow", &["--latency-us", "20000"]),
        candidate("wrong", &["--latency-us", "1000", "--noise", "120"]),
    ];
    let ground = Playground::new(&candidates.concat());
    ground.replace("contest.toml", "sessions = 5", "sessions = 8");
    ground.run("out").args(["--until", "0.01%"]).assert().success();
    let estimates: serde_json::Value =
        serde_json::from_slice(&fs::read(ground.path("out/estimates.json")).unwrap()).unwrap();
    let sessions = |name: &str| {
        let candidates = estimates["candidates"].as_array().unwrap();
        candidates.iter().find(|c| c["name"] == name).unwrap()["speedup"]["n"].as_u64().unwrap()
    };
    assert!(sessions("slow") < 8 && sessions("wrong") < 8, "{estimates:#}");
    let log = fs::read_to_string(ground.path("out/samples.jsonl")).unwrap();
    for reason in ["surely slower", "surely misses the gate on the mean of ssim_gray"] {
        assert!(log.contains(reason), "{reason}");
    }

    for (flag, value) in [("--until", "0.5"), ("--until", "-1%"), ("--budget", "soon"), ("--budget", "0")] {
        let (code, message) = failure(ground.run("other").args([&format!("{flag}={value}")]));
        assert_eq!(code, 2, "{message}");
        assert!(message.contains(flag) && message.contains("expected a"), "{message}");
    }
}

#[test]
fn a_baseline_that_fails_ends_the_run() {
    let ground = Playground::new(&candidate("fast", &["--latency-us", "1000"]));
    ground.replace("contest.toml", "\"4000\"]", "\"4000\", \"--fault\", \"die@1\"]");
    let (code, message) = failure(ground.run("si x").arg("--allow-unfit"));
    assert_eq!(code, 4, "{message}");
    let out = ground.path("si x");
    let again = format!("--out '{}' --day 2026-11-22 --allow-unfit --resume`", out.display());
    assert!(message.contains("the baseline died") && message.contains(&again), "{message}");
    assert!(message.contains("begin a new run"), "{message}");
    // Whoever mends the contest is told that this is another run.
    ground.replace("contest.toml", "die@1", "die@9999");
    let (code, message) = failure(ground.run("si x").arg("--resume"));
    assert_eq!(code, 2, "{message}");
    assert!(message.contains("not the contest") && message.contains("another --out"), "{message}");
}

#[test]
fn a_run_that_is_over_is_left_as_it_is() {
    let ground = Playground::new(&candidate("fast", &["--latency-us", "1000"]));
    let run = ground.measured("out");
    let files = || -> Vec<_> {
        let entries = fs::read_dir(&run).unwrap().map(|entry| entry.unwrap());
        let mut files: Vec<_> = entries
            .filter(|entry| entry.path().is_file())
            .map(|entry| (entry.path(), entry.metadata().unwrap().modified().unwrap()))
            .collect();
        files.sort();
        files
    };
    let before = files();
    crate::common::edgemaxx().arg("measure").arg(&run).arg("--resume").assert().success();
    let output = ground.run("out").arg("--resume").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing is left to be measured"));
    assert_eq!(files(), before, "nothing is written");
}

#[test]
fn planning_that_was_cut_off_is_begun_anew() {
    let ground = Playground::new(&candidate("fast", &[]));
    let out = ground.path("out");
    let plan = || {
        let mut plan = crate::common::edgemaxx();
        plan.arg("plan").arg(ground.contest()).arg("--out").arg(&out);
        plan
    };
    plan().assert().success();
    let (code, message) = failure(&mut plan());
    assert!(code == 2 && message.contains("holds a run"), "{message}");
    fs::remove_file(out.join("plan.json")).unwrap();
    fs::write(out.join(".plan.json.part"), "{").unwrap();
    plan().assert().success();
    for name in ["plan.json", "prompts.txt"] {
        fs::remove_file(out.join(name)).unwrap();
    }
    let output = ground.run("out").args(["--quick", "--resume"]).output().unwrap();
    assert!(out.join("report.html").exists(), "{}", String::from_utf8_lossy(&output.stderr));
    // A contest of somebody's own is not ours to write over.
    fs::create_dir(ground.path("own")).unwrap();
    fs::copy(ground.contest(), ground.path("own/contest.toml")).unwrap();
    let (code, message) = failure(&mut ground.run("own"));
    assert!(code == 2 && message.contains("not empty"), "{message}");
}

#[test]
fn a_full_disk_is_told_whoever_writes() {
    let ground = Playground::new(&candidate("fast", &["--latency-us", "1000"]));
    let run = ground.measured("out");
    for (verb, name) in
        [("quality", "quality.jsonl"), ("report", "samples.parquet"), ("report", "samples.csv")]
    {
        let before = fs::read(run.join(name)).unwrap();
        fs::remove_file(run.join(name)).unwrap();
        std::os::unix::fs::symlink("/dev/full", run.join(name)).unwrap();
        let (code, message) = failure(crate::common::edgemaxx().arg(verb).arg(&run));
        assert_eq!(code, 3, "{verb}: {message}");
        assert!(message.contains(name) && message.contains("No space left"), "{verb}: {message}");
        assert_eq!(message.matches("os error").count(), 1, "{message}");
        fs::remove_file(run.join(name)).unwrap();
        fs::write(run.join(name), before).unwrap();
    }
}

#[test]
fn a_folder_in_use_is_left_alone() {
    let ground = Playground::new(&candidate("fast", &[]));
    fs::create_dir(ground.path("out")).unwrap();
    fs::write(ground.path("out/precious"), "mine").unwrap();
    let (code, message) = failure(&mut ground.run("out"));
    assert_eq!(code, 2);
    assert!(message.contains("not empty") && message.contains("--out"), "{message}");
    assert_eq!(fs::read_dir(ground.path("out")).unwrap().count(), 1);
}

#[test]
fn a_killed_run_goes_on_where_it_was() {
    let ground = Playground::new(&candidate("slow", &["--latency-us", "40000"]));
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_edgemaxx"))
        .arg("run")
        .arg(ground.contest())
        .arg("--out")
        .arg(ground.path("out"))
        .args(["--day", "2026-11-22"])
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let samples = ground.path("out/samples.jsonl");
    // Until something is recorded; then no mercy.
    for _ in 0..400 {
        std::thread::sleep(std::time::Duration::from_millis(25));
        if fs::read_to_string(&samples).is_ok_and(|text| text.matches("\"measured\"").count() >= 4) {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = fs::read_to_string(&samples).unwrap();
    let before = &before[..before.rfind('\n').unwrap() + 1];
    let resumed = ground.run("out").arg("--resume").output().unwrap();
    let said = String::from_utf8_lossy(&resumed.stderr);
    assert!(matches!(resumed.status.code(), Some(0 | 3)), "{said}");
    let after = fs::read_to_string(&samples).unwrap();
    assert!(after.starts_with(before), "what was recorded stays");

    let mut seen = std::collections::BTreeSet::new();
    for line in after.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        if let Some(pair) = record["phase"]["measured"]["pair"].as_u64() {
            assert!(
                seen.insert((record["session"].as_u64(), pair, record["side"].to_string())),
                "twice: {line}"
            );
        }
    }
    assert_eq!(seen.len(), 2 * 5 * 3 * 2, "two pipelines, five sessions, three pairs, two sides");
}

#[test]
fn a_checkpoint_that_nothing_can_be_derived_from_is_its_candidates_failure() {
    // The mock's checkpoint is none.
    let derived = candidate("derived", &[]) + "derive = \"int8\"\n";
    let ground = Playground::new(&(derived + &candidate("fast", &["--latency-us", "1000"])));
    let (code, message) = failure(ground.run("out").arg("--quick"));
    assert_eq!(code, 4, "{message}");
    assert!(message.contains("could not be measured: derived;"), "{message}");
    let entries = ranking(&ground.path("out"))["entries"].to_string();
    assert!(
        entries.contains("int8 cannot be derived from its checkpoint")
            && entries.contains("model_index.json")
    );
}

#[test]
fn want_of_time_is_nobodys_failure() {
    let ground = Playground::new(&candidate("fast", &[]));
    let (code, message) = failure(ground.run("out").args(["--deadline", "1"]));
    assert_eq!(code, 3, "{message}");
    assert!(message.contains("no time was left to measure: fast"), "{message}");
    assert!(!message.contains("could not be measured"), "{message}");
}

#[test]
fn a_baseline_may_have_another_unet_which_candidates_share_unless_they_name_a_checkpoint() {
    let teacher = repository("fixtures/models/emoji-sdxl");
    let plain = format!("[[candidate]]\nname = \"plain\"\ncheckpoint = {teacher:?}\n");
    let ground = Playground::native(&format!("[[candidate]]\nname = \"same\"\n{plain}"));
    let student = repository("fixtures/models/emoji-sdxl-student");
    ground.replace("contest.toml", "generation = {", &format!("unet = {student:?}\ngeneration = {{"));
    let run = ground.measured("out");
    let plan: serde_json::Value = serde_json::from_slice(&fs::read(run.join("plan.json")).unwrap()).unwrap();
    let of_session: Vec<&str> =
        plan["sessions"].as_array().unwrap().iter().map(|s| s["candidate"].as_str().unwrap()).collect();
    let mut answers =
        std::collections::BTreeMap::<(String, String), std::collections::BTreeSet<String>>::new();
    for line in fs::read_to_string(run.join("samples.jsonl")).unwrap().lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        if let (Some(request), Some(answer)) =
            (record["request"].as_u64(), record["outcome"]["answered"]["answer"].as_str())
        {
            let session = record["session"].as_u64().unwrap() as usize;
            let who = if record["side"] == "baseline" { "baseline" } else { of_session[session] };
            answers.entry((who.to_owned(), request.to_string())).or_default().insert(answer.to_owned());
        }
    }
    let mut compared = 0;
    for ((who, request), own) in &answers {
        let baseline = &answers[&("baseline".to_owned(), request.clone())];
        assert_eq!(own == baseline, who != "plain", "{who}, request {request}");
        compared += usize::from(who == "same" || who == "plain");
    }
    assert!(compared >= 4, "{answers:?}");
}
