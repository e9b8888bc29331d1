//! A relay before the node that cuts, delays or swallows on command.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;

/// What the relay does with the next submission it sees; afterwards it relays everything.
pub(crate) const RELAY: u8 = 0;
/// Pass the submission on, then cut: it acts, but its answer is lost.
pub(crate) const CUT_AFTER: u8 = 1;
/// Cut without passing it on: it never reaches the node.
pub(crate) const CUT_BEFORE: u8 = 2;
/// Say nothing at all, ever.
pub(crate) const SILENT: u8 = 3;

pub(crate) struct Proxy {
    pub(crate) port: u16,
    pub(crate) mode: Arc<AtomicU8>,
    pub(crate) submissions: Arc<AtomicUsize>,
}

impl Proxy {
    pub(crate) fn before(node: u16, mode: u8) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mode = Arc::new(AtomicU8::new(mode));
        let submissions = Arc::new(AtomicUsize::new(0));
        let (m, s) = (mode.clone(), submissions.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (m, s) = (m.clone(), s.clone());
                std::thread::spawn(move || relay(client, node, &m, &s));
            }
        });
        Self { port, mode, submissions }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }
}

fn relay(client: TcpStream, node: u16, mode: &AtomicU8, submissions: &AtomicUsize) {
    if mode.load(Ordering::SeqCst) == SILENT {
        std::thread::sleep(Duration::from_secs(60));
        return;
    }
    let Ok(server) = TcpStream::connect(("127.0.0.1", node)) else { return };
    let (mut down_from, mut down_to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut down_from, &mut down_to);
        let _ = down_to.shutdown(Shutdown::Both);
    });
    let (mut from, mut to) = (client, server);
    let mut buffer = vec![0; 1 << 16];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        let is_submission = unmasked(&buffer[..n]).is_some_and(|text| text.contains("author_submit"));
        if is_submission {
            submissions.fetch_add(1, Ordering::SeqCst);
        }
        let order = if is_submission { mode.swap(RELAY, Ordering::SeqCst) } else { RELAY };
        if order != CUT_BEFORE {
            let _ = to.write_all(&buffer[..n]);
        }
        if order != RELAY {
            // Long enough for the node to act, too short for its answer to be passed on: that way is cut first.
            let _ = from.shutdown(Shutdown::Both);
            std::thread::sleep(Duration::from_millis(1500));
            let _ = to.shutdown(Shutdown::Both);
            return;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// The text of the client's frame (masked, as all of a client's are) that these bytes begin with.
fn unmasked(frame: &[u8]) -> Option<String> {
    let (head, rest) = frame.split_first_chunk::<2>()?;
    let skip = match head[1] & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let (mask, body) = rest.get(skip..)?.split_first_chunk::<4>()?;
    let bytes = body.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    String::from_utf8(bytes).ok()
}
