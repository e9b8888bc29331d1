//! [`Hub`]: fetching and publishing.

use std::path::PathBuf;

use edgemaxx_contract::utf8::text_of;

use crate::cache::{home, set};
use crate::upload::{FilesUpload, Published, Upload};
use crate::{Cache, HubError, Patience, Resolved, Rules, Source, download, http, resolve_offline, upload};

/// The hub that is asked where none is named.
const ENDPOINT: &str = "https://huggingface.co";

/// What a transfer is doing, for whoever watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// It begins: "download" or "upload" of so many bytes.
    Begin {
        /// Which.
        what: &'static str,
        /// All bytes, those there already included.
        bytes: u64,
    },
    /// This file is next.
    File(&'a str),
    /// So many bytes more are there.
    Bytes(u64),
}

/// A connection to the hub, and the cache on this machine.
#[derive(Debug)]
pub struct Hub {
    cache: Cache,
    http: Option<http::Http>,
}

/// Whether a variable says yes, in the words that Hugging Face's own tools take for it.
fn is_on(get: impl Fn(&str) -> Option<String>, name: &str) -> bool {
    let value = get(name).unwrap_or_default().trim().to_ascii_uppercase();
    matches!(value.as_str(), "1" | "ON" | "YES" | "TRUE")
}

/// The token that Hugging Face's own tools would send: `HF_TOKEN` (once `HUGGING_FACE_HUB_TOKEN`), else what their file
/// holds; none where implicit tokens are switched off, since nothing here names one for a request of its own.
fn token(get: impl Fn(&str) -> Option<String>) -> Result<Option<http::Token>, HubError> {
    if is_on(&get, "HF_HUB_DISABLE_IMPLICIT_TOKEN") {
        return Ok(None);
    }
    let of = |text: &str, place: &str| {
        http::Token::new(text).map_err(|()| HubError::Token { place: place.to_owned() })
    };
    for name in ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"] {
        if let Some(token) = of(&get(name).unwrap_or_default(), name)? {
            return Ok(Some(token));
        }
    }
    let path = set(&get, "HF_TOKEN_PATH").map_or_else(|| home(&get).join("token"), PathBuf::from);
    let Ok(bytes) = std::fs::read(&path) else { return Ok(None) };
    let place = path.display().to_string();
    let text = text_of(&bytes).map_err(|_| HubError::Token { place: place.clone() })?;
    of(text, &place)
}

