//! Flags of having other hosts measure, the same wherever a contest is run.

#[cfg(feature = "validator")]
use std::ffi::OsString;
use std::path::PathBuf;

/// Having other hosts measure.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct OnFleet {
    /// Have the workers of a fleet measure the lanes: address of its server, tls://HOST:PORT.
    #[arg(long, value_name = "ADDRESS", requires = "creds", conflicts_with = "device")]
    pub(crate) fleet: Option<String>,
    /// File of the coordinator's key; `edgemaxx fleet key` makes one.
    #[arg(long, value_name = "FILE", requires = "fleet")]
    pub(crate) creds: Option<PathBuf>,
    /// Certificate of whoever vouches for the server, PEM [default: those that this machine trusts].
    #[arg(long, value_name = "FILE", requires = "fleet")]
    pub(crate) ca: Option<PathBuf>,
    /// A worker that was not heard of for so many seconds loses its lane to another that is free.
    #[arg(long, value_name = "SECONDS", requires = "fleet", default_value = "60", value_parser = clap::value_parser!(u64).range(5..))]
    pub(crate) lease: u64,
}

#[cfg(feature = "validator")]
impl OnFleet {
    /// The same as words of `edgemaxx run`; none where this machine measures.
    pub(crate) fn words(&self) -> Vec<OsString> {
        let Some(server) = &self.fleet else { return Vec::new() };
        let mut words: Vec<OsString> = vec!["--fleet".into(), server.into()];
        for (flag, file) in [("--creds", &self.creds), ("--ca", &self.ca)] {
            words.extend(file.iter().flat_map(|file| [flag.into(), file.into()]));
        }
        words.extend(["--lease".into(), self.lease.to_string().into()]);
        words
    }
}
