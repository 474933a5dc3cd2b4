//! A played registry on loopback.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What was asked for.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// With the query.
    pub(super) path: String,
    headers: BTreeMap<String, String>,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    status: u16,
    headers: Vec<String>,
    body: Body,
}

#[derive(Debug, Clone)]
enum Body {
    Whole(Vec<u8>),
    /// So many bytes are announced, these are sent, and the connection is closed.
    Broken(usize, Vec<u8>),
    /// Without an announced length: the end of the connection is the end.
    ToTheEnd(Vec<u8>),
    /// Zeros until the client hangs up.
    Endless,
    /// Nothing more, not even the status.
    Silence,
}

impl Reply {
    fn new(status: u16, body: Body) -> Self {
        Self { status, headers: Vec::new(), body }
    }

    pub(super) fn ok(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(200, Body::Whole(bytes.into()))
    }

    pub(super) fn status(status: u16, code: &str, message: &str) -> Self {
        let errors = serde_json::json!({"errors": [{"code": code, "message": message}]});
        Self::new(status, Body::Whole(errors.to_string().into_bytes()))
    }

    pub(super) fn broken(announced: usize, bytes: &[u8]) -> Self {
        Self::new(200, Body::Broken(announced, bytes.to_vec()))
    }

    pub(super) fn to_the_end(bytes: &[u8]) -> Self {
        Self::new(200, Body::ToTheEnd(bytes.to_vec()))
    }

    pub(super) fn endless(status: u16) -> Self {
        Self::new(status, Body::Endless)
    }

    pub(super) fn silence() -> Self {
        Self::new(200, Body::Silence)
    }

    pub(super) fn is_silence(&self) -> bool {
        matches!(self.body, Body::Silence)
    }

    pub(super) fn redirect(status: u16, to: &str) -> Self {
        Self::new(status, Body::Whole(Vec::new())).with(&format!("Location: {to}"))
    }

    pub(super) fn with(mut self, header: &str) -> Self {
        self.headers.push(header.to_owned());
        self
    }
}

type Script = dyn FnMut(&Asked) -> Reply + Send;

/// Answers until it is dropped.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    _task: JoinSet<()>,
}

impl Server {
    pub(super) async fn start(script: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        Self::start_with(None, script).await
    }

    /// With TLS, where a certificate is given.
    pub(super) async fn start_with(
        tls: Option<tokio_rustls::TlsAcceptor>,
        script: impl FnMut(&Asked) -> Reply + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(script));
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let heard = Arc::clone(&asked);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (script, heard, tls) = (Arc::clone(&script), Arc::clone(&heard), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => serve(stream, script, heard).await,
                        // A client that does not trust the certificate hangs up.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, script, heard).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, asked, _task: task }
    }

    /// All that was asked for, in order.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// How often a path that ends like this was asked for.
    pub(super) fn count(&self, end: &str) -> usize {
        self.asked().iter().filter(|asked| asked.path.ends_with(end)).count()
    }
}

async fn read_head(stream: &mut (impl tokio::io::AsyncBufRead + Unpin)) -> Option<(String, Asked)> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|length| *length > 0)?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    Some((method, Asked { path, headers }))
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    script: Arc<Mutex<Script>>,
    heard: Arc<Mutex<Vec<Asked>>>,
) {
    let mut stream = BufReader::new(stream);
    while let Some((method, asked)) = read_head(&mut stream).await {
        assert_eq!(method, "GET");
        heard.lock().unwrap().push(asked.clone());
        let reply = script.lock().unwrap()(&asked);
        let mut head = format!("HTTP/1.1 {} Status\r\n", reply.status);
        for header in &reply.headers {
            head.push_str(&format!("{header}\r\n"));
        }
        let (length, bytes, goes_on) = match reply.body {
            Body::Whole(bytes) => (Some(bytes.len()), bytes, true),
            Body::Broken(announced, bytes) => (Some(announced), bytes, false),
            Body::ToTheEnd(bytes) => (None, bytes, false),
            Body::Endless => {
                let sent = stream.write_all(format!("{head}\r\n").as_bytes()).await;
                let zeros = vec![0; 64 << 10];
                while sent.is_ok() && stream.write_all(&zeros).await.is_ok() {}
                return;
            }
            Body::Silence => {
                // Until the client hangs up.
                let _ = stream.read_u8().await;
                return;
            }
        };
        if let Some(length) = length {
            head.push_str(&format!("Content-Length: {length}\r\n"));
        }
        let whole = [format!("{head}\r\n").into_bytes(), bytes].concat();
        if stream.write_all(&whole).await.is_err() || stream.flush().await.is_err() || !goes_on {
            let _ = stream.shutdown().await;
            return;
        }
    }
}

/// A proxy for HTTPS that brings every connection to one server, and says for whom it was asked.
pub(super) async fn proxy(to: SocketAddr, asked: Arc<Mutex<Vec<String>>>) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let asked = Arc::clone(&asked);
            connections.spawn(async move {
                let mut stream = BufReader::new(stream);
                let Some((method, head)) = read_head(&mut stream).await else { return };
                let authorization = head.header("proxy-authorization").unwrap_or_default();
                asked.lock().unwrap().push(format!("{method} {} {authorization}", head.path));
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                let mut server = TcpStream::connect(to).await.unwrap();
                // How the connection ends is the two ends' affair.
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
            });
        }
    });
    (address, task)
}
