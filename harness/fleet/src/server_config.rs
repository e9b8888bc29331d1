//! What a server is told: who may come in, and what each may say and hear.

use std::fmt::Write as _;
use std::path::Path;

use crate::content::PART_BYTES;
use crate::limits::AROUND_BYTES;
use crate::subject::permitted;

/// Where a server listens and keeps its store.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// `ADDRESS:PORT`.
    pub listen: &'a str,
    /// Folder of its store.
    pub store: &'a Path,
    /// Its certificate, in PEM.
    pub certificate: &'a Path,
    /// The key of its certificate.
    pub key: &'a Path,
}

/// The text of a configuration for `nats-server`: TLS, JetStream that syncs every write, the coordinator by its public key,
/// and workers who may each write under their own name and hear what is meant for them.
pub fn configuration(site: Site<'_>, coordinator: &str, workers: &[String]) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "listen: {:?}", site.listen);
    // By default what was acknowledged is on the disk two minutes later.
    let _ = writeln!(text, "jetstream {{ store_dir: {:?}, sync_interval: always }}", site.store);
    // A part, and what stands around it.
    let _ = writeln!(text, "max_payload: {}", PART_BYTES + 2 * AROUND_BYTES);
    let _ = writeln!(text, "tls {{ cert_file: {:?}, key_file: {:?} }}", site.certificate, site.key);
    let list = |subjects: &[String]| {
        let quoted: Vec<String> = subjects.iter().map(|subject| format!("{subject:?}")).collect();
        quoted.join(", ")
    };
    let _ = writeln!(text, "authorization {{ users: [\n  {{ nkey: {coordinator} }}");
    for worker in workers {
        let (publish, subscribe) = permitted(worker);
        let _ = writeln!(
            text,
            "  {{ nkey: {worker}, permissions: {{\n    publish: [{}]\n    subscribe: [{}] }} }}",
            list(&publish),
            list(&subscribe)
        );
    }
    text.push_str("] }\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_may_write_under_its_own_name_only() {
        let at = Path::new("/srv/nats");
        let site = Site { listen: "0.0.0.0:4222", store: at, certificate: at, key: at };
        let text = configuration(site, "UC", &["UA".to_owned(), "UB".to_owned()]);
        let of_a = text.lines().find(|line| line.contains("publish") && line.contains("em.host.UA")).unwrap();
        assert!(!of_a.contains("UB") && !of_a.contains("$JS.API.STREAM") && !of_a.contains("CONSUMER"));
        assert!(text.contains("sync_interval: always") && text.contains("tls {"));
        assert!(text.contains("max_payload: 532480"));
    }
}
