//! The workers of a fleet, read now and then beside what a validator does.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use edgemaxx_fleet::{Host, Key, Place, Queue, Side, Signed};
use edgemaxx_validator::workers::Worker;

use crate::cmd::fleet::worker;
use crate::cmd::on_fleet::OnFleet;

/// How often they are read.
const EVERY: Duration = Duration::from_secs(5);

/// What was read last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Read {
    /// The workers.
    pub(crate) workers: Vec<Worker>,
    /// Why they could not be read.
    pub(crate) trouble: Option<String>,
}

/// A thread that reads them until the process ends.
pub(crate) struct FleetWatch(Arc<Mutex<Read>>);

impl FleetWatch {
    /// Begins to read.
    ///
    /// # Errors
    /// The key is none. A server that is not there is waited for.
    pub(crate) fn begin(on: &OnFleet) -> anyhow::Result<Option<Self>> {
        let Some(server) = &on.fleet else { return Ok(None) };
        let key = Key::read(on.creds.as_deref().unwrap_or_else(|| Path::new("")))
            .map_err(edgemaxx_run::RunError::from)?;
        let place = Place { server: server.clone(), ca: on.ca.clone() };
        place.check().map_err(edgemaxx_run::RunError::from)?;
        let read = Arc::new(Mutex::new(Read::default()));
        let own = Arc::clone(&read);
        std::thread::Builder::new().name("fleet".to_owned()).spawn(move || {
            let mut queue = None;
            loop {
                let found = look(&place, &key, &mut queue);
                let mut read = own.lock().unwrap_or_else(PoisonError::into_inner);
                match found {
                    Ok(workers) => *read = Read { workers, trouble: None },
                    Err(error) => read.trouble = Some(format!("the fleet: {error}")),
                }
                drop(read);
                std::thread::sleep(EVERY);
            }
        })?;
        Ok(Some(Self(read)))
    }

    /// What was read last.
    pub(crate) fn read(&self) -> Read {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn look(place: &Place, key: &Key, queue: &mut Option<Queue>) -> edgemaxx_fleet::Result<Vec<Worker>> {
    let queue = match queue {
        Some(queue) => queue,
        None => queue.insert(Queue::connect(place, key, Side::Coordinator)?),
    };
    let hosts = queue.hosts()?;
    let known = |(key, bytes, seen_s): (String, Vec<u8>, u64)| {
        let (host, _) = Signed::open::<Host>(&bytes, Some(&key)).ok()?;
        Some(worker(key, host, seen_s))
    };
    Ok(hosts.into_iter().filter_map(known).collect())
}
