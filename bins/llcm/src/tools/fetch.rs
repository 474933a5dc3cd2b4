//! `fetch URL`: what an HTTP server answers, on standard output.

use std::io::{Read, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use super::WrongUsage;

pub(super) const USAGE: &str = "fetch http://HOST[:PORT][/PATH]";

/// How long the server may be silent.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn run(arguments: &[&str]) -> anyhow::Result<ExitCode> {
    match arguments {
        [url] if !url.starts_with('-') => {
            crate::output::bytes(&get(url)?)?;
            Ok(ExitCode::SUCCESS)
        }
        _ => Err(WrongUsage.into()),
    }
}

/// The body of the answer.
///
/// # Errors
/// When there is none, or its status is no success.
pub(crate) fn get(url: &str) -> anyhow::Result<Vec<u8>> {
    let rest = url.strip_prefix("http://").with_context(|| format!("`{url}` does not begin with http://"))?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = if path.is_empty() { "/" } else { path };
    ensure!(!path.contains(|it: char| it.is_whitespace() || it.is_control()), "`{url}` has blanks in it");
    let with_port = if host.rsplit(']').next().is_some_and(|it| it.contains(':')) {
        host.to_owned()
    } else {
        format!("{host}:80")
    };
    let looked_up = with_port.to_socket_addrs().with_context(|| format!("cannot look up `{host}`"))?.next();
    let address = looked_up.with_context(|| format!("`{host}` has no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)
        .with_context(|| format!("cannot connect to {address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // Of version 1.0, so that the body is as it is and ends with the connection.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: llcm\r\n\r\n");
    stream.write_all(request.as_bytes()).with_context(|| format!("cannot ask {address}"))?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).with_context(|| format!("no whole answer from {address}"))?;
    body(answer)
}

fn body(mut answer: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n").context("the answer is not HTTP")?;
    let body = answer.split_off(end + 4);
    let head = String::from_utf8_lossy(&answer);
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    if !status.starts_with("HTTP/") || status.split(' ').nth(1).is_none_or(|code| !code.starts_with('2')) {
        bail!("the server says `{status}`");
    }
    for line in lines {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            let length: usize = value.trim().parse().context("the answer's length is no number")?;
            ensure!(body.len() == length, "the answer has {} bytes of {length}", body.len());
        }
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// Gives one answer on a port of its own; the URL, and what was asked.
    fn answering(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/a?b=c", listener.local_addr().unwrap());
        let asked = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut heard = [0; 512];
            let length = stream.read(&mut heard).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&heard[..length]).into_owned()
        });
        (url, asked)
    }

    #[test]
    fn a_success_is_its_body() {
        for answer in [
            "HTTP/1.0 200 OK\r\n\r\nhello\n",
            "HTTP/1.1 200 OK\r\ncontent-LENGTH: 6\r\nConnection: close\r\n\r\nhello\n",
        ] {
            let (url, asked) = answering(answer);
            assert_eq!(get(&url).unwrap(), b"hello\n");
            assert!(asked.join().unwrap().starts_with("GET /a?b=c HTTP/1.0\r\nHost: 127.0.0.1:"));
        }
    }

    #[test]
    fn everything_else_is_an_error() {
        for (answer, expected) in [
            ("HTTP/1.0 404 Not Found\r\n\r\n", "404 Not Found"),
            ("HTTP/1.0 302 Found\r\nLocation: /x\r\n\r\n", "302 Found"),
            ("SSH-2.0-x\r\n\r\n", "SSH"),
            ("HTTP/1.0 200 OK\r\n", "not HTTP"),
            ("HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nshort", "5 bytes of 9"),
            ("", "not HTTP"),
        ] {
            let (url, asked) = answering(answer);
            let error = format!("{:#}", get(&url).unwrap_err());
            assert!(error.contains(expected), "{answer}: {error}");
            drop(asked.join());
        }
        for url in ["https://127.0.0.1/", "127.0.0.1", "http://127.0.0.1:0/a b", "http://"] {
            assert!(get(url).is_err(), "{url}");
        }
    }
}
