//! The token that a client shows: from a file or a variable, never from the command line, which every user of the
//! machine can read.

use std::io::{Read as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use reqwest::header::HeaderValue;

use crate::config::access::is_local;

/// The longest file that is read, in bytes.
const LONGEST: u64 = 4096;

/// What goes into `Authorization`, if there is a token.
///
/// # Errors
/// When the file cannot be read, or what is given is no token.
pub(super) fn read(file: Option<&Path>) -> anyhow::Result<Option<HeaderValue>> {
    let (text, place) = match file {
        Some(file) => {
            let place = format!("the token file {}", file.display());
            let mut text = String::new();
            std::fs::File::open(file)
                .and_then(|opened| opened.take(LONGEST).read_to_string(&mut text))
                .with_context(|| format!("cannot read {place}"))?;
            (text, place)
        }
        None => match std::env::var("LLCM_TOKEN") {
            Ok(text) if !text.trim().is_empty() => (text, "LLCM_TOKEN".to_owned()),
            _ => return Ok(None),
        },
    };
    let token = text.trim();
    if token.is_empty() || token.contains(char::is_whitespace) {
        bail!("{place} holds no token: it is one word, as `llcm token create` prints it");
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .with_context(|| format!("{place} holds no token"))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// Says so when a token is about to go over a network in clear text.
///
/// # Errors
/// When the URL is none.
pub(super) fn check_way(server: &str) -> anyhow::Result<()> {
    let url = reqwest::Url::parse(server).with_context(|| format!("{server} is no URL of a server"))?;
    if url.scheme() == "http" && !url.host_str().is_some_and(is_local) {
        writeln!(
            std::io::stderr(),
            "warning: the token goes to {server} in clear text: whoever can read the network can use it"
        )?;
    }
    Ok(())
}
