//! Cases on commands in containers and on their own processes' output.

use async_trait::async_trait;

use super::bed::{Bed, eventually, refused};
use super::report::{Checked, Stop, ensure, ensure_eq};
use super::seconds;
use crate::{
    ContainerSpec, ErrorKind, Exec, ExecSpec, LogOptions, Logs, OutputChunk, OutputSink, OutputStream,
};

/// The command that the cases run; simulations have to know it.
pub(super) const COMMAND: &str = "echo to stdout; echo to stderr >&2; exit 7";

/// Keeps the two streams apart.
#[derive(Default)]
struct Streams {
    stdout: String,
    stderr: String,
    /// Says "enough" as soon as this many bytes have come.
    enough: Option<usize>,
}

#[async_trait]
impl OutputSink for Streams {
    async fn write(&mut self, chunk: OutputChunk) -> bool {
        let text = String::from_utf8_lossy(&chunk.bytes);
        match chunk.stream {
            OutputStream::Stdout => self.stdout.push_str(&text),
            OutputStream::Stderr => self.stderr.push_str(&text),
        }
        self.enough.is_none_or(|enough| self.stdout.len() + self.stderr.len() < enough)
    }
}

fn exec<'a>(bed: &'a Bed<'_>) -> Result<&'a dyn Exec, Stop> {
    let cannot = || Stop::NotSeen("the container driver cannot run commands".to_owned());
    bed.containers().exec().ok_or_else(cannot)
}

pub(super) fn logs<'a>(bed: &'a Bed<'_>) -> Result<(&'a dyn Logs, String), Stop> {
    let cannot = || Stop::NotSeen("the container driver cannot read output".to_owned());
    let silent = || Stop::NotSeen("the image writes no line of its own".to_owned());
    let line = bed.host().first_line.clone().ok_or_else(silent)?;
    Ok((bed.containers().logs().ok_or_else(cannot)?, line))
}

fn command(argv: &[&str]) -> ExecSpec {
    ExecSpec { argv: argv.iter().map(|&word| word.to_owned()).collect(), ..ExecSpec::default() }
}

pub(super) async fn both_outputs_and_the_exit_code_come_back(bed: &mut Bed<'_>) -> Checked {
    let exec = exec(bed)?;
    let spec = bed.container("a");
    bed.run(&spec).await?;
    let mut streams = Streams::default();
    let outcome = exec.exec(&spec.owner, &spec.name, &command(&["sh", "-c", COMMAND]), &mut streams).await?;
    ensure_eq!(outcome.exit_code, Some(7), "the exit code");
    ensure_eq!(streams.stdout, "to stdout\n", "standard output");
    ensure_eq!(streams.stderr, "to stderr\n", "standard error");
    let mut all = Vec::new();
    let outcome = exec.exec(&spec.owner, &spec.name, &command(&["true"]), &mut all).await?;
    ensure_eq!(outcome.exit_code, Some(0), "the exit code of `true`");
    ensure!(all.is_empty(), "`true` writes {all:?}");
    Ok(())
}

pub(super) async fn a_command_needs_a_running_container(bed: &mut Bed<'_>) -> Checked {
    let exec = exec(bed)?;
    let (spec, mut sink) = (bed.container("a"), Vec::new());
    let absent = exec.exec(&spec.owner, &spec.name, &command(&["true"]), &mut sink).await;
    refused(absent, ErrorKind::NotFound, "a command in a container that does not exist")?;
    bed.fetch().await?;
    bed.containers().create(&spec).await?;
    let result = exec.exec(&spec.owner, &spec.name, &command(&["true"]), &mut sink).await;
    ensure!(result.is_err(), "a command runs in a container that was never started: {result:?}");
    bed.containers().start(&spec.owner, &spec.name).await?;
    let result = exec.exec(&bed.other, &spec.name, &command(&["true"]), &mut sink).await;
    refused(result, ErrorKind::Conflict, "a command in another owner's container")
}

