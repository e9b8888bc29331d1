//! Serving texts: [`crate::serve()`] with the task's own types.

use edgemaxx_protocol::{Generate, Hello, Load, Object};

use super::objects::{Ask, Ids, Ready, Settings};
use crate::serve::{self, Answerer, Connection, Parts, Reply, ServeError};

/// Where an answer's tokens go, as soon as they are known.
pub struct Stream<'a, 'b>(&'a mut Parts<'b>);

impl Stream<'_, '_> {
    /// Sends the next tokens, one at least.
    ///
    /// # Errors
    /// In words: the harness is gone.
    pub fn send(&mut self, ids: &[u32]) -> Result<(), String> {
        self.0.send(Reply { header: Ids::object(ids), payload: Vec::new() })
    }
}

/// What [`crate::serve()`] asks of `load`, from one who speaks of texts.
///
/// # Errors
/// In words: the settings are no texts', or `load` refuses.
pub fn loaded<G>(
    wanted: &Load,
    load: impl FnOnce(&Load, &Settings) -> Result<(Ready, G), String>,
) -> Result<(Object, Answerer), String>
where
    G: FnMut(&Ask, &mut Stream<'_, '_>) -> Result<(), String> + 'static,
{
    let (ready, mut make) = load(wanted, &Settings::parse(&wanted.settings)?)?;
    let answer = move |wanted: &Generate, parts: &mut Parts<'_>| {
        make(&Ask::parse(&wanted.ask)?, &mut Stream(parts))?;
        Ok(Reply::default())
    };
    Ok((ready.object(), Box::new(answer)))
}

/// Serves the harness that started this process until it says `bye`: loads once, then writes texts one by one. `load`
/// gives what `ready` says and the function that writes a text; either may refuse in words. Returns how many texts were
/// written.
///
/// # Errors
/// See [`crate::serve()`].
pub fn serve<G>(
    hello: &Hello,
    load: impl FnOnce(&Load, &Settings) -> Result<(Ready, G), String>,
) -> Result<u64, ServeError>
where
    G: FnMut(&Ask, &mut Stream<'_, '_>) -> Result<(), String> + 'static,
{
    serve_over(Connection::from_environment()?, hello, load)
}

/// As [`serve`], over a connection.
///
/// # Errors
/// See [`crate::serve()`].
pub fn serve_over<G>(
    connection: Connection,
    hello: &Hello,
    load: impl FnOnce(&Load, &Settings) -> Result<(Ready, G), String>,
) -> Result<u64, ServeError>
where
    G: FnMut(&Ask, &mut Stream<'_, '_>) -> Result<(), String> + 'static,
{
    serve::serve_over(connection, hello, |wanted| {
        if wanted.task != "text" {
            return Err(format!("this engine writes texts; it cannot do the task {:?}", wanted.task));
        }
        loaded(wanted, load)
    })
}
