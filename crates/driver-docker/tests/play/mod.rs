//! A played engine.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use llcm_runtime::{Progress, ProgressEvent};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

/// A part of an answer.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// These bytes.
    Say(String),
    /// A piece of a chunked body, by itself; an empty one ends the body.
    Chunk(Vec<u8>),
    /// Nothing more, without hanging up.
    Hang,
}

/// Answers requests until it is dropped.
#[derive(Debug)]
pub(crate) struct Engine {
    home: tempfile::TempDir,
    _task: JoinSet<()>,
}

type Script = dyn FnMut(&str) -> Vec<Act> + Send;

impl Engine {
    /// An engine that asks `script` what to answer to a request, given as method and path.
    pub(crate) fn start(script: impl FnMut(&str) -> Vec<Act> + Send + 'static) -> Self {
        let home = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(home.path().join("engine.sock")).unwrap();
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(script));
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&script)));
            }
        });
        Self { home, _task: task }
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.home.path().join("engine.sock")
    }
}

async fn serve(stream: UnixStream, script: Arc<Mutex<Script>>) {
    let mut stream = BufReader::new(stream);
    let mut request = String::new();
    stream.read_line(&mut request).await.unwrap();
    let mut line = String::new();
    while stream.read_line(&mut line).await.unwrap() > 2 {
        line.clear();
    }
    let request: Vec<&str> = request.split([' ', '?']).take(2).collect();
    let acts = script.lock().unwrap()(&request.join(" "));
    for act in acts {
        let bytes = match act {
            Act::Say(text) => text.into_bytes(),
            Act::Chunk(data) => {
                [format!("{:x}\r\n", data.len()).into_bytes(), data, b"\r\n".to_vec()].concat()
            }
            Act::Hang => std::future::pending().await,
        };
        // A client that has heard enough hangs up.
        if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// A whole answer with a JSON body.
pub(crate) fn ok(json: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}",
        json.len()
    )
}

/// The answer to the question for the version.
pub(crate) fn version(api: &str) -> Vec<Act> {
    vec![Act::Say(ok(&format!(r#"{{"Version":"99.0","ApiVersion":"{api}","Components":[]}}"#)))]
}

/// Remembers all progress.
#[derive(Debug, Default)]
pub(crate) struct Heard(Mutex<Vec<ProgressEvent>>);

impl Heard {
    pub(crate) fn events(self) -> Vec<ProgressEvent> {
        self.0.into_inner().unwrap()
    }
}

impl Progress for Heard {
    fn report(&self, event: ProgressEvent) {
        self.0.lock().unwrap().push(event);
    }
}
