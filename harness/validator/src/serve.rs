//! `GET /status` (JSON) and `GET /metrics` (Prometheus), for whoever asks, however he asks: requests are small and have
//! no body, a connection has little time, and the newest connection is served before those that hang.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HeaderValue, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::task::AbortHandle;

/// Bytes of a request line and its headers together.
const MOST_HEAD: usize = 8192;
/// Headers of a request.
const MOST_HEADERS: usize = 64;
/// Connections at once; one more ends the oldest.
const MOST_CONNECTIONS: usize = 128;
/// For a request's line and headers to come.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// For a whole connection, which is for one request.
const CONNECTION_TIME: Duration = Duration::from_secs(10);
/// After the system refused a connection (no descriptor left), or the server itself fell.
const PAUSE: Duration = Duration::from_millis(200);

/// What is shown; replaced as a whole by the driver.
#[derive(Debug, Default)]
pub struct Shown {
    /// JSON.
    pub status: String,
    /// Prometheus' text.
    pub metrics: String,
    /// What went wrong with showing it, for an alarm.
    pub trouble: Option<String>,
}

/// An answer: code, type, body.
type Answer = (StatusCode, &'static str, String);

/// Serves until the process ends; the address it listens on, whose port was chosen if it was 0.
///
/// # Errors
/// The address is taken or not this machine's.
pub fn serve(address: SocketAddr, shown: Arc<Mutex<Shown>>) -> Result<SocketAddr, String> {
    let answering = Arc::clone(&shown);
    serve_with(address, &shown, move |method, path| answer(method, path, &lock(&answering)))
}

fn lock(shown: &Mutex<Shown>) -> std::sync::MutexGuard<'_, Shown> {
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(method: &Method, path: &str, shown: &Shown) -> Answer {
    match (method, path) {
        (&Method::GET | &Method::HEAD, "/status") => {
            (StatusCode::OK, "application/json", shown.status.clone())
        }
        (&Method::GET | &Method::HEAD, "/metrics") => {
            (StatusCode::OK, "text/plain; version=0.0.4", shown.metrics.clone())
        }
        (&Method::GET | &Method::HEAD, _) => {
            (StatusCode::NOT_FOUND, "text/plain", "expected /status or /metrics\n".to_owned())
        }
        _ => (StatusCode::METHOD_NOT_ALLOWED, "text/plain", "this can only be read\n".to_owned()),
    }
}

/// A server is restarted whenever it falls, and says so in `shown`.
fn serve_with(
    address: SocketAddr,
    shown: &Arc<Mutex<Shown>>,
    answer: impl Fn(&Method, &str) -> Answer + Send + Sync + 'static,
) -> Result<SocketAddr, String> {
    let listener = TcpListener::bind(address).map_err(|error| format!("{address}: {error}"))?;
    listener.set_nonblocking(true).map_err(|error| error.to_string())?;
    let listening = listener.local_addr().map_err(|error| error.to_string())?;
    let (shown, answer) = (Arc::clone(shown), Arc::new(answer));
    let supervise = move || {
        loop {
            let once = || {
                let listener = listener.try_clone().map_err(|error| error.to_string())?;
                run(listener, &answer, &shown)
            };
            let fell = std::panic::catch_unwind(std::panic::AssertUnwindSafe(once));
            let why = match fell {
                Ok(Err(error)) => error,
                Ok(Ok(never)) => match never {},
                Err(_) => "it panicked, a defect of this program".to_owned(),
            };
            lock(&shown).trouble = Some(format!("the status server was restarted: {why}"));
            std::thread::sleep(PAUSE);
        }
    };
    std::thread::Builder::new()
        .name("status".to_owned())
        .spawn(supervise)
        .map_err(|error| error.to_string())?;
    Ok(listening)
}

fn run(
    listener: TcpListener,
    answer: &Arc<impl Fn(&Method, &str) -> Answer + Send + Sync + 'static>,
    shown: &Arc<Mutex<Shown>>,
) -> Result<Infallible, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).map_err(|error| error.to_string())?;
        let mut open: VecDeque<AbortHandle> = VecDeque::new();
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                // Whoever hung up before he was served; or no descriptor is left, and some will be.
                Err(_) => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            open.retain(|connection| !connection.is_finished());
            if open.len() >= MOST_CONNECTIONS
                && let Some(oldest) = open.pop_front()
            {
                oldest.abort();
            }
            let (answer, shown) = (Arc::clone(answer), Arc::clone(shown));
            let connection = tokio::spawn(async move {
                let answering = service_fn(|request: Request<Incoming>| {
                    let answered = respond(&request, &*answer);
                    async move { Ok::<_, Infallible>(answered) }
                });
                let served = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_TIME)
                    .max_buf_size(MOST_HEAD)
                    .max_headers(MOST_HEADERS)
                    .keep_alive(false)
                    .serve_connection(TokioIo::new(stream), answering);
                // Whoever hung up, stalled or sent nonsense wants no answer.
                let _ = tokio::time::timeout(CONNECTION_TIME, served).await;
            });
            open.push_back(connection.abort_handle());
            tokio::spawn(async move {
                if connection.await.is_err_and(|error| error.is_panic()) {
                    let what =
                        "the status server could not answer a request: it panicked, a defect of this program";
                    lock(&shown).trouble = Some(what.to_owned());
                }
            });
        }
    })
}

