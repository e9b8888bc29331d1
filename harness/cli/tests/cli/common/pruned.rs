//! A node that has thrown old state away: a relay that answers so for reads at blocks that are not kept.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// Relays to the node at `port`, but for what it asks of a block's state, or of its body, whose hash is not `kept`; the address.
pub fn pruned(
    port: u16,
    kept: impl Fn(&str) -> bool + Send + Sync + 'static,
    kept_bodies: impl Fn(&str) -> bool + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("ws://{}", listener.local_addr().expect("an address"));
    let (kept, kept_bodies) = (Arc::new(kept), Arc::new(kept_bodies));
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let (kept, kept_bodies) = (Arc::clone(&kept), Arc::clone(&kept_bodies));
            std::thread::spawn(move || relay(client, port, &*kept, &*kept_bodies));
        }
    });
    url
}

fn relay(
    mut client: TcpStream,
    port: u16,
    kept: &dyn Fn(&str) -> bool,
    kept_bodies: &dyn Fn(&str) -> bool,
) -> Option<()> {
    let mut server = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let back = Arc::new(Mutex::new(client.try_clone().ok()?));
    let (mut from_server, to_client) = (server.try_clone().ok()?, Arc::clone(&back));
    std::thread::spawn(move || {
        let head = head(&mut from_server)?;
        to_client.lock().ok()?.write_all(&head).ok()?;
        while let Some((whole, _)) = frame(&mut from_server) {
            to_client.lock().ok()?.write_all(&whole).ok()?;
        }
        to_client.lock().ok()?.shutdown(Shutdown::Both).ok()
    });
    let head = head(&mut client)?;
    server.write_all(&head).ok()?;
    while let Some((whole, text)) = frame(&mut client) {
        match serde_json::from_slice::<Value>(&text).ok().and_then(|asked| refusal(&asked, kept, kept_bodies))
        {
            Some(answer) => back.lock().ok()?.write_all(&text_frame(&answer.to_string())).ok()?,
            None => server.write_all(&whole).ok()?,
        }
    }
    server.shutdown(Shutdown::Both).ok()
}

/// What a pruned node says to a question about what it does not keep.
fn refusal(asked: &Value, kept: &dyn Fn(&str) -> bool, kept_bodies: &dyn Fn(&str) -> bool) -> Option<Value> {
    let method = asked["method"].as_str()?;
    let hash = asked["params"].as_array()?.last()?.as_str()?;
    if method == "chain_getBlock" && !kept_bodies(hash) {
        return Some(json!({"jsonrpc": "2.0", "id": asked["id"], "result": null}));
    }
    if !method.starts_with("state_") || hash.len() != 66 || kept(hash) {
        return None;
    }
    let message =
        format!("Client error: Api called for an unknown Block: State already discarded for {hash}");
    Some(json!({"jsonrpc": "2.0", "id": asked["id"], "error": {"code": 4003, "message": message}}))
}

/// A request or an answer up to its empty line.
fn head(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        bytes.push(byte[0]);
    }
    Some(bytes)
}

/// A frame as it came, and what it says.
fn frame(stream: &mut TcpStream) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut whole = vec![0; 2];
    stream.read_exact(&mut whole).ok()?;
    let more = |stream: &mut TcpStream, whole: &mut Vec<u8>, n: usize| -> Option<()> {
        let at = whole.len();
        whole.resize(at + n, 0);
        stream.read_exact(&mut whole[at..]).ok()
    };
    let length = match whole[1] & 0x7f {
        126 => {
            more(stream, &mut whole, 2)?;
            usize::from(u16::from_be_bytes([whole[2], whole[3]]))
        }
        127 => {
            more(stream, &mut whole, 8)?;
            u64::from_be_bytes(whole[2..10].try_into().ok()?) as usize
        }
        length => usize::from(length),
    };
    let masked = whole[1] & 0x80 != 0;
    let mask_at = whole.len();
    if masked {
        more(stream, &mut whole, 4)?;
    }
    let at = whole.len();
    more(stream, &mut whole, length)?;
    let mut text = whole[at..].to_vec();
    if masked {
        let mask: [u8; 4] = whole[mask_at..at].try_into().ok()?;
        text.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    }
    Some((whole, text))
}

fn text_frame(text: &str) -> Vec<u8> {
    let length = text.len() as u16;
    let mut frame = vec![0x81, 126];
    frame.extend(length.to_be_bytes());
    frame.extend(text.as_bytes());
    frame
}
