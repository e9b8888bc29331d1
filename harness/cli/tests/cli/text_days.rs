//! A validator's day of texts through the program, and what becomes of it: anybody verifies it, measures it again, compares it
//! and asks what it would pay him; and what miners do to a language model before.

use std::fs;
use std::path::Path;

use serde_json::Value;

use edgemaxx_engine::detect_sandbox;

use crate::common::{Playground, copy_folder, edgemaxx, failure, repository};
use crate::node::{Node, skipped};
use crate::text_contest::{TextContest, path};
use crate::validator::{Subnet, address, days, read, verify};

const MODEL: &str = "fixtures/models/stories-llama";

/// A contest of texts, named `stories`, whose baseline is honest and so slow that who wins is no question of luck; neither is,
/// with the classes that the tests ask for, who passes.
fn ground(class: &str) -> Playground {
    let (engines, sdk) = (path("fixtures/engines"), path("harness/sdk/python"));
    let program = env!("CARGO_BIN_EXE_edgemaxx");
    let ground = Playground::new("");
    let baseline = format!(
        "generation = {{ weights = \"f32\" }}\nengine = {{ command = [\"python3\", \"{engines}/texts.py\", \"slow\", \
         \"{program}\"], files = [\"{engines}\", \"{sdk}\", \"{program}\"] }}"
    );
    let contest = TextContest {
        prompts: "prompts/stories-v2.toml",
        request: "prompt_tokens = 24\nmax_new_tokens = { least = 12, most = 16 }\nignore_eos = true",
        baseline: &baseline,
        pairs: 7,
        measurement: "block = 4\nthreads = 1",
        class,
        more: "[rewards]\nnoise_floor = 10.0",
        ..TextContest::default()
    };
    assert_eq!(contest.write(ground.contest().parent().unwrap()), ground.contest());
    ground
}

#[test]
fn a_day_of_texts_ends_with_weights_and_a_run_for_everybody() {
    let sandbox = detect_sandbox();
    if !sandbox.is_sandboxed() {
        return skipped(format_args!("a day without a sandbox sets no weights: {sandbox}"));
    }
    let Some(node) = Node::start("Instant") else { return };
    let subnet = Subnet::of(node, ground("4-bit"), repository(MODEL).canonicalize().unwrap());
    let enter = |uid: u16, name: &str, settings: &str| {
        subnet.entry("stories", uid, name, settings, &["--in-the-open"])
    };
    // What is no language model's is refused before it travels.
    let (code, said) = failure(&mut enter(3, "steps", "[generation]\nsteps = 8\n"));
    assert!(code == 2 && said.contains("unknown field `steps`"), "{said}");
    assert!(!subnet.hub.state().exists);
    for (uid, name, settings) in [
        (3, "eight-bits", "[generation]\nweights = \"q8_0\"\n"),
        (4, "wrong-rope", "[generation]\nrope_factor = 2.0\n"),
        (5, "eight-bits-again", "# mine\n[generation]\nweights = \"q8_0\"\n"),
        (6, "lookup", "[generation]\nlookup = 4\n"),
    ] {
        enter(uid, name, settings).assert().success();
    }
    let output = subnet.validator("now").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let ranked =
        || fs::read_dir(subnet.path("validator").join("days")).unwrap().next().unwrap().unwrap().path();
    assert!(output.status.success(), "{said}{}", read(&ranked(), "ranking.json"));

    let site = subnet.path("site");
    let name = days(&site)[0].clone();
    let day = site.join(&name);
    let (record, ranking, decided) =
        (read(&day, "day.json"), read(&day, "ranking.json"), read(&day, "weights.json"));
    let of = |list: &Value, key: &str, is: &str| -> Value {
        let all = list.as_array().unwrap();
        all.iter().find(|entry| entry[key] == *is).unwrap_or_else(|| panic!("{is}: {list}")).clone()
    };
    let repeats = &of(&record["submissions"], "hotkey", &address(5))["fate"]["candidate"]["repeats"];
    assert_eq!((&repeats["of"][0], &repeats["how"]), (&address(3).into(), &"100% of its settings".into()));
    let standing = |uid: u16| of(&ranking["entries"], "name", &address(uid))["standing"].clone();
    let expected = ["accepted", "rejected_quality", "copy", "accepted"];
    assert_eq!([3, 4, 5, 6].map(standing), expected, "{ranking}");
    assert_eq!(decided["origin"], "earned", "{decided}");
    let paid: Vec<u64> = subnet.weights().into_iter().map(|(uid, _)| uid).collect();
    assert_eq!(paid, [3, 6]);

    // From anywhere, with nothing but what was published; and with the baseline, which judges every token again.
    let elsewhere = tempfile::tempdir().unwrap();
    copy_folder(&site, elsewhere.path());
    let (signer, chain, base) =
        (address(0), subnet.node.url(), subnet.ground.folder.path().display().to_string());
    let with = ["--hotkey", &signer, "--netuid", "39", "--chain", &chain];
    let (code, said) = verify(elsewhere.path(), &name, &with);
    assert!(code == 0 && said.contains("2 uids since block"), "{code} {said}");
    let (code, said) = verify(elsewhere.path(), &name, &["--base", &base]);
    assert!(code == 0 && said.contains("pairs judged again"), "{code} {said}");
    // One token of one answer, in the manifest too or not, is another.
    let artefact = fs::read_dir(elsewhere.path().join(&name).join("artefacts")).unwrap().next().unwrap();
    let artefact = artefact.unwrap().path();
    let ids: Vec<u32> = serde_json::from_slice(&fs::read(&artefact).unwrap()).unwrap();
    let other: Vec<u32> = ids.iter().map(|id| id ^ 1).collect();
    fs::write(&artefact, serde_json::to_vec(&other).unwrap()).unwrap();
    let (code, said) = verify(elsewhere.path(), &name, &[]);
    assert!(code == 1 && said.contains("artefacts/"), "{code} {said}");

    // Measured again by who has fetched nothing yet.
    let auditor = |command: &mut assert_cmd::Command| -> Value {
        command.env("HF_ENDPOINT", &subnet.hub.url).env("HF_HOME", elsewhere.path().join("hf"));
        let output = command.env_remove("HF_HUB_OFFLINE").output().unwrap();
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    };
    let mut reproduce = edgemaxx();
    reproduce.arg("reproduce").arg(&day).args(["--candidate", &address(3), "--base", &base, "--json"]);
    let found = auditor(&mut reproduce);
    assert_eq!(found["answers"]["identical"], found["answers"]["compared"], "{found}");
    assert!(found["answers"]["compared"].as_u64().unwrap() > 50, "{found}");
    assert!(found["agreement"]["here"]["point"].as_f64().unwrap() > 2.0, "{found}");
    let mut rerun = edgemaxx();
    rerun.arg("verify").arg(&day).args(["--base", &base, "--rerun", "12", "--json"]);
    let checks = auditor(&mut rerun)["checks"].clone();
    let made = of(&checks, "what", "answers made again");
    assert_eq!(made["detail"].as_str().map(|said| said.ends_with("bit for bit")), Some(true), "{made}");

    let mut compare = edgemaxx();
    compare.arg("compare").args([&day, &day]).args(["--candidate", &address(3), "--json"]);
    // A day against itself tells nothing of a change.
    assert_eq!(auditor(&mut compare)["verdict"], "cannot_tell");
    let mut oracle = edgemaxx();
    oracle.args(["miner", "oracle"]).arg(&day).arg("--run").arg(&day);
    oracle.args(["--candidate", &address(6), "--days", "20", "--json"]);
    let foretold = auditor(&mut oracle);
    assert_eq!((&foretold["candidate"], &foretold["days"]), (&address(6).into(), &20.into()), "{foretold}");
    assert!(foretold["accepted"].as_f64() > Some(0.5), "{foretold}");

    let out = subnet.path("history");
    edgemaxx().arg("history").arg(&site).arg("--out").arg(&out).assert().success();
    let page = fs::read_to_string(out.join("index.html")).unwrap();
    assert!(page.contains(&format!("reports/{name}-")), "no link to the day");
}

