//! Where what is said: the names of subjects and streams, one place for those who publish and those who permit.

use edgemaxx_contract::digest::Digest;

/// Where hosts say how they are.
pub(crate) const HOSTS: &str = "EM_HOST";
/// Where lanes are given out.
pub(crate) const LEASES: &str = "EM_LEASE";
/// Where results wait.
pub(crate) const RESULTS: &str = "EM_RESULT";
/// Where the coordinator's bytes are, by digest.
pub(crate) const INPUTS: &str = "EM_INPUT";
/// Where workers' bytes are, by digest.
pub(crate) const PARTS: &str = "EM_PART";
/// Where the coordinator says that it is the one.
pub(crate) const CLAIM: &str = "em.lease.coordinator";

pub(crate) fn host(worker: &str) -> String {
    format!("em.host.{worker}")
}

pub(crate) fn lease(worker: &str) -> String {
    format!("em.lease.{worker}")
}

/// Without the plan: whoever makes up plans pushes out what he sent himself.
pub(crate) fn result(worker: &str) -> String {
    format!("em.result.{worker}")
}

/// A part of some bytes, and the stream that holds it: of a worker, of the coordinator where it is `None`.
pub(crate) fn part(from: Option<&str>, digest: &Digest, number: u64) -> (&'static str, String) {
    match from {
        Some(worker) => (PARTS, format!("em.part.{worker}.{digest}.{number}")),
        None => (INPUTS, format!("em.input.{digest}.{number}")),
    }
}

/// Where the answers to a key's own questions come.
pub(crate) fn inbox(name: &str) -> String {
    format!("_INBOX_{name}")
}

/// What a worker may publish, and what it may hear.
pub(crate) fn permitted(worker: &str) -> (Vec<String>, Vec<String>) {
    let publish = vec![
        host(worker),
        result(worker),
        format!("em.part.{worker}.>"),
        format!("$JS.API.DIRECT.GET.{LEASES}.{}", lease(worker)),
        format!("$JS.API.DIRECT.GET.{INPUTS}.em.input.>"),
    ];
    (publish, vec![format!("{}.>", inbox(worker)), lease(worker)])
}
