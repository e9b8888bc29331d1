//! Requests with the token only where it belongs, bounded answers, time-outs, and repetition with back-off.

use crate::HubError;
use serde::de::DeserializeOwned;
use std::io::Read;
use std::time::Duration;
use ureq::http::Response;
use ureq::{Body, SendBody};

/// Largest answer that is read into memory: the list of a large repository's files.
const MAX_ANSWER: u64 = 16 << 20;
const MAX_REDIRECTS: u32 = 5;

/// A secret that no formatter shows.
#[derive(Clone)]
pub(crate) struct Token(String);

impl Token {
    /// The token that a variable or a file holds, without what shells and files of variables leave around it and line
    /// ends inside, as Hugging Face's own tools do; `None` where it is blank. What else no header can carry is refused.
    pub(crate) fn new(text: &str) -> Result<Option<Self>, ()> {
        let text = text.replace(['\r', '\n'], "");
        let text = text.trim();
        let bare = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
        let text = bare('"').or_else(|| bare('\'')).unwrap_or(text).trim();
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(());
        }
        Ok((!text.is_empty()).then(|| Self(text.to_owned())))
    }

    /// As it stands in a request.
    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// How patient requests are.
#[derive(Debug, Clone)]
pub struct Patience {
    /// For opening a connection.
    pub connect: Duration,
    /// Between two pieces of an answer.
    pub read: Duration,
    /// How often one step is tried without any progress.
    pub attempts: u32,
    /// The pause before the second attempt; it doubles, up to thirty seconds.
    pub pause: Duration,
    /// What a file of a static site may take, however slowly it comes; after that a slow line's worth must have come.
    pub slow: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            read: Duration::from_secs(60),
            attempts: 6,
            pause: Duration::from_millis(500),
            // Three tries of a site that does not answer at once.
            slow: Duration::from_secs(180),
        }
    }
}

/// The client.
#[derive(Debug)]
pub(crate) struct Http {
    agent: ureq::Agent,
    pub(crate) endpoint: String,
    token: Option<Token>,
    patience: Patience,
}

/// What a request carries.
pub(crate) enum Payload<'a> {
    Nothing,
    /// Content type and bytes.
    Text(&'static str, &'a [u8]),
    /// A stream of exactly so many bytes.
    Stream(&'a mut dyn Read, u64),
}

impl Http {
    /// # Errors
    /// When the endpoint is no `https://` (or `http://`) address.
    pub(crate) fn new(endpoint: &str, token: Option<Token>, patience: Patience) -> Result<Self, HubError> {
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        if origin(&endpoint).is_none() || endpoint.contains(['?', '#', '@']) {
            return Err(HubError::Endpoint { text: endpoint });
        }
        let agent = ureq::Agent::config_builder()
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_connect(Some(patience.connect))
            .timeout_recv_response(Some(patience.read))
            .timeout_per_read(Some(patience.read))
            .timeout_per_write(Some(patience.read))
            .user_agent(concat!("edgemaxx/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Ok(Self { agent, endpoint, token, patience })
    }

    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Repeat `step` while it fails for reasons that pass, until it failed `attempts` times without progress;
    /// `progress` is what the step has reached, in any unit that only grows.
    pub(crate) fn persist<T>(
        &self,
        mut step: impl FnMut() -> Result<T, HubError>,
        mut progress: impl FnMut() -> u64,
    ) -> Result<T, HubError> {
        let (mut failures, mut pause, mut reached) = (0, self.patience.pause, progress());
        loop {
            match step() {
                Err(error) if error.is_transient() => {
                    let now = progress();
                    if now > reached {
                        (failures, pause, reached) = (0, self.patience.pause, now);
                    }
                    failures += 1;
                    if failures >= self.patience.attempts {
                        return Err(error);
                    }
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(Duration::from_secs(30));
                }
                other => return other,
            }
        }
    }

    /// One request, no redirect followed. The token goes to the endpoint and nowhere else.
    pub(crate) fn once(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        payload: Payload<'_>,
    ) -> Result<Response<Body>, HubError> {
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = self.token.as_ref().filter(|_| origin(url) == origin(&self.endpoint)) {
            request = request.header("authorization", token.bearer());
        }
        let broken = |e: ureq::http::Error| HubError::Answer { url: shown(url), why: e.to_string() };
        let sent = match payload {
            Payload::Nothing => self.agent.run(request.body(()).map_err(broken)?),
            Payload::Text(kind, bytes) => {
                self.agent.run(request.header("content-type", kind).body(bytes).map_err(broken)?)
            }
            Payload::Stream(mut reader, size) => {
                let request = request.header("content-length", size);
                self.agent.run(request.body(SendBody::from_reader(&mut reader)).map_err(broken)?)
            }
        };
        sent.map_err(|e| HubError::Network { url: shown(url), why: e.to_string() })
    }

    /// A GET that follows redirects; the first answer's headers (which the hub itself gives, not its store) come too.
    pub(crate) fn get(
        &self,
        url: &str,
        headers: &[(&str, &str)],
    ) -> Result<(ureq::http::HeaderMap, Response<Body>), HubError> {
        let mut url = url.to_owned();
        let mut first = None;
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.once("GET", &url, headers, Payload::Nothing)?;
            let first = first.get_or_insert_with(|| answer.headers().clone());
            if !answer.status().is_redirection() {
                return Ok((first.clone(), accept(&url, answer)?));
            }
            let to = header(&answer, "location").unwrap_or_default();
            url = self.redirect(&url, &to)?;
        }
        Err(HubError::Answer { url: shown(&url), why: format!("more than {MAX_REDIRECTS} redirects") })
    }

    /// Where a redirect leads: never from `https` to `http`, never to another kind of address.
    fn redirect(&self, from: &str, to: &str) -> Result<String, HubError> {
        let target = if to.starts_with('/') && !to.starts_with("//") {
            format!("{}{to}", origin(from).unwrap_or_default())
        } else {
            to.to_owned()
        };
        let downgrade = self.endpoint.starts_with("https://") && !target.starts_with("https://");
        if origin(&target).is_none() || downgrade {
            let why = format!("redirects to `{}`, which is not followed", shown(&target));
            return Err(HubError::Answer { url: shown(from), why });
        }
        Ok(target)
    }

    /// A GET whose answer is JSON.
    pub(crate) fn get_json<T: DeserializeOwned>(&self, url: &str) -> Result<T, HubError> {
        self.persist(|| json(url, self.get(url, &[])?.1), || 0)
    }

    /// A POST of JSON whose answer is JSON.
    pub(crate) fn post_json<T: DeserializeOwned>(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        kind: &'static str,
        body: &serde_json::Value,
    ) -> Result<T, HubError> {
        let body = body.to_string();
        self.persist(
            || {
                let answer = self.once("POST", url, headers, Payload::Text(kind, body.as_bytes()))?;
                json(url, accept(url, answer)?)
            },
            || 0,
        )
    }
}

/// The answer if it is a good one.
pub(crate) fn accept(url: &str, mut answer: Response<Body>) -> Result<Response<Body>, HubError> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let mut said = header(&answer, "x-error-message").unwrap_or_default();
    if said.is_empty() {
        // The text only explains; failing to read it changes nothing.
        let _ = answer.body_mut().as_reader().take(300).read_to_string(&mut said);
    }
    let said = said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect();
    Err(HubError::Status { url: shown(url), status: status.as_u16(), said })
}

