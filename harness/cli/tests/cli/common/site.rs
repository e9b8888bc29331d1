//! A static site on this machine: hands out a folder as it is, with faults on command.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// What goes wrong.
#[derive(Debug, Default, Clone, Copy)]
pub struct Faults {
    /// So many of the next requests are answered with 503.
    pub refuse: u32,
    /// The next answer to this path is cut off in the middle.
    pub cut: Option<&'static str>,
}

#[derive(Default)]
struct State {
    faults: Faults,
    asked: Vec<String>,
}

/// A running site; it ends with the test.
pub struct Site {
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl Site {
    /// Hands out `root`.
    pub fn of(root: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(Mutex::new(State::default()));
        let (root, shared) = (root.to_owned(), Arc::clone(&state));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (root, state) = (root.clone(), Arc::clone(&shared));
                std::thread::spawn(move || serve(client, &root, &state));
            }
        });
        Self { url, state }
    }

    /// What was asked for since the last question, in order.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().expect("unharmed").asked)
    }

    pub fn faults(&self, faults: Faults) {
        self.state.lock().expect("unharmed").faults = faults;
    }
}

/// One request after the other on one connection.
fn serve(mut client: TcpStream, root: &Path, state: &Mutex<State>) -> std::io::Result<()> {
    let mut lines = BufReader::new(client.try_clone()?).lines();
    while let Some(request) = lines.next().transpose()? {
        while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
        let path = request.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
        let file: PathBuf = root.join(&path);
        let (refuse, cut) = {
            let mut state = state.lock().expect("unharmed");
            let refuse = state.faults.refuse > 0;
            state.faults.refuse -= u32::from(refuse);
            let cut = !refuse && state.faults.cut.take_if(|cut| *cut == path).is_some();
            state.asked.push(path);
            (refuse, cut)
        };
        let (status, content) = match std::fs::read(&file) {
            _ if refuse => ("503 Busy", b"later".to_vec()),
            Ok(content) => ("200 OK", content),
            Err(_) => ("404 Not Found", b"nothing".to_vec()),
        };
        // In one piece: a second one would wait for the first one's acknowledgement.
        let mut answer =
            format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", content.len()).into_bytes();
        answer.extend(if cut { &content[..content.len() / 2] } else { &content });
        client.write_all(&answer)?;
        if cut {
            return client.shutdown(std::net::Shutdown::Both);
        }
    }
    Ok(())
}
