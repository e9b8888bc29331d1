//! Names of networks, as btcli knows them, and their public endpoints.

use std::str::FromStr;

use crate::ChainError;

/// Where the chain is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// The main network.
    Finney,
    /// The public test network.
    Test,
    /// A node on this machine.
    Local,
    /// Endpoints, the preferred first.
    Endpoints(Vec<String>),
}

impl Network {
    /// WebSocket endpoints, the preferred first.
    pub fn endpoints(&self) -> Vec<String> {
        let known: &[&str] = match self {
            Self::Finney => {
                &["wss://entrypoint-finney.opentensor.ai:443", "wss://lite.chain.opentensor.ai:443"]
            }
            Self::Test => &["wss://test.finney.opentensor.ai:443"],
            Self::Local => &["ws://127.0.0.1:9944"],
            Self::Endpoints(list) => return list.clone(),
        };
        known.iter().map(|s| (*s).to_owned()).collect()
    }
}

impl FromStr for Network {
    type Err = ChainError;

    /// A name, or one or several endpoints separated by commas.
    fn from_str(text: &str) -> Result<Self, ChainError> {
        match text {
            "finney" => return Ok(Self::Finney),
            "test" => return Ok(Self::Test),
            "local" => return Ok(Self::Local),
            _ => {}
        }
        let list: Vec<String> = text.split(',').map(|s| s.trim().to_owned()).collect();
        let good = |s: &String| {
            let host = s.strip_prefix("wss://").or_else(|| s.strip_prefix("ws://"));
            host.is_some_and(|h| !h.is_empty() && !h.contains(char::is_whitespace))
        };
        if list.iter().all(good) {
            Ok(Self::Endpoints(list))
        } else {
            Err(ChainError::Network(text.chars().take(120).collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_endpoints_parse_and_the_rest_is_refused() {
        assert_eq!("finney".parse::<Network>().unwrap(), Network::Finney);
        let two: Network = "ws://127.0.0.1:1, wss://b:443".parse().unwrap();
        assert_eq!(two.endpoints(), ["ws://127.0.0.1:1", "wss://b:443"]);
        for bad in ["", "finnney", "http://a", "ws://", "ws://a,", "ws://a b"] {
            assert!(matches!(bad.parse::<Network>(), Err(ChainError::Network(_))), "{bad}");
        }
    }
}
