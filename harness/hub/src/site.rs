//! Files of a static site, each of a size and digest promised elsewhere. No token, no listing, no trust.

use crate::HubError;
use crate::download::encoded;
use crate::error::io;
use crate::http::{Http, Patience};
use edgemaxx_contract::digest::{Digest, DigestBuilder};
use std::cell::Cell;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// The slowest line that is waited for once [`Patience::slow`] is over, bytes per second.
const SLOWEST: u64 = 4096;

/// A folder that a web server hands out as it is.
#[derive(Debug)]
pub struct Site {
    http: Http,
    slow: Duration,
}

/// How a file compares with what was promised of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetched {
    /// It is that file.
    Whole,
    /// It has another size or digest; what came, up to a little more than the promised size, was kept.
    Other,
    /// The site has no such file.
    Missing,
}

impl Site {
    /// The folder at `address`.
    ///
    /// # Errors
    /// When that is no `http://` or `https://` address, or one with a query or a user.
    pub fn new(address: &str, patience: Patience) -> Result<Self, HubError> {
        let wrong = |_| HubError::SiteAddress { text: address.to_owned() };
        let slow = patience.slow;
        Ok(Self { http: Http::new(address, None, patience).map_err(wrong)?, slow })
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{}", self.http.endpoint, encoded(path))
    }

    /// The content of the file at `path`, of at most `most` bytes; `None` where there is none.
    ///
    /// # Errors
    /// When the site does not answer, refuses, or sends more.
    pub fn read(&self, path: &str, most: u64) -> Result<Option<Vec<u8>>, HubError> {
        let url = self.url(path);
        let began = Instant::now();
        let read = || -> Result<Vec<u8>, HubError> {
            let (mut content, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
            let mut answer = self.http.get(&url, &[])?.1;
            let mut body = answer.body_mut().as_reader();
            while content.len() as u64 <= most {
                let n = body.read(&mut buffer).map_err(lost(&url))?;
                if n == 0 {
                    break;
                }
                content.extend_from_slice(&buffer[..n]);
                self.in_time(&url, began.elapsed(), content.len() as u64)?;
            }
            Ok(content)
        };
        match found(self.http.persist(read, || 0))? {
            Some(content) if content.len() as u64 > most => {
                Err(HubError::Site { url, why: format!("it has more than {most} bytes") })
            }
            content => Ok(content),
        }
    }

    /// The file at `path` into `target`, which is made anew unless it is that file already; `watch` hears of
    /// every byte once.
    ///
    /// # Errors
    /// When the site does not answer or refuses, or the file cannot be written.
    pub fn fetch(
        &self,
        path: &str,
        (bytes, digest): (u64, Digest),
        target: &Path,
        watch: &mut dyn FnMut(u64),
    ) -> Result<Fetched, HubError> {
        if digest_of(target).is_some_and(|found| found == (bytes, digest)) {
            watch(bytes);
            return Ok(Fetched::Whole);
        }
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(io(folder))?;
        }
        let url = self.url(path);
        let told = Cell::new(0);
        let began = Instant::now();
        let attempt = || -> Result<bool, HubError> {
            let mut answer = self.http.get(&url, &[])?.1;
            let mut out = File::create(target).map_err(io(target))?;
            let mut body = answer.body_mut().as_reader();
            let (mut builder, mut have, mut buffer) = (DigestBuilder::default(), 0, vec![0; 1 << 16]);
            while have <= bytes {
                let n = body.read(&mut buffer).map_err(lost(&url))?;
                if n == 0 {
                    break;
                }
                out.write_all(&buffer[..n]).map_err(io(target))?;
                builder.update(&buffer[..n]);
                have += n as u64;
                self.in_time(&url, began.elapsed(), have)?;
                if have > told.get() && have <= bytes {
                    watch(have - told.replace(have));
                }
            }
            Ok((have, builder.finish()) == (bytes, digest))
        };
        Ok(match found(self.http.persist(attempt, || told.get()))? {
            Some(true) => Fetched::Whole,
            Some(false) => Fetched::Other,
            None => Fetched::Missing,
        })
    }

    /// Ends what would have no end: a site that has not sent a slow line's worth by now.
    fn in_time(&self, url: &str, elapsed: Duration, have: u64) -> Result<(), HubError> {
        let due = elapsed.saturating_sub(self.slow).as_secs().saturating_mul(SLOWEST);
        if have >= due {
            return Ok(());
        }
        let why = format!("it sent {have} bytes in {} seconds", elapsed.as_secs());
        Err(HubError::Site { url: url.to_owned(), why })
    }
}

fn lost(url: &str) -> impl Fn(std::io::Error) -> HubError + '_ {
    move |error| HubError::Network { url: url.to_owned(), why: error.to_string() }
}

/// `None` for what is not there; other troubles in a site's words instead of the hub's.
fn found<T>(result: Result<T, HubError>) -> Result<Option<T>, HubError> {
    match result {
        Ok(content) => Ok(Some(content)),
        Err(HubError::Status { status: 404 | 410, .. }) => Ok(None),
        Err(HubError::Status { url, status, said }) => {
            Err(HubError::Site { url, why: format!("the site answered {status} ({})", said.trim()) })
        }
        Err(HubError::Network { url, why } | HubError::Answer { url, why }) => {
            Err(HubError::Site { url, why })
        }
        Err(other) => Err(other),
    }
}

/// Size and digest of a plain file, if it is one.
fn digest_of(path: &Path) -> Option<(u64, Digest)> {
    let mut file = File::open(path).ok()?;
    let (mut builder, mut bytes, mut buffer) = (DigestBuilder::default(), 0, vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer).ok()? {
            0 => return Some((bytes, builder.finish())),
            n => {
                builder.update(&buffer[..n]);
                bytes += n as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_slow_line_is_waited_for_and_a_slower_one_is_not() {
        let site = Site::new("http://127.0.0.1:1", Patience::default()).unwrap();
        let after = |seconds, have| site.in_time("x", Duration::from_secs(seconds), have);
        assert!(after(180, 0).is_ok() && after(190, 10 * SLOWEST).is_ok());
        let said = after(190, 10 * SLOWEST - 1).unwrap_err().to_string();
        assert!(said.starts_with("x: it sent 40959 bytes in 190 seconds"), "{said}");
    }

    /// A site that never ends: a byte now and then, far within what a single read may take.
    #[test]
    fn who_sends_drop_by_drop_is_left() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                std::thread::spawn(move || {
                    let _ = stream.read(&mut [0; 4096]);
                    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
                    let mut sent = stream.write_all(head);
                    while sent.is_ok() {
                        std::thread::sleep(Duration::from_millis(20));
                        sent = stream.write_all(b"x");
                    }
                });
            }
        });
        let patience = Patience { attempts: 1, slow: Duration::ZERO, ..Patience::default() };
        let site = Site::new(&address, patience).unwrap();
        let said = site.read("manifest.json", 1 << 20).unwrap_err().to_string();
        assert!(said.contains("/manifest.json: it sent ") && said.contains(" bytes in "), "{said}");
        let folder = tempfile::tempdir().unwrap();
        let (target, promised) = (folder.path().join("x"), (1_000_000, Digest::of("x")));
        let said = site.fetch("x", promised, &target, &mut |_| {}).unwrap_err().to_string();
        assert!(said.contains("/x: it sent "), "{said}");
    }
}
