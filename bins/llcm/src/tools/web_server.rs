//! `web-server PORT TEXT-OR-DIRECTORY`: answers every request with a text, or with files.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::{WrongUsage, background, port};

pub(super) const NAME: &str = "web-server";
pub(super) const USAGE: &str = "web-server PORT TEXT-OR-DIRECTORY";

/// Bytes of a request's head.
const LONGEST_HEAD: u64 = 8 << 10;

/// How long a client may be silent.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn run(arguments: &[&str]) -> anyhow::Result<ExitCode> {
    match arguments {
        [background::LISTENING, content] => {
            let content = Content::new(content)?;
            background::serve(&background::listener()?, move |stream| {
                // A client that goes away is no concern of the others.
                let _ = answer(&stream, &content);
            })
        }
        [number, content] if !number.starts_with('-') => {
            Content::new(content)?;
            background::start(NAME, port(number)?, &[content])?;
            Ok(ExitCode::SUCCESS)
        }
        _ => Err(WrongUsage.into()),
    }
}

#[derive(Debug, Clone)]
enum Content {
    Text(String),
    Files(PathBuf),
}

impl Content {
    fn new(word: &str) -> io::Result<Self> {
        let path = Path::new(word);
        if path.is_dir() { path.canonicalize().map(Self::Files) } else { Ok(Self::Text(format!("{word}\n"))) }
    }

    /// The file of a request's path, with its length; nothing outside of the directory, by links or otherwise.
    fn file(directory: &Path, path: &str) -> Option<(File, u64)> {
        let path = path.split(['?', '#']).next()?.trim_start_matches('/');
        let mut found = directory.join(path).canonicalize().ok()?;
        if found.is_dir() {
            found = found.join("index.html").canonicalize().ok()?;
        }
        if !found.starts_with(directory) || !fs::metadata(&found).ok()?.is_file() {
            return None;
        }
        let file = File::open(found).ok()?;
        let length = file.metadata().ok()?.len();
        Some((file, length))
    }
}

fn answer(mut stream: &TcpStream, content: &Content) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let head = head(stream)?;
    let mut words = head.split_ascii_whitespace();
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if !path.starts_with('/') {
        return reply(stream, "400 Bad Request", 0);
    }
    if !matches!(method, "GET" | "HEAD") {
        return reply(stream, "405 Method Not Allowed", 0);
    }
    match content {
        Content::Text(text) => {
            reply(stream, "200 OK", text.len() as u64)?;
            if method == "GET" { stream.write_all(text.as_bytes()) } else { Ok(()) }
        }
        Content::Files(directory) => match Content::file(directory, path) {
            None => reply(stream, "404 Not Found", 0),
            Some((file, length)) => {
                reply(stream, "200 OK", length)?;
                if method == "GET" {
                    io::copy(&mut file.take(length), &mut stream).map(|_| ())
                } else {
                    Ok(())
                }
            }
        },
    }
}

/// Reads up to the empty line.
fn head(stream: &TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    let mut bytes = io::BufReader::new(stream.take(LONGEST_HEAD)).bytes();
    while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
        head.push(bytes.next().ok_or(io::ErrorKind::UnexpectedEof)??);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

fn reply(mut stream: &TcpStream, status: &str, length: u64) -> io::Result<()> {
    let head = format!("HTTP/1.0 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// Serves on a port of its own as long as the tests run.
    fn served(content: &str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let content = Content::new(content).unwrap();
        std::thread::spawn(move || {
            background::serve(&listener, move |stream| drop(answer(&stream, &content)));
        });
        port
    }

    fn ask(port: u16, request: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut told = String::new();
        stream.read_to_string(&mut told).unwrap();
        told
    }

    #[test]
    fn a_text_is_the_answer_to_everything() {
        let port = served("hello");
        for request in ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET /any/where HTTP/1.0\n\n"] {
            let told = ask(port, request);
            assert!(told.starts_with("HTTP/1.0 200 OK\r\nContent-Length: 6\r\n"), "{told}");
            assert!(told.ends_with("\r\n\r\nhello\n"), "{told}");
        }
        assert!(ask(port, "HEAD / HTTP/1.0\r\n\r\n").ends_with("close\r\n\r\n"));
        assert!(ask(port, "POST / HTTP/1.0\r\n\r\n").contains(" 405 "));
        assert!(ask(port, "nonsense\r\n\r\n").contains(" 400 "));
    }

    #[test]
    fn files_are_those_of_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let served_directory = directory.path().join("www");
        fs::create_dir_all(served_directory.join("sub")).unwrap();
        fs::write(served_directory.join("index.html"), "start").unwrap();
        fs::write(served_directory.join("sub/page"), "page").unwrap();
        fs::write(directory.path().join("secret"), "secret").unwrap();
        std::os::unix::fs::symlink("../secret", served_directory.join("link")).unwrap();
        let port = served(served_directory.to_str().unwrap());
        let get = |path: &str| ask(port, &format!("GET {path} HTTP/1.0\r\n\r\n"));
        assert!(get("/").ends_with("\r\n\r\nstart"));
        assert!(get("/sub/page?x=1").ends_with("\r\n\r\npage"));
        for path in ["/../secret", "/link", "//etc/passwd", "/sub", "/missing"] {
            let told = get(path);
            assert!(told.starts_with("HTTP/1.0 404 ") && !told.contains("secret"), "{path}: {told}");
        }
    }

    #[test]
    fn a_head_without_end_is_not_read_for_ever() {
        let port = served("hello");
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        // The server may close while this is being written.
        let _ = stream.write_all(&[b'a'; 64 << 10]);
        let mut told = Vec::new();
        let _ = stream.read_to_end(&mut told);
        assert!(told.is_empty());
    }
}
