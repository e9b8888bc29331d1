//! Serving texts: [`crate::serve()`] with the task's own types.

use edgemaxx_contract::task::text::Scores;
use edgemaxx_protocol::{Generate, Hello, Load, Object};

use super::objects::{Ask, Ids, Ready, ScoreAsk, Settings};
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

/// What writes texts.
pub trait Writer {
    /// Writes a text.
    ///
    /// # Errors
    /// In words, why not.
    fn write(&mut self, ask: &Ask, stream: &mut Stream<'_, '_>) -> Result<(), String>;

    /// Lists the most likely tokens at every position of a text that it need not have written. Asked of nobody whose `ready`
    /// says nothing of scores.
    ///
    /// # Errors
    /// In words, why not.
    fn score(&mut self, _: &ScoreAsk) -> Result<Scores, String> {
        Err("this engine does not score texts".to_owned())
    }
}

/// What [`crate::serve()`] asks of `load`, from one who speaks of texts.
///
/// # Errors
/// In words: the settings are no texts', or `load` refuses.
pub fn loaded(
    wanted: &Load,
    load: impl FnOnce(&Load, &Settings) -> Result<(Ready, Box<dyn Writer>), String>,
) -> Result<(Object, Answerer), String> {
    let (ready, mut writer) = load(wanted, &Settings::parse(&wanted.settings)?)?;
    let answer = move |wanted: &Generate, parts: &mut Parts<'_>| {
        if let Some(asked) = ScoreAsk::parse(&wanted.ask)? {
            let payload = ScoreAsk::payload(&writer.score(&asked)?);
            return Ok(Reply { header: Object::new(), payload });
        }
        writer.write(&Ask::parse(&wanted.ask)?, &mut Stream(parts))?;
        Ok(Reply::default())
    };
    Ok((ready.object(), Box::new(answer)))
}

/// Serves the harness that started this process until it says `bye`: loads once, then writes texts one by one. `load`
/// gives what `ready` says and what writes texts; either may refuse in words. Returns how many requests were answered.
///
/// # Errors
/// See [`crate::serve()`].
pub fn serve(
    hello: &Hello,
    load: impl FnOnce(&Load, &Settings) -> Result<(Ready, Box<dyn Writer>), String>,
) -> Result<u64, ServeError> {
    serve_over(Connection::from_environment()?, hello, load)
}

/// As [`serve`], over a connection.
///
/// # Errors
/// See [`crate::serve()`].
pub fn serve_over(
    connection: Connection,
    hello: &Hello,
    load: impl FnOnce(&Load, &Settings) -> Result<(Ready, Box<dyn Writer>), String>,
) -> Result<u64, ServeError> {
    serve::serve_over(connection, hello, |wanted| {
        if wanted.task != "text" {
            return Err(format!("this engine writes texts; it cannot do the task {:?}", wanted.task));
        }
        loaded(wanted, load)
    })
}
