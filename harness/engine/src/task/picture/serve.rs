//! Serving pictures: [`crate::serve`] with the task's own types.

use edgemaxx_protocol::{Generate, Hello, Load, Object};

use super::objects::{Ask, Encoding, Head, Ready, Settings};
use crate::serve::{self, Answerer, Connection, Parts, Reply, ServeError};

/// A picture to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// What is asked.
    pub ask: Ask,
    /// As many as [`Ask::latents`] says.
    pub latents: Vec<f32>,
}

/// A picture made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `width × height × 3` bytes, rows from the top.
    pub rgb: Vec<u8>,
}

impl From<Picture> for Reply {
    fn from(picture: Picture) -> Self {
        let Picture { width, height, rgb } = picture;
        Self { header: Head { width, height, encoding: Encoding::Rgb8 }.object(), payload: rgb }
    }
}

/// Serves the harness that started this process until it says `bye`: loads once, then makes
/// pictures one by one. `load` gives the latents' shape and the function that makes a picture;
/// either may refuse in words. Returns how many pictures were made.
///
/// # Errors
/// See [`crate::serve`].
pub fn serve<G>(
    hello: &Hello,
    load: impl FnOnce(&Load, &Settings) -> Result<(Ready, G), String>,
) -> Result<u64, ServeError>
where
    G: FnMut(&Request) -> Result<Picture, String> + 'static,
{
    serve_over(Connection::from_environment()?, hello, load)
}

/// As [`serve`], over a connection.
///
/// # Errors
/// See [`crate::serve`].
pub fn serve_over<G>(
    connection: Connection,
    hello: &Hello,
    load: impl FnOnce(&Load, &Settings) -> Result<(Ready, G), String>,
) -> Result<u64, ServeError>
where
    G: FnMut(&Request) -> Result<Picture, String> + 'static,
{
    serve::serve_over(connection, hello, |wanted| {
        if wanted.task != "picture" {
            return Err(format!("this engine makes pictures; it cannot do the task {:?}", wanted.task));
        }
        loaded(wanted, load)
    })
}

/// What [`crate::serve()`] asks of `load`, from one who speaks of pictures.
///
/// # Errors
/// In words: the settings are no pictures', or `load` refuses.
pub fn loaded<G>(
    wanted: &Load,
    load: impl FnOnce(&Load, &Settings) -> Result<(Ready, G), String>,
) -> Result<(Object, Answerer), String>
where
    G: FnMut(&Request) -> Result<Picture, String> + 'static,
{
    let (ready, mut make) = load(wanted, &Settings::parse(&wanted.settings)?)?;
    let answer = move |wanted: &Generate, _: &mut Parts<'_>| {
        let (ask, latents) = Ask::parse(&wanted.ask, &wanted.payload)?;
        make(&Request { ask, latents }).map(Reply::from)
    };
    Ok((ready.object(), Box::new(answer)))
}
