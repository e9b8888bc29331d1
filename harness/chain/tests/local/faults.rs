//! Dead, slow, lying and dying nodes, and a reorganised chain: never a double and never a lost submission.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use edgemaxx_chain::{
    Chain, ChainError, ConnectOptions, Journal, Outcome, SubmitOptions, WeightsPlan, WeightsRequest,
};
use serde_json::json;

use crate::node::{NETUID, Node, Seed, connect, hotkey};
use crate::proxy::{CUT_AFTER, CUT_BEFORE, Proxy, RELAY, SILENT};

fn plan(chain: &Chain) -> WeightsPlan {
    plan_of(chain, 0)
}

fn plan_of(chain: &Chain, uid: u16) -> WeightsPlan {
    let request = WeightsRequest {
        netuid: NETUID,
        mechanism: 0,
        hotkey: hotkey(uid).account(),
        rewards: vec![(hotkey(1).account(), 1.0), (hotkey(2).account(), 0.5)],
        version_key: 7,
    };
    chain.plan_weights(&chain.pin().unwrap(), &request).unwrap()
}

fn nonce(node: &Node, uid: u16) -> u64 {
    let account = hotkey(uid).account().to_string();
    node.rpc("system_accountNextIndex", json!([account])).unwrap().as_u64().unwrap()
}

const SET: [(u16, u16); 2] = [(1, 65535), (2, 32768)];

#[test]
fn a_cut_connection_neither_doubles_nor_loses_the_submission() {
    let Some(node) = Node::start("Instant") else { return };
    node.seed(&Seed::default());
    // Each order has a signer of its own: what one leaves in the node's pool must not meet the other.
    for (uid, order) in [(0, CUT_AFTER), (1, CUT_BEFORE)] {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(&folder.path().join("journal.jsonl")).unwrap();
        let proxy = Proxy::before(node.port, RELAY);
        let chain = connect(&proxy.url());
        let plan = plan_of(&chain, uid);
        proxy.mode.store(order, Ordering::SeqCst);
        let options = SubmitOptions { patience: Duration::from_secs(4), ..SubmitOptions::default() };
        let landed = chain.set_weights(&plan, &hotkey(uid), &mut journal, &options).unwrap();
        assert!(!landed.already);
        assert_eq!(proxy.mode.load(Ordering::SeqCst), RELAY, "the cut happened");
        assert_eq!(nonce(&node, uid), 1, "exactly one submission acted");
        assert_eq!(chain.weights_of(&chain.pin().unwrap(), NETUID, 0, uid).unwrap(), SET);
        assert_eq!(journal.attempts().len(), 1);
        if order == CUT_BEFORE {
            assert!(proxy.submissions.load(Ordering::SeqCst) >= 2, "the same bytes were sent again");
        }
    }
}

#[test]
fn dead_slow_and_lying_endpoints_give_way_or_are_named() {
    let Some(node) = Node::start("Instant") else { return };
    node.seed(&Seed::default());
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let slow = Proxy::before(node.port, SILENT);

    // A dead and a slow one before a good one.
    let start = Instant::now();
    let chain = connect(&format!("ws://127.0.0.1:{dead},{},{}", slow.url(), node.url()));
    assert_eq!(chain.endpoint().as_deref(), Some(node.url().as_str()));
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(chain.metagraph(&chain.pin().unwrap(), NETUID).unwrap().neurons.len(), 8);

    // Only bad ones: an answer in time that names each.
    let options = ConnectOptions { connect: Duration::from_millis(500), ..ConnectOptions::default() };
    let bad = format!("ws://127.0.0.1:{dead},{}", slow.url()).parse().unwrap();
    let Err(error) = Chain::connect(&bad, options) else { panic!("connected to nobody") };
    assert!(matches!(&error, ChainError::Connect { tried } if tried.len() == 2), "{error}");

    // A map shorter than its own count is never taken for the truth.
    node.seed(&Seed { claimed: 9, ..Seed::default() });
    let error = chain.metagraph(&chain.pin().unwrap(), NETUID).unwrap_err();
    assert!(matches!(error, ChainError::Contradiction { .. }), "{error}");
    assert!(chain.commitments(&chain.pin().unwrap(), NETUID).is_err());
}

#[test]
fn a_reorganised_chain_gets_the_weights_again() {
    let Some(node) = Node::start("Instant") else { return };
    node.seed(&Seed::default());
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&folder.path().join("journal.jsonl")).unwrap();
    let chain = node.connect();
    let options = SubmitOptions::default();
    let first = chain.set_weights(&plan(&chain), &hotkey(0), &mut journal, &options).unwrap();
    // The block is undone.
    node.rpc("dev_setHead", json!([first.block - 1])).unwrap();
    assert_eq!(chain.weights_of(&chain.pin().unwrap(), NETUID, 0, 0).unwrap(), []);
    let second = chain.set_weights(&plan(&chain), &hotkey(0), &mut journal, &options).unwrap();
    assert!(!second.already, "the journal's word is checked against the chain");
    assert_eq!(chain.weights_of(&chain.pin().unwrap(), NETUID, 0, 0).unwrap(), SET);
}

#[test]
fn a_node_killed_in_the_middle_leaves_an_open_attempt_that_is_settled_later() {
    let Some(mut node) = Node::start("Manual") else { return };
    node.seed(&Seed::default());
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&folder.path().join("journal.jsonl")).unwrap();
    let chain = node.connect();
    let weights = plan(&chain);
    let options = SubmitOptions { mortality: 4, patience: Duration::from_secs(5) };
    // No block is built, so the submission waits; then the node dies.
    let error = std::thread::scope(|scope| {
        let submitting = scope.spawn(|| chain.set_weights(&weights, &hotkey(0), &mut journal, &options));
        std::thread::sleep(Duration::from_secs(2));
        node.kill();
        submitting.join().unwrap().unwrap_err()
    });
    assert!(error.is_transient(), "{error}");
    assert_eq!(journal.attempts()[0].1, None, "its fate is not known");

    // Another node, which never saw the transaction; blocks pass, so that the old one expires for certain.
    let Some(node) = Node::start("Manual") else { return };
    node.seed(&Seed::default());
    let chain = node.connect();
    let done = AtomicBool::new(false);
    let landed = std::thread::scope(|scope| {
        let blocks = scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                node.new_blocks(1);
                std::thread::sleep(Duration::from_millis(300));
            }
        });
        let landed = chain.set_weights(&plan(&chain), &hotkey(0), &mut journal, &options);
        done.store(true, Ordering::SeqCst);
        blocks.join().unwrap();
        landed
    });
    assert!(!landed.unwrap().already);
    let outcomes: Vec<_> = journal.attempts().iter().map(|(_, o)| o.clone().unwrap()).collect();
    assert!(matches!(outcomes[..], [Outcome::Expired, Outcome::Landed(_)]), "{outcomes:?}");
    assert_eq!(nonce(&node, 0), 1, "exactly one acted");
}
