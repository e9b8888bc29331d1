//! Each error of the chain comes back by its own name, with advice; and the preflight foretells it.

use edgemaxx_chain::{Call, Chain, ChainError, Journal, SubmitOptions, WeightsRequest};
use serde_json::json;

use crate::node::{NETUID, Node, Seed, hotkey};

struct Bench {
    node: Node,
    chain: Chain,
    journal: Journal,
    _folder: tempfile::TempDir,
}

impl Bench {
    /// Submit without any check of ours; the chain's answer.
    fn answer(&mut self, call: &Call, uid: u16) -> ChainError {
        let options = SubmitOptions::default();
        self.chain.submit(call, "test", 0, &hotkey(uid), &mut self.journal, &options).unwrap_err()
    }

    fn rejected(&mut self, call: &Call, uid: u16, expected: &str) {
        match self.answer(call, uid) {
            ChainError::Rejected { name, advice, .. } => {
                assert_eq!(name, expected);
                assert!(!advice.starts_with("see the chain"), "{name} has no advice");
            }
            other => panic!("expected {expected}, got {other}"),
        }
    }

    /// What the preflight says about the same, as names.
    fn foretold(&self, uid: u16, rewards: &[(u16, f64)], version_key: u64) -> Vec<String> {
        let request = WeightsRequest {
            netuid: NETUID,
            mechanism: 0,
            hotkey: hotkey(uid).account(),
            rewards: rewards.iter().map(|&(uid, w)| (hotkey(uid).account(), w)).collect(),
            version_key,
        };
        let plan = self.chain.plan_weights(&self.chain.pin().unwrap(), &request).unwrap();
        plan.broken.iter().map(|v| v.rule.to_string()).collect()
    }
}

#[test]
fn every_error_has_its_name() {
    let Some(node) = Node::start("Instant") else { return };
    node.seed(&Seed::default());
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("journal.jsonl")).unwrap();
    let chain = node.connect();
    let mut bench = Bench { node, chain, journal, _folder: folder };
    let two = [(1, 65535), (2, 65535)];
    let rewards = [(1, 1.0), (2, 1.0)];

    bench.rejected(&Call::set_weights(NETUID, &two, 7), 5, "NeuronNoValidatorPermit");
    assert_eq!(bench.foretold(5, &rewards, 7), ["NeuronNoValidatorPermit"]);

    bench.rejected(&Call::set_weights(NETUID, &two, 6), 0, "IncorrectWeightVersionKey");
    assert_eq!(bench.foretold(0, &rewards, 6), ["IncorrectWeightVersionKey"]);

    bench.rejected(&Call::set_weights(NETUID, &[(1, 9), (1, 9)], 7), 0, "DuplicateUids");
    bench.rejected(&Call::set_weights(NETUID, &[(1, 9), (77, 9)], 7), 0, "UidVecContainInvalidOne");

    bench.rejected(&Call::set_weights(NETUID, &[(1, 9)], 7), 0, "WeightVecLengthIsLow");
    assert_eq!(bench.foretold(0, &[(1, 1.0)], 7), ["WeightVecLengthIsLow"]);

    bench.node.seed(&Seed { max_weight: 40000, ..Seed::default() });
    bench.rejected(&Call::set_weights(NETUID, &[(1, 65535), (2, 1)], 7), 0, "MaxWeightExceeded");
    assert_eq!(bench.foretold(0, &[(1, 1.0), (2, 0.1)], 7), ["MaxWeightExceeded"]);

    bench.node.seed(&Seed { commit_reveal: true, ..Seed::default() });
    bench.rejected(&Call::set_weights(NETUID, &two, 7), 0, "CommitRevealEnabled");

    let height = bench.node.height();
    bench.node.seed(&Seed { last_update: height, ..Seed::default() });
    bench.rejected(&Call::set_weights(NETUID, &two, 7), 0, "SettingWeightsTooFast");
    assert_eq!(bench.foretold(0, &rewards, 7), ["SettingWeightsTooFast"]);

    // Refused at the door: no block ever holds it, and only its number tells.
    bench.node.seed(&Seed { min_stake: 1_000_000, ..Seed::default() });
    match bench.answer(&Call::set_weights(NETUID, &two, 7), 0) {
        ChainError::Invalid { reason, .. } => assert_eq!(reason, "NotEnoughStakeToSetWeights (Custom(3))"),
        other => panic!("{other}"),
    }
    // This runtime weighs several kinds of stake, so the preflight leaves that to it.
    assert_eq!(bench.foretold(0, &rewards, 7), [""; 0]);

    // Asked about the setter alone, it is told where no other hotkey lends or borrows any.
    let hindered = |uid: u16| {
        let chain = bench.node.connect();
        let found = chain.hindrances(&chain.pin().unwrap(), NETUID, &hotkey(uid).account()).unwrap();
        found.into_iter().map(|h| (h.violation.rule.to_string(), h.until)).collect::<Vec<_>>()
    };
    let rule = |name: &str, until| (name.to_owned(), until);
    assert_eq!(hindered(0), [rule("NotEnoughStakeToSetWeights", None)]);
    let height = bench.node.height();
    bench.node.seed(&Seed { last_update: height, ..Seed::default() });
    assert_eq!(hindered(0), [rule("SettingWeightsTooFast", Some(height + 100))]);
    bench.node.seed(&Seed::default());
    assert_eq!(hindered(0), []);
    assert_eq!(hindered(4), [rule("NeuronNoValidatorPermit", None)]);
    assert_eq!(hindered(500)[0], rule("HotKeyNotRegisteredInSubNet", None));

    // Commitments: not registered; too soon.
    bench.node.seed(&Seed::default());
    let stranger = hotkey(500);
    bench.node.set(json!({"System": {"Account": [[[stranger.account().to_string()], {"providers": 1, "data": {"free": "1000000000000"}}]]}}));
    let call = Call::set_commitment(NETUID, b"EM").unwrap();
    bench.rejected(&call, 500, "AccountNotAllowedCommit");
    let options = SubmitOptions::default();
    bench.chain.set_commitment(NETUID, b"one", &hotkey(4), &mut bench.journal, &options).unwrap();
    let call = Call::set_commitment(NETUID, b"two").unwrap();
    bench.rejected(&call, 4, "CommitmentSetRateLimitExceeded");
    let pin = bench.chain.pin().unwrap();
    let from = |uid: u16| bench.chain.commits_from(&pin, NETUID, &hotkey(uid).account()).unwrap();
    let block = bench.chain.commitment_of(&pin, NETUID, &hotkey(4).account()).unwrap().unwrap().1;
    assert_eq!((from(4), from(5)), (Some(block + 100), None));
    bench.node.let_commit(4);
    bench.node.new_blocks(1);
    let pin = bench.chain.pin().unwrap();
    assert_eq!(bench.chain.commits_from(&pin, NETUID, &hotkey(4).account()).unwrap(), None);
    // The refused one did not replace the first.
    let pin = bench.chain.pin().unwrap();
    assert_eq!(bench.chain.commitments(&pin, NETUID).unwrap().len(), 1);

    assert!(matches!(bench.chain.metagraph(&pin, 77), Err(ChainError::NoSubnet(77))));
}