fn json<T: DeserializeOwned>(url: &str, mut answer: Response<Body>) -> Result<T, HubError> {
    let mut text = Vec::new();
    let lost = |e: std::io::Error| HubError::Network { url: shown(url), why: e.to_string() };
    answer.body_mut().as_reader().take(MAX_ANSWER + 1).read_to_end(&mut text).map_err(lost)?;
    if text.len() as u64 > MAX_ANSWER {
        return Err(HubError::Answer { url: shown(url), why: format!("more than {MAX_ANSWER} bytes") });
    }
    serde_json::from_slice(&text).map_err(|e| HubError::Answer { url: shown(url), why: e.to_string() })
}

/// A header as text.
pub(crate) fn header(answer: &Response<Body>, name: &str) -> Option<String> {
    Some(answer.headers().get(name)?.to_str().ok()?.to_owned())
}

/// `scheme://host:port` of an address of the web.
fn origin(url: &str) -> Option<&str> {
    let scheme = ["https://", "http://"].into_iter().find(|s| url.starts_with(s))?;
    let host = url[scheme.len()..].split(['/', '?', '#']).next().filter(|h| !h.is_empty())?;
    Some(&url[..scheme.len() + host.len()])
}

/// An address without its query: signed addresses carry secrets there.
pub(crate) fn shown(url: &str) -> String {
    url.split(['?', '#']).next().unwrap_or_default().chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(endpoint: &str) -> Http {
        Http::new(endpoint, Token::new("hf_secret").unwrap(), Patience::default()).unwrap()
    }

    #[test]
    fn redirects_stay_on_the_web_and_encrypted() {
        let hub = http("https://hub.example/");
        assert_eq!(hub.redirect("https://hub.example/a", "/b?c").unwrap(), "https://hub.example/b?c");
        assert_eq!(hub.redirect("https://hub.example/a", "https://cdn/x").unwrap(), "https://cdn/x");
        for bad in ["http://cdn/x", "//cdn/x", "file:///etc/passwd", "", "x"] {
            assert!(hub.redirect("https://hub.example/a", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn neither_the_token_nor_a_signed_address_is_shown() {
        assert!(!format!("{:?}", http("https://hub.example")).contains("hf_secret"));
        assert_eq!(shown("https://s3/x?X-Amz-Signature=abc"), "https://s3/x");
        assert!(matches!(Http::new("ftp://x", None, Patience::default()), Err(HubError::Endpoint { .. })));
    }
}