impl Hub {
    /// As Hugging Face's own tools are set up: `HF_ENDPOINT`, `HF_TOKEN` (else the file that `hf auth login`
    /// writes) unless `HF_HUB_DISABLE_IMPLICIT_TOKEN`, `HF_HOME`, `HF_HUB_CACHE`, `HF_HUB_OFFLINE`.
    ///
    /// # Errors
    /// When the endpoint is no address, or the token is none.
    pub fn from_env(get: impl Fn(&str) -> Option<String>, patience: Patience) -> Result<Self, HubError> {
        let cache = Cache::from_env(&get);
        if is_on(&get, "HF_HUB_OFFLINE") || is_on(&get, "TRANSFORMERS_OFFLINE") {
            return Ok(Self { cache, http: None });
        }
        let token = token(&get)?;
        let endpoint = set(&get, "HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned());
        Ok(Self { cache, http: Some(http::Http::new(&endpoint, token, patience)?) })
    }

    /// Resolve a source, fetching what is missing. What a limit or a rule forbids is refused before it is fetched.
    ///
    /// # Errors
    /// When it is not there, breaks a rule, or is not what was promised.
    pub fn resolve(
        &self,
        source: &Source,
        rules: &Rules,
        watch: &mut dyn FnMut(Step<'_>),
    ) -> Result<Resolved, HubError> {
        match (source, &self.http) {
            (Source::Hub { repository, revision }, Some(http)) => {
                download::fetch(http, &self.cache, repository, revision.as_deref(), rules, watch)
            }
            _ => resolve_offline(source, &self.cache, rules),
        }
    }

    /// Make the repository's main branch hold exactly the folder's checkpoint. Repeating it is cheap and safe.
    ///
    /// # Errors
    /// When the folder breaks a rule, the hub says no, or another commit came in between.
    pub fn publish(
        &self,
        upload: &Upload<'_>,
        rules: &Rules,
        watch: &mut dyn FnMut(Step<'_>),
    ) -> Result<Published, HubError> {
        upload::publish(self.http.as_ref().ok_or(HubError::Offline)?, upload, rules, watch)
    }

    /// Make a folder of a dataset repository hold exactly these files. Repeating it is cheap and safe.
    ///
    /// # Errors
    /// When the hub says no, or another commit came in between.
    pub fn publish_files(
        &self,
        upload: &FilesUpload<'_>,
        watch: &mut dyn FnMut(Step<'_>),
    ) -> Result<Published, HubError> {
        upload::publish_files(self.http.as_ref().ok_or(HubError::Offline)?, upload, watch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The token sent with these variables set.
    fn sent(variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let get = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        token(get).map(|token| token.map(|token| token.bearer())).map_err(|error| error.to_string())
    }

    /// As `huggingface_hub`'s `get_token` has it (`utils/_auth.py`), and quotes taken off besides.
    #[test]
    fn the_token_is_the_one_that_the_hubs_own_tools_send() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "\u{feff}hf_file\r\n").unwrap();
        let home = ("HF_HOME", folder.path().to_str().unwrap());
        let bearer = |token: &str| Ok(Some(format!("Bearer {token}")));
        for (given, token) in [
            ("hf_a", "hf_a"),
            ("  hf_a \n", "hf_a"),
            ("\"hf_a\"", "hf_a"),
            ("'hf_a'", "hf_a"),
            (" \"hf_a\" \n", "hf_a"),
            ("hf_\r\na", "hf_a"),
            // Blank: the file's.
            ("", "hf_file"),
            (" \n", "hf_file"),
            ("\"\"", "hf_file"),
        ] {
            assert_eq!(sent(&[("HF_TOKEN", given), home]), bearer(token), "{given:?}");
        }
        assert_eq!(sent(&[home]), bearer("hf_file"));
        assert_eq!(sent(&[("HUGGING_FACE_HUB_TOKEN", "old"), home]), bearer("old"));
        assert_eq!(sent(&[("HF_TOKEN_PATH", "/nowhere/token"), home]), Ok(None));
        let other = folder.path().join("other");
        std::fs::write(&other, "hf_other").unwrap();
        assert_eq!(sent(&[("HF_TOKEN_PATH", other.to_str().unwrap()), home]), bearer("hf_other"));
        let cache = folder.path().parent().unwrap().join("huggingface");
        assert_eq!(
            super::home(|name| (name == "XDG_CACHE_HOME").then(|| cache
                .parent()
                .unwrap()
                .display()
                .to_string())),
            cache
        );
        for (switch, token) in [
            ("1", None),
            ("ON", None),
            ("yes", None),
            (" true ", None),
            ("0", Some("hf_a")),
            ("", Some("hf_a")),
            ("no", Some("hf_a")),
        ] {
            let found = sent(&[("HF_HUB_DISABLE_IMPLICIT_TOKEN", switch), ("HF_TOKEN", "hf_a"), home]);
            assert_eq!(found, Ok(token.map(|token| format!("Bearer {token}"))), "{switch:?}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused_and_never_shown() {
        for given in ["hf_a hf_b", "hf_\u{e4}", "hf_a\u{7}"] {
            let said = sent(&[("HF_TOKEN", given)]).unwrap_err();
            assert!(said.starts_with("HF_TOKEN: expected") && !said.contains("hf_"), "{said}");
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), b"\xff\xfeh\0f\0").unwrap();
        let said = sent(&[("HF_HOME", folder.path().to_str().unwrap())]).unwrap_err();
        assert!(said.contains("token: expected"), "{said}");
    }

    #[test]
    fn offline_is_what_the_hubs_own_tools_take_for_it() {
        let offline = |name: &'static str, value: &'static str| {
            let get = move |asked: &str| (asked == name).then(|| value.to_owned());
            Hub::from_env(get, Patience::default()).unwrap().http.is_none()
        };
        assert!(offline("HF_HUB_OFFLINE", "1") && offline("TRANSFORMERS_OFFLINE", "yes"));
        assert!(!offline("HF_HUB_OFFLINE", "no") && !offline("HF_HUB_OFFLINE", "0"));
    }
}
