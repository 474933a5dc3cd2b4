//! Looking after a store's file: checking, repairing, backing up and restoring it. What blocks does so on the disk.
//!
//! [`check`] and [`backup`] may be called while a server runs: they read the file and verify what they have read, and
//! read it again where a transaction came between. [`repair`] and [`restore`] replace the file; the caller holds the
//! data directory ([`crate::installation::hold`]). The file that was there is kept beside the new one.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::file::FileStore;
use super::{Change, Contents, Store as _, StoreError, examine};
use crate::journal::InstanceRecord;
use crate::request::InstanceState;

/// How long it is tried to read a file that is being written to.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a store was found to hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// Services.
    pub services: usize,
    /// Instances that hold or may hold something on the host.
    pub live: usize,
    /// Instances that have failed.
    pub failed: usize,
    /// Requests.
    pub requests: usize,
}

impl Summary {
    fn of(contents: &Contents) -> Self {
        let mut summary =
            Self { services: contents.services.len(), requests: contents.requests.len(), ..Self::default() };
        for journal in contents.journals.values() {
            let state = InstanceRecord::fold(journal.clone()).map(|record| record.state);
            match state {
                Some(state) if state.is_live() => summary.live += 1,
                Some(InstanceState::Failed) => summary.failed += 1,
                Some(_) | None => {}
            }
        }
        summary
    }
}

/// `2 services, 1 live and 0 failed instances, 3 requests`.
impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { services, live, failed, requests } = self;
        write!(f, "{services} services, {live} live and {failed} failed instances, {requests} requests")
    }
}

/// What became of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// What the new one holds.
    pub summary: Summary,
    /// What could not be read of the old one, in words.
    pub lost: Vec<String>,
    /// Where the old one is now; `None`: there was none.
    pub kept: Option<PathBuf>,
}

fn read(path: &Path) -> Result<Vec<u8>, StoreError> {
    std::fs::read(path).map_err(|error| StoreError::io("read", &path.display().to_string(), &error))
}

/// What a file holds now, verified; a server may be writing to it.
fn consistent(path: &Path) -> Result<Contents, StoreError> {
    let shown = path.display().to_string();
    let end = Instant::now() + PATIENCE;
    loop {
        // Asked before, too: the server may end while its file is read.
        let was_in_use = matches!(FileStore::is_in_use(path), Ok(true));
        // Reading and verifying takes longer than a transaction: there is no need to wait in between.
        match examine::contents(read(path)?, &shown) {
            Err(StoreError::Damaged { .. })
                if Instant::now() < end && (was_in_use || matches!(FileStore::is_in_use(path), Ok(true))) => {
            }
            found => return found,
        }
    }
}

/// Verifies a store and says what it holds. Nothing is changed.
///
/// # Errors
/// What is wrong with it.
pub fn check(path: &Path) -> Result<Summary, StoreError> {
    consistent(path).map(|contents| Summary::of(&contents))
}

/// What could be read of a damaged store, and what could not, in words. Nothing is changed.
///
/// # Errors
/// When the file cannot be read at all.
pub fn salvageable(path: &Path) -> Result<(Summary, Vec<String>), StoreError> {
    let (contents, lost) = examine::salvage(read(path)?);
    Ok((Summary::of(&contents), lost))
}

/// Puts a store in the place of a damaged or missing one: with all that can be read of that one. `None`: nothing is
/// wrong with it, and it was left alone.
///
/// # Errors
/// `Format` for one of a newer program, which is left alone; what the disk reports.
pub fn repair(path: &Path) -> Result<Option<Replaced>, StoreError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return replace(path, &Contents::default(), Vec::new()).map(Some);
        }
        Err(error) => return Err(StoreError::io("read", &path.display().to_string(), &error)),
    };
    match examine::contents(bytes.clone(), &path.display().to_string()) {
        Ok(_) => Ok(None),
        Err(error @ StoreError::Format { .. }) => Err(error),
        Err(error) => {
            let (contents, mut lost) = examine::salvage(bytes);
            if lost.is_empty() {
                lost.push(match error {
                    StoreError::Damaged { reason, .. } => {
                        format!("{reason}: what was read may not be the latest")
                    }
                    other => other.to_string(),
                });
            }
            replace(path, &contents, lost).map(Some)
        }
    }
}

