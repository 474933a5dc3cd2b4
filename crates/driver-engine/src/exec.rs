//! Running commands in containers.

use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

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
/// How long those of a terminal may take together. It ends with the last process that has it open, mostly the command, so
/// this is for what others, left in the background, do not close.
const TERMINAL_WAIT: Duration = Duration::from_secs(2);

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
    for (reader, stream) in [(output, OutputStream::Stdout), (errors, OutputStream::Stderr)] {
        rest(reader, stream, sink).await?;
    }
    Ok(ExecOutcome { exit_code: code.map(i64::from) })
}

/// Hands on what an output has left after the command's end.
async fn rest(mut reader: Reader, stream: OutputStream, sink: &mut dyn OutputSink) -> io::Result<()> {
    let end = Instant::now() + reader.last_wait;
    for _ in 0..LAST_READS {
        // What a pipe has left is there; a terminal's has to come through its thread.
        let wait = end.saturating_duration_since(Instant::now()).max(LAST_WAIT);
        let bytes = match tokio::time::timeout(wait, reader.next()).await {
            Ok(bytes) => bytes?,
            Err(_elapsed) => break,
        };
        if bytes.is_empty() || !sink.write(OutputChunk { stream, bytes }).await {
            break;
        }
    }
    Ok(())
}

/// One of a command's outputs.
struct Reader {
    pipe: Option<Receiver>,
    /// How long what the command has written may take to come after its end.
    last_wait: Duration,
}

impl Reader {
    fn new(file: Option<File>) -> io::Result<Self> {
        let pipe = file.map(Receiver::from_file).transpose()?;
        Ok(Self { pipe, last_wait: LAST_WAIT })
    }

    /// The output of a terminal, by a thread that copies it: there is no other way to wait for one that is safe.
    fn of_terminal(mut master: File) -> io::Result<Self> {
        let (reader, mut writer) = io::pipe()?;
        let copy = move || {
            // Ends with an error in any case: `EIO` when nobody has the terminal open any more, or a broken pipe.
            let _ = io::copy(&mut master, &mut writer);
        };
        std::thread::Builder::new().name("terminal".to_owned()).spawn(copy)?;
        Ok(Self { pipe: Some(Receiver::from_owned_fd(reader.into())?), last_wait: TERMINAL_WAIT })
    }

    fn is_open(&self) -> bool {
        self.pipe.is_some()
    }

    /// The next bytes; none at the end.
    async fn next(&mut self) -> io::Result<Vec<u8>> {
        let Some(pipe) = &self.pipe else { return Ok(Vec::new()) };
        loop {
            pipe.readable().await?;
            let mut bytes = Vec::with_capacity(CHUNK);
            match pipe.try_read_buf(&mut bytes) {
                Ok(count) => {
                    if count == 0 {
                        self.pipe = None;
                    }
                    return Ok(bytes);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[derive(Default)]
    struct Taken(Vec<u8>);

    #[async_trait]
    impl OutputSink for Taken {
        async fn write(&mut self, chunk: OutputChunk) -> bool {
            self.0.extend(chunk.bytes);
            true
        }
    }

    /// What is taken of an output that has a word in it when the command ends, and how long it took. A second word comes
    /// after `late`, if at all. Somebody in the background keeps it open, if `kept`.
    async fn left(last_wait: Duration, late: Option<Duration>, kept: bool) -> (String, Duration) {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"first ").unwrap();
        let held = kept.then(|| writer.try_clone().unwrap());
        let thread = std::thread::spawn(move || {
            let Some(late) = late else { return };
            std::thread::sleep(late);
            writer.write_all(b"late").unwrap();
        });
        let reader = Reader { pipe: Some(Receiver::from_owned_fd(reader.into()).unwrap()), last_wait };
        let (mut taken, start) = (Taken::default(), Instant::now());
        rest(reader, OutputStream::Stdout, &mut taken).await.unwrap();
        let waited = start.elapsed();
        drop(held);
        thread.join().unwrap();
        (String::from_utf8(taken.0).unwrap(), waited)
    }

    #[tokio::test]
    async fn what_a_terminal_has_left_is_waited_for() {
        let late = Some(Duration::from_millis(300));
        assert_eq!(left(TERMINAL_WAIT * 10, late, false).await.0, "first late");
        // Not for ever: somebody in the background may keep it open.
        let (text, waited) = left(TERMINAL_WAIT, None, true).await;
        assert_eq!(text, "first ");
        assert!((TERMINAL_WAIT..TERMINAL_WAIT * 5).contains(&waited), "{waited:?}");
    }

    #[tokio::test]
    async fn what_a_pipe_has_left_is_there() {
        assert_eq!(left(LAST_WAIT, None, true).await.0, "first ");
    }
}
