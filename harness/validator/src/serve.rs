//! `GET /status` (JSON) and `GET /metrics` (Prometheus).

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tiny_http::{Header, Method, Request, Response, Server};

/// What is shown; replaced as a whole by the driver.
#[derive(Debug, Default)]
pub struct Shown {
    /// JSON.
    pub status: String,
    /// Prometheus' text.
    pub metrics: String,
}

/// Serves until the process ends; the address it listens on, whose port was chosen if it was 0.
///
/// # Errors
/// The address is taken or not this machine's.
pub fn serve(address: SocketAddr, shown: Arc<Mutex<Shown>>) -> Result<SocketAddr, String> {
    let server = Server::http(address).map_err(|error| format!("{address}: {error}"))?;
    let listening = server.server_addr().to_ip().unwrap_or(address);
    std::thread::Builder::new()
        .name("status".to_owned())
        .spawn(move || {
            for request in server.incoming_requests() {
                answer(request, &shown);
            }
        })
        .map_err(|error| error.to_string())?;
    Ok(listening)
}

fn answer(request: Request, shown: &Mutex<Shown>) {
    let shown = shown.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let path = request.url().split('?').next().unwrap_or_default();
    let (code, kind, body) = match (request.method(), path) {
        (Method::Get | Method::Head, "/status") => (200, "application/json", shown.status.clone()),
        (Method::Get | Method::Head, "/metrics") => (200, "text/plain; version=0.0.4", shown.metrics.clone()),
        (Method::Get | Method::Head, _) => (404, "text/plain", "expected /status or /metrics\n".to_owned()),
        _ => (405, "text/plain", "this can only be read\n".to_owned()),
    };
    drop(shown);
    let mut response = Response::from_string(body).with_status_code(code);
    if let Ok(header) = Header::from_bytes("Content-Type", kind) {
        response.add_header(header);
    }
    // Whoever hung up wants no answer.
    let _ = request.respond(response);
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn status_and_metrics_are_shown_and_nothing_else() {
        let shown = Arc::new(Mutex::new(Shown {
            status: "{\"a\":1}".to_owned(),
            metrics: "edgemaxx_a 1\n".to_owned(),
        }));
        let address = serve("127.0.0.1:0".parse().unwrap(), shown).unwrap();
        let ask = |line: &str| {
            let mut stream = TcpStream::connect(address).unwrap();
            write!(stream, "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        };
        assert!(ask("GET /status").ends_with("{\"a\":1}"));
        assert!(ask("GET /metrics").ends_with("edgemaxx_a 1\n"));
        assert!(ask("GET /etc/passwd").starts_with("HTTP/1.1 404"));
        assert!(ask("POST /status").starts_with("HTTP/1.1 405"));
    }
}