pub(super) async fn a_command_that_does_not_exist_is_invalid(bed: &mut Bed<'_>) -> Checked {
    let exec = exec(bed)?;
    let (spec, mut sink) = (bed.container("a"), Vec::new());
    bed.run(&spec).await?;
    for argv in [&[][..], &["/no/such/program"][..]] {
        let result = exec.exec(&spec.owner, &spec.name, &command(argv), &mut sink).await;
        refused(result, ErrorKind::Invalid, &format!("command {argv:?}"))?;
    }
    Ok(())
}

pub(super) async fn the_output_of_a_container_can_be_read(bed: &mut Bed<'_>) -> Checked {
    let (logs, line) = logs(bed)?;
    let spec = bed.container("a");
    let absent = logs.logs(&spec.owner, &spec.name, LogOptions::default(), &mut Vec::new()).await;
    refused(absent, ErrorKind::NotFound, "the output of a container that does not exist")?;
    bed.run(&spec).await?;
    let other = logs.logs(&bed.other, &spec.name, LogOptions::default(), &mut Vec::new()).await;
    refused(other, ErrorKind::Conflict, "the output of another owner's container")?;
    read_until(logs, &spec, &line).await?;

    let mut plain = Vec::new();
    logs.logs(&spec.owner, &spec.name, LogOptions::default(), &mut plain).await?;
    let mut stamped = Vec::new();
    let options = LogOptions { timestamps: true, ..LogOptions::default() };
    logs.logs(&spec.owner, &spec.name, options, &mut stamped).await?;
    let (plain, stamped) = (String::from_utf8_lossy(&plain), String::from_utf8_lossy(&stamped));
    let (plain, stamped) = (plain.lines().next().unwrap_or(""), stamped.lines().next().unwrap_or(""));
    let date = stamped.split_once(' ').filter(|(date, rest)| date.contains('T') && *rest == plain);
    ensure!(date.is_some(), "a line with its timestamp is {stamped:?}");
    let mut none = Vec::new();
    let options = LogOptions { tail: Some(0), ..LogOptions::default() };
    logs.logs(&spec.owner, &spec.name, options, &mut none).await?;
    ensure!(none.is_empty(), "the last 0 lines are {none:?}");
    Ok(())
}

/// The output comes when the process has written it, not when the container is started.
pub(super) async fn read_until(logs: &dyn Logs, spec: &ContainerSpec, line: &str) -> Checked {
    eventually("the first line of output", || async {
        let mut all = Vec::new();
        logs.logs(&spec.owner, &spec.name, LogOptions::default(), &mut all).await?;
        Ok(String::from_utf8_lossy(&all).lines().any(|found| found.trim_end() == line))
    })
    .await
}

pub(super) async fn following_ends_with_the_container(bed: &mut Bed<'_>) -> Checked {
    let (logs, line) = logs(bed)?;
    let spec = bed.container("a");
    bed.run(&spec).await?;
    let options = LogOptions { follow: true, ..LogOptions::default() };
    // A reader who has enough gets away from a container that runs on.
    let mut first = Streams { enough: Some(line.len()), ..Streams::default() };
    let read = logs.logs(&spec.owner, &spec.name, options, &mut first);
    let late = || "a reader who has enough is not let go".to_owned();
    tokio::time::timeout(seconds(30), read).await.map_err(|_| late())??;
    ensure!(first.stdout.contains(&line), "the first output is {:?}", first.stdout);

    let mut all = Streams::default();
    let read = logs.logs(&spec.owner, &spec.name, options, &mut all);
    let stop = bed.containers().stop(&spec.owner, &spec.name, seconds(1));
    let both = async { tokio::join!(read, stop) };
    let late = || "following does not end when the container stops".to_owned();
    let (read, stop) = tokio::time::timeout(seconds(30), both).await.map_err(|_| late())?;
    read?;
    stop?;
    ensure!(all.stdout.contains(&line), "the output until the end is {:?}", all.stdout);
    Ok(())
}
