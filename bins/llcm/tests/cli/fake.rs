//! A server that answers what a test tells it to: for what a real one does at moments that cannot be hit.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

/// An answer to all requests whose first line begins like this.
pub(crate) struct Answer {
    pub(crate) to: &'static str,
    pub(crate) status: u16,
    pub(crate) body: String,
    /// Whether it has no end until the client hangs up.
    pub(crate) goes_on: bool,
}

impl Answer {
    /// A whole answer.
    pub(crate) fn new(to: &'static str, status: u16, body: impl ToString) -> Self {
        Self { to, status, body: body.to_string(), goes_on: false }
    }
}

/// Answers on a thread of its own until the program ends; the URL. Of several answers the first one that fits is given.
pub(crate) fn serve(answers: Vec<Answer>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // A client that hangs up has its reasons.
            let _ = answer(stream, &answers);
        }
    });
    url
}

fn answer(mut stream: TcpStream, answers: &[Answer]) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? > 0 {
        request.push(byte[0]);
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let length = request.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    stream.read_exact(&mut vec![0; length.unwrap_or(0)])?;
    let found = answers.iter().find(|answer| request.starts_with(answer.to));
    let found = found.unwrap_or_else(|| panic!("nothing to answer to {request}"));
    write!(stream, "HTTP/1.1 {} As told\r\nConnection: close\r\n", found.status)?;
    write!(stream, "Content-Type: application/json\r\n\r\n{}", found.body)?;
    stream.flush()?;
    while found.goes_on && stream.read(&mut byte)? > 0 {}
    Ok(())
}
