//! A local chain with a seeded subnet.

use std::fmt::Display;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use edgemaxx_chain::{Chain, ConnectOptions, Network};
use edgemaxx_seal::{AccountId, Keypair};
use serde_json::{Value, json};

pub(crate) const NETUID: u16 = 39;

/// A running node; killed when dropped.
pub(crate) struct Node {
    child: Child,
    pub(crate) port: u16,
}

/// What the subnet looks like; every test starts from this.
pub(crate) struct Seed {
    /// The hotkey of a uid.
    pub(crate) key: fn(u16) -> Keypair,
    pub(crate) neurons: u16,
    pub(crate) claimed: u16,
    pub(crate) permits: u16,
    pub(crate) version_key: u64,
    pub(crate) rate_limit: u64,
    pub(crate) last_update: u64,
    pub(crate) min_weights: u16,
    pub(crate) max_weight: u16,
    pub(crate) min_stake: u64,
    pub(crate) commit_reveal: bool,
}

impl Default for Seed {
    fn default() -> Self {
        Self {
            key: hotkey,
            neurons: 8,
            claimed: 8,
            permits: 2,
            version_key: 7,
            rate_limit: 100,
            last_update: 0,
            min_weights: 2,
            max_weight: u16::MAX,
            min_stake: 0,
            commit_reveal: false,
        }
    }
}

/// Says what is not tested, and why; past the capture of what passing tests print.
pub(crate) fn skipped(why: impl Display) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

pub(crate) fn hotkey(uid: u16) -> Keypair {
    Keypair::insecure_dev(&format!("//hot{uid}")).unwrap()
}

pub(crate) fn coldkey(uid: u16) -> AccountId {
    let mut id = [7; 32];
    id[..2].copy_from_slice(&uid.to_le_bytes());
    AccountId(id)
}

