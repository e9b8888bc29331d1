//! `edgemaxx publish` through the program: a site that can be served as it is, and the hub.

use std::fs;
use std::path::Path;

use crate::common::{Playground, candidate, edgemaxx, failure};
use crate::server::{Faults, Server};
use assert_cmd::Command;

fn publish(run: &Path, to: &str, hub: &Server, home: &Path) -> Command {
    let mut command = edgemaxx();
    command.arg("publish").arg(run).args(["--to", to]);
    command.env("HF_ENDPOINT", &hub.url).env("HF_TOKEN", "hf_secret").env("HF_HOME", home);
    command.env_remove("HF_HUB_OFFLINE");
    command
}

#[test]
fn a_sealed_day_becomes_a_site_and_a_folder_of_a_dataset() {
    let ground = Playground::new(&candidate("mine", &["--latency-us", "1000"]));
    let run = ground.measured("run");
    let (hub, home, site) = (Server::start(), ground.path("home"), ground.path("site"));
    let site_text = site.display().to_string();
    let (code, said) = failure(&mut publish(&run, &site_text, &hub, &home));
    assert!(code == 2 && said.contains("manifest.json"), "{said}");
    edgemaxx().arg("seal").arg(&run).assert().success();

    // A site: its page links the day, and the day is what it was.
    for _ in 0..2 {
        publish(&run, &site_text, &hub, &home).assert().success();
    }
    let page = fs::read_to_string(site.join("index.html")).unwrap();
    assert!(page.contains("href=\"2026-11-22/report.html\""), "{page:.500}");
    assert!(site.join("2026-11-22/report.html").is_file());
    edgemaxx().arg("verify").arg(site.join("2026-11-22")).arg("--allow-unsigned").assert().success();

    // Somebody else's page stays.
    let foreign = ground.path("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("index.html"), "mine").unwrap();
    publish(&run, &foreign.display().to_string(), &hub, &home).assert().success();
    assert_eq!(fs::read_to_string(foreign.join("index.html")).unwrap(), "mine");

    // The hub: without it, the right exit code and no secret; then every file, once.
    hub.faults(Faults { refuse: 1, status: 403, ..Faults::default() });
    let (code, said) = failure(&mut publish(&run, "hf:owner/days", &hub, &home));
    assert!(code == 5 && said.contains("403") && !said.contains("hf_secret"), "{said}");
    hub.faults(Faults::default());
    let output = publish(&run, "hf:owner/days", &hub, &home).arg("--json").output().unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(run.join("manifest.json")).unwrap()).unwrap();
    {
        let state = hub.state();
        assert_eq!(answer["revision"], state.main.as_str());
        let held = &state.commits[&state.main];
        for file in manifest["files"].as_array().unwrap() {
            let path = file["path"].as_str().unwrap();
            assert_eq!(held[&format!("2026-11-22/{path}")], fs::read(run.join(path)).unwrap(), "{path}");
        }
        assert!(
            held.contains_key("2026-11-22/manifest.json") && !held.contains_key("2026-11-22/origin.json")
        );
        assert!(state.log.iter().all(|line| !line.contains("/models/")), "{:?}", state.log);
    }
    hub.faults(Faults::default());
    publish(&run, "hf:owner/days", &hub, &home).assert().success();
    assert_eq!(hub.state().count("POST"), 0, "nothing is sent twice");

    // What is not as sealed is not published.
    fs::write(run.join("report.md"), "better").unwrap();
    let (code, said) = failure(&mut publish(&run, "hf:owner/days", &hub, &home));
    assert!(code == 1 && said.contains("report.md"), "{said}");
    let (code, said) = failure(&mut publish(&run, "hf:owner/days@main", &hub, &home));
    assert!(code == 2 && said.contains("hf:OWNER/NAME"), "{said}");
}
