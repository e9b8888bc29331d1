//! Nothing secret is logged, at any level, by us or by what we are built on.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use edgemaxx_chain::{Call, ChainError, Journal, SubmitOptions};
use edgemaxx_seal::{PasswordSource, Wallet};
use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};

use crate::node::{NETUID, Node, Seed};

static LISTENING: AtomicBool = AtomicBool::new(false);
static HEARD: Mutex<String> = Mutex::new(String::new());

/// Takes down everything while it listens.
struct Listener;

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, "{field}={value:?} ");
    }
}

fn take_down(record: impl FnOnce(&mut Text)) {
    let mut text = Text(String::new());
    record(&mut text);
    text.0.push('\n');
    HEARD.lock().unwrap().push_str(&text.0);
}

impl Subscriber for Listener {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        LISTENING.load(Ordering::SeqCst)
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        take_down(|text| span.record(text));
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, values: &Record<'_>) {
        take_down(|text| values.record(text));
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        take_down(|text| event.record(text));
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn no_secret_is_logged_at_trace_level() {
    let Some(node) = Node::start("Instant") else { return };
    node.seed(&Seed::default());
    let home = tempfile::tempdir().unwrap();
    let hot = home.path().join("w/hotkeys");
    std::fs::create_dir_all(&hot).unwrap();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../seal/tests/data/wallet");
    let place = |from: &str, to: &str| {
        std::fs::copy(data.join(from), hot.join(to)).unwrap();
        std::fs::set_permissions(hot.join(to), std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    place("phrase", "key");
    tracing::subscriber::set_global_default(Listener).unwrap();
    LISTENING.store(true, Ordering::SeqCst);

    let key = Wallet::new(home.path(), "w", "key").unwrap().open(&PasswordSource::default()).unwrap();
    let account = json!([[key.account().to_string()], {"providers": 1, "data": {"free": "1000000000000"}}]);
    node.set(json!({"System": {"Account": [account]}}));
    let chain = node.connect();
    let mut journal = Journal::open(&home.path().join("journal.jsonl")).unwrap();
    let call = Call::set_commitment(NETUID, b"EM").unwrap();
    let error = chain.submit(&call, "x", 0, &key, &mut journal, &SubmitOptions::default()).unwrap_err();
    assert!(matches!(error, ChainError::Rejected { .. }), "signed and executed: {error}");

    LISTENING.store(false, Ordering::SeqCst);
    let heard = HEARD.lock().unwrap();
    assert!(heard.contains("author_submit"), "the submission itself was heard");
    let file: Value = serde_json::from_slice(&std::fs::read(data.join("phrase")).unwrap()).unwrap();
    let journal = std::fs::read_to_string(home.path().join("journal.jsonl")).unwrap();
    let texts = format!("{heard}{journal}{error:?}{key:?}").to_lowercase();
    for field in ["privateKey", "secretSeed", "secretPhrase"] {
        let secret = file[field].as_str().unwrap().trim_start_matches("0x").to_lowercase();
        // A part tells, too; and bytes may be written as numbers.
        assert!(!texts.contains(&secret[..16]), "{field}");
        let bytes: Vec<u8> = (0..secret.len() / 2)
            .filter_map(|i| u8::from_str_radix(&secret[2 * i..2 * i + 2], 16).ok())
            .collect();
        if bytes.len() >= 32 {
            let list = format!("{:?}", &bytes[..6]);
            assert!(!texts.contains(list.trim_matches(['[', ']'])), "{field} as numbers");
        }
    }
}