/// Writes all that a store holds to a new store, `file`; a server may be running.
///
/// # Errors
/// What is wrong with the store; `Io` when the file is there already or cannot be written.
pub fn backup(path: &Path, file: &Path) -> Result<Summary, StoreError> {
    let contents = consistent(path)?;
    if file.symlink_metadata().is_ok() {
        let reason = "it is there already, and is not overwritten".to_owned();
        return Err(StoreError::Io { operation: "write", path: file.display().to_string(), reason });
    }
    let temporary = write_beside(file, &contents)?;
    let shown = file.display().to_string();
    let placed =
        temporary.persist_noclobber(file).map_err(|lost| StoreError::io("write", &shown, &lost.error));
    placed.and_then(|_| sync_directory(file))?;
    Ok(Summary::of(&contents))
}

/// Puts a backup in the place of the store.
///
/// # Errors
/// What is wrong with the backup, or what the disk reports; the store is as it was then.
pub fn restore(path: &Path, file: &Path) -> Result<Replaced, StoreError> {
    let contents = examine::contents(read(file)?, &file.display().to_string())?;
    replace(path, &contents, Vec::new())
}

/// A new store with these contents in the place of what is there, which is kept.
fn replace(path: &Path, contents: &Contents, lost: Vec<String>) -> Result<Replaced, StoreError> {
    let shown = path.display().to_string();
    let temporary = write_beside(path, contents)?;
    let failed = |error: std::io::Error| StoreError::io("write", &shown, &error);
    let kept = match path.symlink_metadata() {
        Ok(_) => Some(free_name(path)),
        Err(_) => None,
    };
    if let Some(kept) = &kept {
        // A second name, not another one: at no moment is there no store.
        std::fs::hard_link(path, kept).map_err(failed)?;
    }
    temporary.persist(path).map_err(|lost| failed(lost.error))?;
    sync_directory(path)?;
    Ok(Replaced { summary: Summary::of(contents), lost, kept })
}

/// `store.redb.old-1`, or the first number that is free.
fn free_name(path: &Path) -> PathBuf {
    let mut number = 1_u32;
    loop {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".old-{number}"));
        let name = PathBuf::from(name);
        if name.symlink_metadata().is_err() {
            return name;
        }
        number = number.saturating_add(1);
    }
}

/// A store with these contents, in a temporary file beside `path`.
fn write_beside(path: &Path, contents: &Contents) -> Result<tempfile::NamedTempFile, StoreError> {
    let shown = path.display().to_string();
    let directory = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temporary = tempfile::Builder::new().prefix(".store-").tempfile_in(directory);
    let temporary = temporary.map_err(|error| StoreError::io("write", &shown, &error))?;
    {
        let mut store = FileStore::open(temporary.path())?;
        store.write(&changes(contents))?;
        store.compact()?;
    }
    temporary.as_file().sync_all().map_err(|error| StoreError::io("write", &shown, &error))?;
    Ok(temporary)
}

fn sync_directory(path: &Path) -> Result<(), StoreError> {
    let directory = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let synced = std::fs::File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|error| StoreError::io("write", &path.display().to_string(), &error))
}

/// The changes that make an empty store hold the contents.
fn changes(contents: &Contents) -> Vec<Change> {
    let mut changes = vec![Change::PutCounters(contents.counters)];
    changes.extend(contents.topology.iter().map(|it| Change::PutTopology(Some(Box::new(it.clone())))));
    changes.extend(contents.services.values().map(|service| Change::PutService(Box::new(service.clone()))));
    changes.extend(contents.requests.values().map(|request| Change::PutRequest(Box::new(request.clone()))));
    for (id, journal) in &contents.journals {
        changes.extend(journal.iter().map(|record| Change::Append(*id, Box::new(record.clone()))));
    }
    changes
}
