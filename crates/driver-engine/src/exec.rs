//! Running commands in containers.

use std::fs::File;
use std::io;
use std::time::Duration;

use async_trait::async_trait;
use llcm_engine::{EngineError, Session};
use llcm_names::{EngineName, Owner};
use llcm_runtime::{
    DriverResult, ErrorKind, Exec, ExecOutcome, ExecSpec, OutputChunk, OutputSink, OutputStream,
};
use tokio::net::UnixStream;
use tokio::net::unix::pipe::Receiver;

use crate::driver::EngineContainers;
use crate::map_error::Attempt;

/// The most that is read at once.
const CHUNK: usize = 16 << 10;
/// Reads after the command's end, each at most a chunk: more than pipes hold. What comes then comes from others,
/// left in the background.
const LAST_READS: usize = 128;
/// How long each of them may take.
const LAST_WAIT: Duration = Duration::from_millis(20);

#[async_trait]
impl Exec for EngineContainers {
    async fn exec(
        &self,
        owner: &Owner,
        name: &EngineName,
        spec: &ExecSpec,
        sink: &mut dyn OutputSink,
    ) -> DriverResult<ExecOutcome> {
        let attempt = Attempt::new("execute command in container", name.as_str());
        if spec.argv.first().is_none_or(String::is_empty) {
            return Err(attempt.error(ErrorKind::Invalid, "there is no command: name a program"));
        }
        let absent = || attempt.error(ErrorKind::NotFound, "there is no container of that name");
        self.owned(attempt, owner, name).await?.ok_or_else(absent)?;
        let wanted = llcm_engine::ExecSpec {
            environment: spec.environment.clone(),
            terminal: spec.terminal,
            ..llcm_engine::ExecSpec::new(spec.argv.iter().cloned())
        };
        let text = name.to_string();
        // The outer result is the engine's own, the inner one about the command.
        let spawned = self.call(attempt, move |engine| match engine.spawn(&text, &wanted) {
            Err(EngineError::Start { report, .. }) => Ok(Err(report)),
            spawned => spawned.map(Ok),
        });
        let session = spawned.await?.map_err(|report| attempt.error(ErrorKind::Invalid, report))?;
        let broken = |error: io::Error| attempt.io("follow the command", &error);
        follow(session, spec.terminal, sink).await.map_err(broken)
    }
}

/// Hands output on as it comes, until the command has ended.
async fn follow(mut session: Session, terminal: bool, sink: &mut dyn OutputSink) -> io::Result<ExecOutcome> {
    let mut output = match session.take_output() {
        Some(master) if terminal => Reader::of_terminal(master)?,
        output => Reader::new(output)?,
    };
    let mut errors = Reader::new(session.take_errors())?;
    let end = session.end().map_err(io::Error::other)?;
    end.set_nonblocking(true)?;
    let end = UnixStream::from_std(end)?;
    let mut code = None;
    while code.is_none() {
        let (bytes, stream) = tokio::select! {
            ready = end.readable() => {
                ready?;
                let ended = session.wait(Some(Duration::ZERO)).map_err(io::Error::other)?;
                let helper = || io::Error::other("the helper process has ended before the command");
                code = Some(ended.ok_or_else(helper)?);
                continue;
            }
            bytes = output.next(), if output.is_open() => (bytes?, OutputStream::Stdout),
            bytes = errors.next(), if errors.is_open() => (bytes?, OutputStream::Stderr),
        };
        if !bytes.is_empty() && !sink.write(OutputChunk { stream, bytes }).await {
            // The command goes on, and somebody reads what it writes.
            return Ok(ExecOutcome { exit_code: None });
        }
    }
    // What it had written is there by now.
    for (reader, stream) in [(&mut output, OutputStream::Stdout), (&mut errors, OutputStream::Stderr)] {
        for _ in 0..LAST_READS {
            let Some(bytes) = reader.last().await? else { break };
            if !sink.write(OutputChunk { stream, bytes }).await {
                break;
            }
        }
    }
    Ok(ExecOutcome { exit_code: code.map(i64::from) })
}

/// One of a command's outputs.
struct Reader(Option<Receiver>);

impl Reader {
    fn new(file: Option<File>) -> io::Result<Self> {
        file.map(Receiver::from_file).transpose().map(Self)
    }

    /// The output of a terminal, by a thread that copies it: there is no other way to wait for one that is safe.
    fn of_terminal(mut master: File) -> io::Result<Self> {
        let (reader, mut writer) = io::pipe()?;
        let copy = move || {
            // Ends with an error in any case: `EIO` when nobody has the terminal open any more, or a broken pipe.
            let _ = io::copy(&mut master, &mut writer);
        };
        std::thread::Builder::new().name("terminal".to_owned()).spawn(copy)?;
        Receiver::from_owned_fd(reader.into()).map(|receiver| Self(Some(receiver)))
    }

    fn is_open(&self) -> bool {
        self.0.is_some()
    }

    /// The next bytes; none at the end.
    async fn next(&mut self) -> io::Result<Vec<u8>> {
        let Some(pipe) = &self.0 else { return Ok(Vec::new()) };
        loop {
            pipe.readable().await?;
            let mut bytes = Vec::with_capacity(CHUNK);
            match pipe.try_read_buf(&mut bytes) {
                Ok(count) => {
                    if count == 0 {
                        self.0 = None;
                    }
                    return Ok(bytes);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The next bytes after the command's end; `None` when there are no more of its own.
    async fn last(&mut self) -> io::Result<Option<Vec<u8>>> {
        // A terminal's output takes a moment through its thread; that of a pipe is there.
        match tokio::time::timeout(LAST_WAIT, self.next()).await {
            Ok(bytes) => bytes.map(|bytes| Some(bytes).filter(|bytes| !bytes.is_empty())),
            Err(_elapsed) => Ok(None),
        }
    }
}
