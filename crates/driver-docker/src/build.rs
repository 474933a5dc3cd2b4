//! Building an image from a directory of a package.

use std::io::Write;
use std::path::{Component, Path, PathBuf};

use bollard::errors::Error;
use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use llcm_runtime::{BuildSpec, DriverResult, ErrorKind, ImageView, Progress};
use tokio::sync::mpsc;

use crate::client::Client;
use crate::images;
use crate::map_error::Attempt;
use crate::messages::Messages;
use crate::raw::encode;

/// How much of the build's output goes into an error.
const TAIL_LINES: usize = 20;
const TAIL_BYTES: usize = 4096;
/// Pieces of the archive under way at a time, and their size.
const PIECES: usize = 4;
const PIECE_BYTES: usize = 64 * 1024;

/// Builds and tags an image with the engine's classic builder.
///
/// # Errors
/// As `ContainerDriver::build_image`.
pub(crate) async fn build(
    client: &Client,
    spec: &BuildSpec,
    progress: &dyn Progress,
) -> DriverResult<ImageView> {
    let attempt = Attempt::new("build image", &spec.tag);
    let reference = images::reference(attempt, &spec.tag)?;
    check_dockerfile(attempt, spec)?;
    let path = format!(
        "/build?t={}&dockerfile={}&rm=true&forcerm=true&version=1",
        encode(&spec.tag),
        encode(&spec.dockerfile)
    );
    let deadline = client.deadlines().build;
    let run = async {
        let archive = archive_stream(spec.context.clone()).map_ok(Frame::data);
        let mut tail = Tail::default();
        // A step that fails and a base image that nobody has both arrive inside the stream.
        let failed = |error: &Error, tail: &Tail| {
            let mut failed = attempt.failed(error);
            if failed.kind != ErrorKind::Unavailable {
                failed.kind = ErrorKind::Failed;
            }
            failed.message = tail.appended_to(&failed.message);
            failed
        };
        let begun = client.post(&path, StreamBody::new(archive).boxed_unsync()).await;
        let mut messages = Messages::new(begun.map_err(|error| failed(&error, &tail))?);
        while let Some(message) = messages.next().await.map_err(|error| failed(&error, &tail))? {
            tail.push(message.output().unwrap_or_default());
            if let Some(event) = message.event(&spec.tag) {
                progress.report(event);
            }
        }
        Ok(())
    };
    tokio::time::timeout(deadline, run).await.map_err(|_| attempt.too_late(deadline))??;
    let message = "the engine ended the build without an image";
    images::find(client, &reference).await?.ok_or_else(|| attempt.error(ErrorKind::Failed, message))
}

/// The Dockerfile has to be a plain file of the directory: its name comes from a descriptor.
fn check_dockerfile(attempt: Attempt<'_>, spec: &BuildSpec) -> DriverResult<()> {
    let name = Path::new(&spec.dockerfile);
    if !name.components().all(|part| matches!(part, Component::Normal(_))) || spec.dockerfile.is_empty() {
        let message = format!("the Dockerfile {} is not within its directory", spec.dockerfile);
        return Err(attempt.error(ErrorKind::Invalid, message));
    }
    let path = spec.context.join(name);
    match std::fs::symlink_metadata(&path) {
        Ok(found) if found.is_file() => Ok(()),
        _ => Err(attempt.error(ErrorKind::Failed, format!("there is no file {}", path.display()))),
    }
}

/// The end of a build's output.
#[derive(Debug, Default)]
struct Tail {
    text: String,
}

impl Tail {
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        if self.text.len() > 2 * TAIL_BYTES {
            let mut start = self.text.len() - TAIL_BYTES;
            while !self.text.is_char_boundary(start) {
                start += 1;
            }
            self.text.drain(..start);
        }
    }

    fn appended_to(&self, message: &str) -> String {
        let lines: Vec<&str> = self.text.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = &lines[lines.len().saturating_sub(TAIL_LINES)..];
        if last.is_empty() {
            return message.to_owned();
        }
        format!("{message}; the end of the build's output:\n{}", last.join("\n"))
    }
}

/// The directory as a tar stream, made while it is sent.
fn archive_stream(context: PathBuf) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> + Send {
    let (sender, receiver) = mpsc::channel(PIECES);
    tokio::task::spawn_blocking(move || {
        let mut writer = PieceWriter { buffer: Vec::with_capacity(PIECE_BYTES), sender };
        if let Err(error) = write_archive(&context, &mut writer).and_then(|()| writer.flush()) {
            // Nobody listens when the request has ended already, and then nobody asks why.
            drop(writer.sender.blocking_send(Err(error)));
        }
    });
    stream::unfold(receiver, async |mut receiver| receiver.recv().await.map(|piece| (piece, receiver)))
}

