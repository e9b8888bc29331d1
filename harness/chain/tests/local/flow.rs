//! The daily act: miners commit, the validator reads everything at one block and sets weights.

use std::time::{Duration, Instant};

use edgemaxx_chain::commitment::{Commitment, EngineKind, Provider, Submission};
use edgemaxx_chain::weights::Rule;
use edgemaxx_chain::{ChainError, Journal, Method, SubmitOptions, WeightsRequest};

use crate::node::{NETUID, Node, Seed, coldkey, hotkey};

fn submission(name: &str) -> Submission {
    Submission {
        contest: "sdxl-4090".into(),
        provider: Provider::HuggingFace,
        repository: format!("miner/{name}"),
        revision: "000102030405060708090a0b0c0d0e0f10111213".parse().unwrap(),
        engine: EngineKind::Native,
        opens: None,
    }
}

#[test]
fn commit_read_set_weights_and_read_back() {
    let Some(node) = Node::start("Instant") else { return };
    node.seed(&Seed { neurons: 256, claimed: 256, ..Seed::default() });
    let chain = node.connect();
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&folder.path().join("journal.jsonl")).unwrap();
    let options = SubmitOptions::default();

    // Two miners commit; repeating it changes nothing.
    let mut blocks = Vec::new();
    for uid in [3, 200] {
        let bytes = submission(&format!("m{uid}")).to_bytes().unwrap();
        let landed = chain.set_commitment(NETUID, &bytes, &hotkey(uid), &mut journal, &options).unwrap();
        assert!(!landed.already);
        let again = chain.set_commitment(NETUID, &bytes, &hotkey(uid), &mut journal, &options).unwrap();
        assert_eq!((again.already, again.block), (true, landed.block));
        blocks.push(landed.block);
    }

    // The validator reads all at one block.
    let pin = chain.pin().unwrap();
    let start = Instant::now();
    let snapshot = chain.snapshot(&pin, NETUID).unwrap();
    let took = start.elapsed();
    let metagraph = chain.metagraph(&pin, NETUID).unwrap();
    let commitments = chain.commitments(&pin, NETUID).unwrap();
    assert_eq!((&snapshot.neurons, &snapshot.commitments), (&metagraph.neurons, &commitments));
    println_to_stderr(&format!("256 neurons and commitments in {took:?}"));
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(metagraph.neurons.len(), 256);
    let third = &metagraph.neurons[3];
    assert_eq!((third.uid, third.hotkey, third.coldkey), (3, hotkey(3).account(), coldkey(3)));
    assert_eq!((third.permit, third.stake, third.registered_at), (false, 1003, 4));
    assert!(metagraph.neurons[0].permit);
    assert_eq!(metagraph.by_hotkey(&hotkey(255).account()).unwrap().uid, 255);
    let found: Vec<_> = commitments.iter().map(|c| (c.uid, c.block, c.meaning.clone())).collect();
    let expected: Vec<_> = [3u16, 200]
        .iter()
        .zip(&blocks)
        .map(|(&uid, &block)| (Some(uid), block, Commitment::Submission(submission(&format!("m{uid}")))))
        .collect();
    assert_eq!(found, expected);
    // Who was first within a block is told by the block's own extrinsics.
    for (uid, &block) in [3, 200].into_iter().zip(&blocks) {
        let places = chain.committed_in(block, NETUID).unwrap();
        assert_eq!(places.keys().collect::<Vec<_>>(), [&hotkey(uid).account()], "{places:?}");
        let [committed] = &places[&hotkey(uid).account()][..] else { panic!("{places:?}") };
        assert!(committed.place > 0, "the time stamp comes first");
        assert_eq!(committed.bytes, submission(&format!("m{uid}")).to_bytes().unwrap());
        assert!(chain.committed_in(block, NETUID + 1).unwrap().is_empty());
    }
    assert!(chain.committed_in(blocks[0] - 1, NETUID).unwrap().is_empty());
    let params = chain.params(&pin, NETUID).unwrap();
    assert_eq!((&params["Tempo"], &params["WeightsVersionKey"]), (&360.into(), &7.into()));

    // Weights: planned, set, read back; repeated, nothing is submitted.
    let request = WeightsRequest {
        netuid: NETUID,
        mechanism: 0,
        hotkey: hotkey(0).account(),
        rewards: vec![(hotkey(200).account(), 0.4), (hotkey(3).account(), 0.8), (hotkey(999).account(), 0.1)],
        version_key: 7,
    };
    let plan = chain.plan_weights(&pin, &request).unwrap();
    assert_eq!(
        (plan.broken.len(), &plan.method, plan.call.as_str()),
        (0, &Method::Plain, "SubtensorModule.set_weights")
    );
    assert_eq!(plan.missing, [hotkey(999).account()]);
    let landed = chain.set_weights(&plan, &hotkey(0), &mut journal, &options).unwrap();
    assert!(!landed.already);
    let later = chain.pin().unwrap();
    assert_eq!(chain.weights_of(&later, NETUID, 0, 0).unwrap(), [(3, 65535), (200, 32768)]);
    assert_eq!(chain.metagraph(&later, NETUID).unwrap().neurons[0].last_update, landed.block);
    let again = chain.plan_weights(&later, &request).unwrap();
    assert_eq!(again.broken[0].rule, Rule::SettingWeightsTooFast);
    assert!(chain.set_weights(&again, &hotkey(0), &mut journal, &options).unwrap().already);
    // Other weights, though, are refused before anything is signed.
    let other =
        WeightsRequest { rewards: vec![(hotkey(3).account(), 1.0), (hotkey(4).account(), 1.0)], ..request };
    let other = chain.plan_weights(&later, &other).unwrap();
    let attempts = journal.attempts().len();
    assert!(matches!(
        chain.set_weights(&other, &hotkey(0), &mut journal, &options),
        Err(ChainError::Preflight { .. })
    ));
    assert_eq!(journal.attempts().len(), attempts);

    // For the official SDK beside it: EDGEMAXX_CHAIN_HOLD keeps the node up for as many seconds.
    if let Some(seconds) = std::env::var("EDGEMAXX_CHAIN_HOLD").ok().and_then(|s| s.parse().ok()) {
        println_to_stderr(&format!("holding {}", node.url()));
        std::thread::sleep(Duration::from_secs(seconds));
    }
}

fn println_to_stderr(text: &str) {
    use std::io::Write;
    let stderr = std::io::stderr();
    writeln!(stderr.lock(), "{text}").unwrap();
}
