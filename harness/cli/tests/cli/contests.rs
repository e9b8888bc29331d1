//! A validator with two contests on the real runtime: each is measured and published by itself, one vector of weights goes on
//! chain, and an auditor finds it again from either.

use edgemaxx_engine::detect_sandbox;
use serde_json::Value;

use crate::common::site::Site;
use crate::common::{Playground, copy_folder, edgemaxx, failure};
use crate::node::{Node, skipped};
use crate::validator::{Subnet, address, days, read, verify};

#[test]
fn two_contests_share_one_vector_of_weights_that_anybody_can_verify() {
    let sandbox = detect_sandbox();
    if !sandbox.is_sandboxed() {
        return skipped(format_args!("a day without a sandbox sets no weights: {sandbox}"));
    }
    let Some(node) = Node::start("Instant") else { return };
    let subnet = Subnet::new(node);
    let fallback = format!("[rewards]\nfallback = {:?}\n", address(2));
    subnet.ground.replace("contest.toml", "[rewards]\n", &fallback);
    let text = std::fs::read_to_string(subnet.ground.contest()).unwrap();
    let second = subnet.ground.path("second.toml");
    std::fs::write(&second, text.replace("name = \"mock\"", "name = \"second\"")).unwrap();

    for (contest, uid, name, latency) in
        [("mock", 3, "fast", "10000"), ("mock", 4, "slower", "35000"), ("second", 5, "other", "20000")]
    {
        subnet.submission_to(contest, uid, name, latency, &["--in-the-open"]).assert().success();
    }
    let contests =
        [format!("{}=0.75", subnet.ground.contest().display()), format!("{}=0.25", second.display())];
    let output = subnet.validator_of(&contests, "now").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // 0.75 × 0.8, 0.75 × 0.2 and 0.25, the largest as 65535.
    assert_eq!(subnet.weights(), [(3, 65535), (4, 16384), (5, 27306)]);

    let site = subnet.path("site");
    let day = days(&site)[0].clone();
    let all = read(&site.join(&day), "weights.json");
    assert_eq!(all["entries"].as_array().unwrap().len(), 3, "{all}");
    assert_eq!(read(&site.join("second").join(&day), "weights.json")["share"], 0.25);
    for place in ["", "mock", "second"] {
        assert!(site.join(place).join("index.html").is_file(), "{place:?} has no page of its days");
        let page = std::fs::read_to_string(site.join(place).join(&day).join("report.html")).unwrap();
        assert!(page.contains(&day), "{place:?}");
    }
    let index = std::fs::read_to_string(site.join("index.html")).unwrap();
    assert!(index.contains("second/index.html") && index.contains("All contests together"), "{index}");

    let (chain, signer) = (subnet.node.url(), address(0));
    let words = ["--hotkey", &signer, "--netuid", "39", "--chain", &chain];
    let web = Site::of(&site);
    for place in ["", "mock/", "second/"] {
        for run in [format!("{place}{day}"), format!("{}/{place}{day}/", web.url)] {
            let (code, said) = verify(&site, &run, &words);
            assert!(code == 0 && said.contains("3 uids since block"), "{run}: {code} {said}");
        }
    }
    // The validator's status names both.
    let data = subnet.path("validator").display().to_string();
    let status = edgemaxx().args(["validator", "status", "--json", "--data", &data]).output().unwrap();
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["contests"]["second"]["phase"], "holding", "{status}");
    assert_eq!(status["contests"]["mock"]["weights"]["block"], status["weights"]["block"], "{status}");

    // Without one of the contests' days, or with another, all together are not verified.
    let home = tempfile::tempdir().unwrap();
    copy_folder(&site, home.path());
    let part = home.path().join("second").join(&day);
    let weights = std::fs::read_to_string(part.join("weights.json")).unwrap();
    std::fs::write(part.join("weights.json"), weights.replace(&address(5), &address(7))).unwrap();
    let (code, said) = verify(home.path(), &day, &words);
    assert!(code == 1 && said.contains("second/"), "{code} {said}");
    std::fs::remove_dir_all(&part).unwrap();
    let (code, said) = verify(home.path(), &day, &words);
    assert!(code == 6 && said.contains("which is not beside this day"), "{code} {said}");
    std::fs::remove_dir_all(home.path().join(&day)).unwrap();
    let (code, said) = verify(home.path(), &format!("mock/{day}"), &words);
    assert!(code == 6 && said.contains("75.0% of those of all contests"), "{code} {said}");
    // Weights of one contest alone are not those of both.
    subnet.forge(&[(3, 65535), (4, 16384)]);
    for run in [day.clone(), format!("mock/{day}")] {
        let (code, said) = verify(&site, &run, &words);
        assert!(code == 1 && said.contains("uid 5 has 0"), "{run}: {code} {said}");
    }
}

#[test]
fn contests_that_do_not_go_together_are_refused_at_once() {
    let ground = Playground::new("");
    let text = std::fs::read_to_string(ground.contest()).unwrap();
    let with_fallback =
        |name: &str| text.replace("\"mock\"", &format!("{name:?}")) + "[rewards]\nfallback = \"owner\"\n";
    for name in ["a", "b"] {
        std::fs::write(ground.path(&format!("{name}.toml")), with_fallback(name)).unwrap();
    }
    std::fs::write(ground.path("day.toml"), with_fallback("2026-11-22")).unwrap();
    let refused = |contests: &[&str]| {
        let mut run = edgemaxx();
        run.current_dir(ground.folder.path()).args(["validator", "run", "--insecure-dev-key", "//Alice"]);
        run.args(["--subtensor.chain_endpoint", "ws://127.0.0.1:9", "--data", "data"]);
        for contest in contests {
            run.args(["--contest", contest]);
        }
        let (code, said) = failure(&mut run);
        assert_eq!(code, 2, "{said}");
        said
    };
    for (contests, expected) in [
        (&["a.toml=0.5", "b.toml"][..], "need a share each"),
        (&["a.toml=0.5", "b.toml=0.4"], "shares sum to 0.9"),
        (&["a.toml=0.5", "a.toml=0.5"], "names that differ"),
        (&["a.toml=0.5", "day.toml=0.5"], "and no day"),
        (&["a.toml=1.5", "b.toml=-0.5"], "a share of 1.5"),
        (&["a.toml=0.5", "contest.toml=0.5"], "rewards.fallback"),
        (&["a.toml=0.5"], "shares sum to 0.5"),
    ] {
        let said = refused(contests);
        assert!(said.contains(expected), "{contests:?}: {said}");
    }
}
