//! Days go on, in little memory, whatever comes to a validator's status address meanwhile.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use edgemaxx_validator::calendar::noon;
use edgemaxx_validator::serve::{Shown, serve};
use edgemaxx_validator::store::Store;

use crate::common::{Planet, drive, settings};

const CONNECTIONS: usize = 10_000;
/// Open at once; more than the server serves.
const AT_ONCE: usize = 250;

/// Ten thousand connections that owe a body, never end a head, send nonsense, or nothing; how many were made.
fn flood(address: SocketAddr) -> usize {
    let long = format!("GET /status HTTP/1.1\r\n{}", "x: y\r\n".repeat(2000));
    let hostile = [
        "",
        "GET",
        "GET /status HTTP/1.1\r\nHost: x\r\nContent-Length: 1099511627776\r\n\r\n",
        "POST /status HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\nx",
        "POST /status HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        "\u{16}\u{3}\u{1}\u{2}",
        &long,
    ];
    let open = |number: usize| {
        let mut stream = TcpStream::connect(address).ok()?;
        // The other side may have hung up already.
        let _ = stream.write_all(hostile[number % hostile.len()].as_bytes());
        Some(stream)
    };
    let waves = (0..CONNECTIONS).step_by(AT_ONCE);
    waves.map(|wave| (wave..wave + AT_ONCE).filter_map(open).collect::<Vec<_>>().len()).sum()
}

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) / 1024
}

#[test]
fn days_go_on_under_ten_thousand_hostile_connections() {
    let shown = Arc::new(Mutex::new(Shown::default()));
    let address = serve("127.0.0.1:0".parse().unwrap(), Arc::clone(&shown)).unwrap();
    let flood = std::thread::spawn(move || flood(address));
    let (mut days, mut most) = (0, 0);
    while days == 0 || !flood.is_finished() {
        let planet = Planet::at(noon(&"2026-03-06".parse().unwrap()).unwrap() - 3600);
        planet.borrow_mut().join("a", "hf:a/a@1", 2.0);
        let folder = tempfile::tempdir().unwrap();
        let store = Store::in_memory().unwrap();
        drive(&planet, &settings(folder.path()), store, |driver| driver.state().on_chain.is_some()).unwrap();
        assert!((planet.borrow().shares()["a"] - 1.0).abs() < 1e-9, "the day pays as ever");
        (days, most) = (days + 1, most.max(resident_mib()));
    }
    assert_eq!(flood.join().unwrap(), CONNECTIONS, "all of them came");
    assert!(most < 200, "{most} MiB in {days} days");
    assert!(shown.lock().unwrap().trouble.is_none(), "nothing fell");
}