struct PieceWriter {
    buffer: Vec<u8>,
    sender: mpsc::Sender<std::io::Result<Bytes>>,
}

impl Write for PieceWriter {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        self.buffer.extend_from_slice(data);
        if self.buffer.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = Bytes::from(std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE_BYTES)));
        self.sender.blocking_send(Ok(piece)).map_err(|_| std::io::ErrorKind::BrokenPipe.into())
    }
}

/// Writes the files below a directory, in the order of their names, owned by root. Symbolic links are sent
/// as such and never followed; what is no file, directory or link is an error.
fn write_archive(context: &Path, writer: &mut impl Write) -> std::io::Result<()> {
    let mut archive = tar::Builder::new(writer);
    archive.follow_symlinks(false);
    let mut pending = vec![PathBuf::new()];
    while let Some(directory) = pending.pop() {
        let mut names: Vec<_> = std::fs::read_dir(context.join(&directory))?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<Result<_, _>>()?;
        names.sort();
        for name in names {
            let path = directory.join(name);
            append(&mut archive, context, &path)?;
            if std::fs::symlink_metadata(context.join(&path))?.is_dir() {
                pending.push(path);
            }
        }
    }
    archive.finish()
}

fn append(archive: &mut tar::Builder<impl Write>, context: &Path, path: &Path) -> std::io::Result<()> {
    let source = context.join(path);
    let metadata = std::fs::symlink_metadata(&source)?;
    let mut header = tar::Header::new_gnu();
    header.set_metadata_in_mode(&metadata, tar::HeaderMode::Deterministic);
    if metadata.is_file() {
        let file = std::fs::File::open(&source)?;
        archive.append_data(&mut header, path, file)
    } else if metadata.is_dir() {
        archive.append_data(&mut header, path, std::io::empty())
    } else if metadata.is_symlink() {
        header.set_size(0);
        archive.append_link(&mut header, path, std::fs::read_link(&source)?)
    } else {
        Err(std::io::Error::other(format!("{} is neither a file, a directory nor a link", path.display())))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_archive_holds_the_directory_and_nothing_from_outside() {
        let home = tempfile::tempdir().unwrap();
        let context = home.path().join("context");
        std::fs::create_dir_all(context.join("sub")).unwrap();
        std::fs::write(home.path().join("secret"), "outside").unwrap();
        std::fs::write(context.join("Dockerfile"), "FROM x").unwrap();
        std::fs::write(context.join("sub/file"), "inside").unwrap();
        std::os::unix::fs::symlink("../secret", context.join("link")).unwrap();
        std::os::unix::fs::symlink(home.path(), context.join("sub/up")).unwrap();
        let mut bytes = Vec::new();
        write_archive(&context, &mut bytes).unwrap();
        let mut found = Vec::new();
        for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            let path = entry.path().unwrap().display().to_string();
            found.push((path, entry.header().entry_type(), text));
        }
        use tar::EntryType::{Directory, Regular, Symlink};
        let expected = [
            ("Dockerfile", Regular, "FROM x"),
            ("link", Symlink, ""),
            ("sub", Directory, ""),
            ("sub/file", Regular, "inside"),
            ("sub/up", Symlink, ""),
        ];
        assert_eq!(found, expected.map(|(path, kind, text)| (path.to_owned(), kind, text.to_owned())));
    }

    #[test]
    fn a_dockerfile_outside_of_its_directory_is_refused() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("context")).unwrap();
        std::fs::write(home.path().join("Dockerfile"), "FROM x").unwrap();
        std::os::unix::fs::symlink("../Dockerfile", home.path().join("context/link")).unwrap();
        let check = |dockerfile: &str| {
            let (context, tag) = (home.path().join("context"), "a".to_owned());
            let spec = BuildSpec { context, dockerfile: dockerfile.to_owned(), tag };
            check_dockerfile(Attempt::new("build image", "a"), &spec).unwrap_err().kind
        };
        assert_eq!(check("../Dockerfile"), ErrorKind::Invalid);
        assert_eq!(check("/etc/passwd"), ErrorKind::Invalid);
        assert_eq!(check(""), ErrorKind::Invalid);
        assert_eq!(check("link"), ErrorKind::Failed);
        assert_eq!(check("absent"), ErrorKind::Failed);
    }

    #[test]
    fn only_the_end_of_a_long_output_is_kept() {
        let mut tail = Tail::default();
        for number in 0..5000 {
            tail.push(&format!("läne {number}\n"));
        }
        let text = tail.appended_to("a step failed");
        assert!(text.starts_with("a step failed; the end of the build's output:\nläne 4980\n"), "{text}");
        assert!(text.ends_with("läne 4999"));
        assert_eq!(Tail::default().appended_to("a step failed"), "a step failed");
    }
}