/// The answer to a request; one with a body has none, and its body is not read.
fn respond(
    request: &Request<Incoming>,
    answer: &(impl Fn(&Method, &str) -> Answer + ?Sized),
) -> Response<Full<Bytes>> {
    let headers = request.headers();
    let empty = headers.get(CONTENT_LENGTH).is_none_or(|length| length == "0");
    let (code, kind, body) =
        if empty && !headers.contains_key(TRANSFER_ENCODING) && !headers.contains_key(EXPECT) {
            answer(request.method(), request.uri().path())
        } else {
            (StatusCode::PAYLOAD_TOO_LARGE, "text/plain", "a request has no body here\n".to_owned())
        };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use super::*;

    fn server() -> SocketAddr {
        let shown =
            Shown { status: "{\"a\":1}".to_owned(), metrics: "edgemaxx_a 1\n".to_owned(), trouble: None };
        serve("127.0.0.1:0".parse().unwrap(), Arc::new(Mutex::new(shown))).unwrap()
    }

    /// Sends `text` and leaves the connection open.
    fn send(address: SocketAddr, text: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // The other side may have hung up already.
        let _ = stream.write_all(text);
        stream
    }

    fn answer_of(mut stream: TcpStream) -> String {
        let mut answer = Vec::new();
        // A connection that is reset was answered all the same, or was not.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }

    fn ask(address: SocketAddr, line: &str, headers: &str) -> String {
        answer_of(send(address, format!("{line} HTTP/1.1\r\nHost: x\r\n{headers}\r\n").as_bytes()))
    }

    fn is_alive(address: SocketAddr) -> bool {
        ask(address, "GET /status", "").ends_with("{\"a\":1}")
    }

    #[test]
    fn status_and_metrics_are_shown_and_nothing_else() {
        let address = server();
        let ask = |line: &str| ask(address, line, "Connection: close\r\n");
        assert!(ask("GET /status").ends_with("{\"a\":1}"));
        assert!(ask("GET /status?pretty").starts_with("HTTP/1.1 200"));
        assert!(ask("GET /metrics").ends_with("edgemaxx_a 1\n"));
        let head = ask("HEAD /status").to_lowercase();
        assert!(head.contains("content-length: 7") && head.ends_with("\r\n\r\n"), "{head}");
        assert!(ask("GET /etc/passwd").starts_with("HTTP/1.1 404"));
        assert!(ask("POST /status").starts_with("HTTP/1.1 405"));
    }

    #[test]
    fn bodies_are_not_taken_however_long_they_are_said_to_be() {
        let address = server();
        for headers in [
            "Content-Length: 5000\r\n",
            "Content-Length: 1099511627776\r\n",
            "Content-Length: 18446744073709551615\r\n",
            "Content-Length: 18446744073709551616\r\n",
            "Content-Length: -1\r\n",
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Content-Length: 5\r\nExpect: 100-continue\r\n",
        ] {
            // The body is owed for ever; others are answered meanwhile.
            for line in ["GET /status", "POST /status"] {
                let owing = send(address, format!("{line} HTTP/1.1\r\nHost: x\r\n{headers}\r\n").as_bytes());
                assert!(is_alive(address), "{headers}");
                let answer = answer_of(owing);
                assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
            }
        }
        assert!(is_alive(address));
    }

    #[test]
    fn a_request_is_small() {
        let address = server();
        let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(1 << 20));
        let wide = format!("GET /status HTTP/1.1\r\nHost: {}\r\n\r\n", "x".repeat(1 << 20));
        let many = format!("GET /status HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(1000));
        for text in [long, wide, many] {
            let answer = answer_of(send(address, text.as_bytes()));
            // What was still on its way when the answer came resets the connection.
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
            assert!(is_alive(address));
        }
        // Headers without an end: as much as is taken, and no more.
        let mut stream = send(address, b"GET /status HTTP/1.1\r\n");
        let line = "x: y\r\n".repeat(1000);
        let taken = (0..100_000).take_while(|_| stream.write_all(line.as_bytes()).is_ok()).count();
        assert!(taken < 10_000, "{taken} times {} bytes", line.len());
        assert!(is_alive(address));
    }

    /// Ten thousand who begin and never end, at most 250 of them at once: others are answered at once, in little memory
    /// and by one thread.
    #[test]
    fn whoever_hangs_makes_room() {
        let address = server();
        let status = |name: &str| -> u64 {
            let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0");
            line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
        };
        let before = status("VmRSS:");
        let halves: [&[u8]; 4] = [
            b"",
            b"GET",
            b"GET /status HTTP/1.1\r\nHost",
            b"POST /status HTTP/1.1\r\nContent-Length: 9\r\n\r\nx",
        ];
        for _ in 0..40 {
            let hanging: Vec<TcpStream> = (0..250).map(|n| send(address, halves[n % 4])).collect();
            assert!(is_alive(address));
            drop(hanging);
        }
        assert!(is_alive(address));
        let grown = status("VmRSS:").saturating_sub(before) / 1024;
        assert!(grown < 100, "{grown} MB");
        let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        assert!(open < 500, "{open} descriptors");
    }

    #[test]
    fn a_panic_raises_an_alarm_and_ends_one_request() {
        let shown = Arc::new(Mutex::new(Shown::default()));
        let fall = |_: &Method, path: &str| match path {
            "/fall" => panic!("as a test wants it"),
            _ => (StatusCode::OK, "text/plain", "well".to_owned()),
        };
        let address = serve_with("127.0.0.1:0".parse().unwrap(), &shown, fall).unwrap();
        assert_eq!(ask(address, "GET /fall", ""), "");
        assert!(ask(address, "GET /", "").ends_with("well"));
        // The one who notes it runs on the thread that has just answered.
        assert!(ask(address, "GET /", "").ends_with("well"));
        assert!(lock(&shown).trouble.as_ref().is_some_and(|what| what.contains("panicked")));
    }
}
