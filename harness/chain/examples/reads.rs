//! How long it takes to read a subnet of 256 neurons from the local runtime: connecting, and then each read on the open connection.
//! With the path of the command, also the whole command.

#[path = "../tests/local/node.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod node;

use std::io::Write as _;
use std::time::Instant;

use edgemaxx_chain::ChainError;
use node::{NETUID, Node, Seed};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Some(node) = Node::start("Instant") else { return Ok(()) };
    node.seed(&Seed { neurons: 256, claimed: 256, ..Seed::default() });
    for round in 1..=3 {
        let chain = timed(&format!("round {round}: connect"), || Ok(node.connect()))?;
        let pin = timed("  the head", || chain.pin())?;
        for what in ["  256 neurons", "  256 neurons again"] {
            let read = timed(what, || chain.metagraph(&pin, NETUID))?;
            assert_eq!(read.neurons.len(), 256);
        }
        timed("  neurons and commitments", || chain.snapshot(&pin, NETUID))?;
    }
    let Some(program) = std::env::args_os().nth(1) else { return Ok(()) };
    for _ in 0..3 {
        let mut command = std::process::Command::new(&program);
        command.args(["chain", "neurons", "--json", "--netuid", &NETUID.to_string()]);
        command.args(["--subtensor.chain_endpoint", &node.url()]).stdout(std::process::Stdio::null());
        timed("edgemaxx chain neurons", || {
            assert!(command.status().is_ok_and(|status| status.success()));
            Ok(())
        })?;
    }
    Ok(())
}

fn timed<T>(
    what: &str,
    read: impl FnOnce() -> Result<T, ChainError>,
) -> Result<T, Box<dyn std::error::Error>> {
    let begun = Instant::now();
    let found = read()?;
    writeln!(std::io::stdout(), "{what:26} {:6.1} ms", begun.elapsed().as_secs_f64() * 1e3)?;
    Ok(found)
}