#[test]
fn a_language_model_is_made_faster_by_recipes_or_it_is_said_why_not() {
    let home = tempfile::tempdir().unwrap();
    let optimize = |recipes: &[&str], to: &Path| {
        let mut command = edgemaxx();
        command.args(["miner", "optimize"]).args(recipes).arg("--from").arg(repository(MODEL));
        command.arg("--to").arg(to);
        command
    };
    let made = home.path().join("made");
    optimize(&["lookup=4", "weights=q8_0"], &made).assert().success();
    let settings = fs::read_to_string(made.join("edgemaxx.toml")).unwrap();
    assert!(settings.contains("weights = \"q8_0\"") && settings.contains("lookup = 4"), "{settings}");
    let tensors = |folder: &Path| fs::read(folder.join("model.safetensors")).unwrap();
    assert!(tensors(&made) == tensors(&repository(MODEL)));

    let none = home.path().join("none");
    for (recipe, words) in [
        ("int8", "a language model's files stay as they are; weights=q8_0"),
        ("f16", "a language model's files stay as they are"),
        ("prune=1", "a language model has no UNet to prune"),
        ("steps=8", "unknown field `steps`"),
        ("guidance=2", "unknown field `guidance_scale`"),
        ("scheduler=DDIMScheduler", "unknown field `scheduler`"),
        ("compute=f16", "unknown field `dtype`"),
    ] {
        let (code, said) = failure(&mut optimize(&[recipe], &none));
        assert!(code == 2 && said.contains(words), "{recipe}: {said}");
        assert!(!none.exists(), "{recipe}");
    }
}

#[test]
fn settings_of_texts_are_tuned_and_those_of_pictures_refused() {
    let ground = ground("8-bit");
    let tune = |arguments: &[&str], out: &str| {
        let mut command = edgemaxx();
        command.args(["miner", "tune"]).arg(ground.contest()).args(arguments);
        command.arg("--out").arg(ground.path(out)).arg("--json");
        command
    };
    let output = tune(&["--set", "weights=f16,q4_0"], "tune").output().unwrap();
    let points: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let point = |name: &str| {
        points
            .as_array()
            .unwrap()
            .iter()
            .find(|point| point["name"] == name)
            .unwrap_or_else(|| panic!("{points}"))
    };
    assert_eq!(point("weights-f16")["gates_passed"], true, "{points}");
    assert_eq!(point("weights-q4_0")["gates_passed"], false, "{points}");
    assert_eq!(point("weights-q4_0")["score"], 0.0);
    let likeness = point("weights-f16")["similarity"]["point"].as_f64();
    assert!(likeness > point("weights-q4_0")["similarity"]["point"].as_f64(), "{points}");
    assert!(point("weights-f16")["speedup"]["lower"].as_f64().unwrap() > 1.5, "{points}");

    let (code, said) = failure(&mut tune(&["--steps", "4,8"], "steps"));
    assert!(code == 2 && said.contains("unknown field `steps`"), "{said}");
    let (code, said) = failure(&mut tune(&["--dtype", "f16"], "dtype"));
    assert!(code == 2 && said.contains("unknown field `dtype`"), "{said}");
}