impl Node {
    /// Start a node, or say why not.
    pub(crate) fn start(mode: &str) -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let spec = std::env::var_os("EDGEMAXX_CHAIN_SPEC")
            .map_or_else(|| root.join("../shared/chain/raonet.json"), Into::into);
        let node = Command::new("node").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !spec.exists() || node.is_err() {
            skipped("no chain here; set EDGEMAXX_CHAIN_SPEC, and install Node, to run this test");
            return None;
        }
        let script = root.join("scripts/chain-local.sh");
        let installed = Command::new(&script).arg("--install-only").status().unwrap();
        assert!(installed.success(), "chopsticks cannot be installed");
        // Now and then the node hangs before it listens, when the clock crosses a slot in its first block.
        (0..5)
            .find_map(|_| Self::launch(&script, mode, &spec))
            .map_or_else(|| panic!("no node listens"), Some)
    }

    fn launch(script: &Path, mode: &str, spec: &Path) -> Option<Self> {
        let mut child = Command::new(script)
            .args(["--mode", mode, "--spec"])
            .arg(spec)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (send, receive) = std::sync::mpsc::channel();
        // Its output is drained to the end, or it would block on a full pipe.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some((_, after)) = line.split_once("RPC listening on http://127.0.0.1:") {
                    let _ = send.send(after.split(' ').next().and_then(|port| port.parse().ok()));
                }
            }
        });
        let port = receive.recv_timeout(Duration::from_secs(90)).ok().flatten();
        // Dropping it ends the child.
        let node = Self { child, port: port.unwrap_or(0) };
        port?;
        // The first block fails when the clock crosses a slot while it is built; then it is asked for again.
        for _ in 0..20 {
            if node.height() > 0 {
                return Some(node);
            }
            let _ = node.rpc("dev_newBlock", json!([{}]));
        }
        None
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// One JSON-RPC call over plain HTTP.
    pub(crate) fn rpc(&self, method: &str, params: Value) -> Result<Value, String> {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).map_err(|e| e.to_string())?;
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // Version 1.0: the answer comes whole and ends with the connection.
        let head = "POST / HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length";
        write!(stream, "{head}: {}\r\n\r\n{body}", body.len()).map_err(|e| e.to_string())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(|e| e.to_string())?;
        let (_, text) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
        let mut answer: Value = serde_json::from_str(text).map_err(|e| format!("{e}: {text}"))?;
        if answer["error"].is_null() { Ok(answer["result"].take()) } else { Err(answer["error"].to_string()) }
    }

    pub(crate) fn height(&self) -> u64 {
        let header = self.rpc("chain_getHeader", json!([])).unwrap();
        u64::from_str_radix(&header["number"].as_str().unwrap()[2..], 16).unwrap()
    }

    pub(crate) fn new_blocks(&self, count: u64) {
        self.rpc("dev_newBlock", json!([{ "count": count }])).unwrap();
    }

    pub(crate) fn set(&self, storage: Value) {
        self.rpc("dev_setStorage", json!([storage])).unwrap();
    }

    /// Put a subnet into the state. Raw bytes throughout: a plain 0 or false would delete the entry.
    pub(crate) fn seed(&self, seed: &Seed) {
        let n = seed.neurons;
        let id = |uid: u16| (seed.key)(uid).account();
        let hex = |bytes: &[u8]| bytes.iter().fold("0x".to_owned(), |s, b| s + &format!("{b:02x}"));
        let ids: Vec<String> = (0..n).map(|uid| hex(&id(uid).0)).collect();
        let cold: Vec<String> = (0..n).map(|uid| hex(&coldkey(uid).0)).collect();
        let each = |f: &dyn Fn(usize) -> Value| (0..n as usize).map(f).collect::<Vec<_>>();
        let u16s = |v: u16| hex(&v.to_le_bytes());
        let u64s = |v: u64| hex(&v.to_le_bytes());
        let list = |item: &dyn Fn(u16) -> Vec<u8>| {
            let mut bytes = if n < 64 { vec![(n as u8) << 2] } else { ((n << 2) | 1).to_le_bytes().to_vec() };
            (0..n).for_each(|uid| bytes.extend(item(uid)));
            json!([[[NETUID], hex(&bytes)]])
        };
        let one = |value: String| json!([[[NETUID], value]]);
        let zeros16 = || list(&|_| vec![0; 2]);
        self.set(json!({
            "System": { "Account": each(&|i| json!([[ids[i]], {"providers": 1, "data": {"free": "1000000000000"}}])) },
            "SubtensorModule": {
                "NetworksAdded": one("0x01".into()),
                "SubnetworkN": one(u16s(seed.claimed)),
                "MaxAllowedUids": one(u16s(4096)),
                "Keys": each(&|i| json!([[NETUID, i], ids[i]])),
                "Uids": each(&|i| json!([[NETUID, ids[i]], u16s(i as u16)])),
                "IsNetworkMember": each(&|i| json!([[ids[i], NETUID], "0x01"])),
                "Owner": each(&|i| json!([[ids[i]], cold[i]])),
                "BlockAtRegistration": each(&|i| json!([[NETUID, i], u64s(1 + i as u64)])),
                "TotalHotkeyAlpha": each(&|i| json!([[ids[i], NETUID], u64s(1000 + i as u64)])),
                "ValidatorPermit": list(&|uid| vec![(uid < seed.permits) as u8]),
                "LastUpdate": list(&|_| seed.last_update.to_le_bytes().to_vec()),
                "Active": list(&|_| vec![1]),
                "Rank": zeros16(), "Trust": zeros16(), "Consensus": zeros16(), "Incentive": zeros16(),
                "Dividends": zeros16(), "ValidatorTrust": zeros16(), "PruningScores": zeros16(),
                "Emission": list(&|_| vec![0; 8]),
                "Tempo": one(u16s(360)),
                "MinAllowedWeights": one(u16s(seed.min_weights)),
                "MaxWeightsLimit": one(u16s(seed.max_weight)),
                "WeightsSetRateLimit": one(u64s(seed.rate_limit)),
                "WeightsVersionKey": one(u64s(seed.version_key)),
                "CommitRevealWeightsEnabled": one(if seed.commit_reveal { "0x01" } else { "0x00" }.into()),
                "WeightsMinStake": u64s(seed.min_stake),
            }
        }));
    }

    /// Makes the chain forget when a hotkey last committed: it allows for that once in a hundred blocks.
    pub(crate) fn let_commit(&self, uid: u16) {
        self.set(may_commit([hotkey(uid).account()]));
    }

    pub(crate) fn connect(&self) -> Chain {
        connect(&self.url())
    }

    /// End the node at once.
    pub(crate) fn kill(&mut self) {
        // The script passes a TERM on to the node and removes its folder.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// What makes the chain forget when these last committed.
pub(crate) fn may_commit(who: impl IntoIterator<Item = AccountId>) -> Value {
    let forgotten: Vec<Value> =
        who.into_iter().map(|account| json!([[NETUID, account.to_string()], null])).collect();
    json!({ "Commitments": { "LastCommitment": forgotten } })
}

pub(crate) fn connect(endpoints: &str) -> Chain {
    let network: Network = endpoints.parse().unwrap();
    let options = ConnectOptions {
        connect: Duration::from_secs(3),
        read: Duration::from_secs(20),
        attempts: 4,
        pause: Duration::from_millis(50),
    };
    Chain::connect(&network, options).unwrap()
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}
