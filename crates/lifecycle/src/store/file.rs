//! The store on disk: one redb file. Values are JSON, so that a later program, or a person, can read them.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use llcm_names::{InstanceId, RequestId, ServiceId};
use redb::{
    Database, DatabaseError, ReadOnlyDatabase, ReadableDatabase, ReadableTable, TableDefinition, TableError,
    WriteTransaction,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::installation::Held;
use crate::patience;

use super::{Change, Contents, FORMAT, Store, StoreError, Versioned, examine, migrations};

pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const SERVICES: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("services");
const REQUESTS: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("requests");
/// (instance, position) -> record. Positions of an instance begin at 0 and have no gaps.
const JOURNAL: TableDefinition<'_, (u128, u64), &[u8]> = TableDefinition::new("journal");

const KEY_FORMAT: &str = "format";
const KEY_COUNTERS: &str = "counters";
const KEY_TOPOLOGY: &str = "topology";

/// The store's name in a data directory.
pub const FILE: &str = "store.redb";

/// Keeps records in one file, which it holds locked against other processes.
pub struct FileStore {
    /// `None`: closed after the disk failed; the next one who needs it opens it again.
    database: Mutex<Option<Database>>,
    opener: Opener,
    path: String,
    /// Given up after the database is closed.
    held: Option<Held>,
}

/// How the database is opened, and opened again.
type Opener = Box<dyn Fn() -> Result<Database, DatabaseError> + Send + Sync>;

impl std::fmt::Debug for FileStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileStore").field("path", &self.path).finish_non_exhaustive()
    }
}

impl FileStore {
    /// Opens the store, making an empty one where there is none. It is examined first: a damaged one, and one of a
    /// newer program, is left as it is. One of an older program is brought up to date.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::Format`], [`StoreError::Damaged`], or what the disk reports.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let shown = path.display().to_string();
        let look = || match Self::is_in_use(path) {
            Ok(true) => Err(StoreError::InUse { path: shown.clone() }),
            _ => Ok(()),
        };
        patience::take(look, |_| true)?;
        match std::fs::read(path) {
            // Made, and nothing written yet.
            Ok(bytes) if bytes.is_empty() => {}
            Ok(bytes) => drop(examine::examine(bytes, &shown)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::io("read", &shown, &error)),
        }
        let path = path.to_owned();
        Self::open_by(Box::new(move || Database::create(&path)), shown)
    }

    /// A store on something else than a file.
    #[cfg(test)]
    pub(crate) fn recorded(opener: Opener) -> Result<Self, StoreError> {
        Self::open_by(opener, "recorded".to_owned())
    }

    fn open_by(opener: Opener, path: String) -> Result<Self, StoreError> {
        let database = open_patiently(&opener, &path)?;
        let prepared = prepare(&database);
        prepared.map_err(|error| told("write", &path, error))?;
        Ok(Self { database: Mutex::new(Some(database)), opener, path, held: None })
    }

    /// The same store, with the data directory it is in, for as long as it is open.
    #[must_use]
    pub fn holding(mut self, held: Held) -> Self {
        self.held = Some(held);
        self
    }

    /// Whether a server has the store open. It is only looked at: it is neither made nor repaired.
    ///
    /// # Errors
    /// What the disk reports.
    pub fn is_in_use(path: &Path) -> Result<bool, StoreError> {
        match std::fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            // Made, and nothing written yet.
            Ok(found) if found.len() == 0 => return Ok(false),
            _ => {}
        }
        match ReadOnlyDatabase::open(path) {
            // One that wants to be repaired was left by a server that was killed.
            Ok(_) | Err(DatabaseError::RepairAborted) => Ok(false),
            Err(DatabaseError::DatabaseAlreadyOpen) => Ok(true),
            Err(error) => {
                let path = path.display().to_string();
                Err(StoreError::Io { operation: "look at", path, reason: error.to_string() })
            }
        }
    }

    /// Rewrites the file without the gaps that removed records left. Nothing else may use the store meanwhile.
    ///
    /// # Errors
    /// What the disk reports.
    pub fn compact(&mut self) -> Result<(), StoreError> {
        let path = self.path.clone();
        let mut database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = database.as_mut() else { return Ok(()) };
        let compacted = database.compact().map(|_| ());
        compacted.map_err(|error| StoreError::Io { operation: "compact", path, reason: error.to_string() })
    }

    /// Works with the database. One whose disk has failed does not answer any more, even when the disk does: it is
    /// closed, and opened again for the next work, as after a kill.
    fn with<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let mut held = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let database = match held.take() {
            Some(database) => database,
            None => open_patiently(&self.opener, &self.path)?,
        };
        let result = work(&database);
        if result.is_ok() {
            *held = Some(database);
        }
        result.map_err(|error| told(operation, &self.path, error))
    }
}

/// Who looks whether a store is in use has it for as long as the look takes.
fn open_patiently(opener: &Opener, path: &str) -> Result<Database, StoreError> {
    let opened = patience::take(opener, |error| matches!(error, DatabaseError::DatabaseAlreadyOpen));
    opened.map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::InUse { path: path.to_owned() },
        other => told("open", path, other.into()),
    })
}

fn told(operation: &'static str, path: &str, error: redb::Error) -> StoreError {
    match error {
        redb::Error::Io(error) => StoreError::io(operation, path, &error),
        redb::Error::Corrupted(reason) => StoreError::Damaged { path: path.to_owned(), reason },
        other => StoreError::Io { operation, path: path.to_owned(), reason: other.to_string() },
    }
}

/// Gives a new database its tables and an old one the present format, in one transaction.
fn prepare(database: &Database) -> Result<(), redb::Error> {
    let found = read_format(database)?;
    if found == Some(FORMAT) {
        return Ok(());
    }
    let transaction = database.begin_write()?;
    match found {
        Some(found) => migrations::migrate(&transaction, found)?,
        None => {
            transaction.open_table(SERVICES)?;
            transaction.open_table(REQUESTS)?;
            transaction.open_table(JOURNAL)?;
            migrations::stamp_program(&transaction)?;
        }
    }
    transaction.open_table(META)?.insert(KEY_FORMAT, FORMAT.to_string().as_bytes())?;
    transaction.commit()?;
    Ok(())
}

/// The format of a store; `None`: it has none yet.
pub(super) fn read_format(database: &Database) -> Result<Option<u32>, redb::Error> {
    let table = match database.begin_read()?.open_table(META) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        other => other?,
    };
    let stamp = table.get(KEY_FORMAT)?;
    Ok(stamp.map(|value| {
        // A stamp that is no number is of no format this program knows.
        std::str::from_utf8(value.value()).ok().and_then(|text| text.parse().ok()).unwrap_or(u32::MAX)
    }))
}

/// What the file holds, before it is decoded.
pub(super) fn read_raw(database: &Database) -> Result<Raw, redb::Error> {
    let transaction = database.begin_read()?;
    let meta = transaction.open_table(META)?;
    let counters = meta.get(KEY_COUNTERS)?.map(|value| value.value().to_vec());
    let topology = meta.get(KEY_TOPOLOGY)?.map(|value| value.value().to_vec());
    let mut raw = Raw { counters, topology, ..Raw::default() };
    for (table, rows) in [(SERVICES, &mut raw.services), (REQUESTS, &mut raw.requests)] {
        for row in transaction.open_table(table)?.iter()? {
            let (key, value) = row?;
            rows.push((key.value(), value.value().to_vec()));
        }
    }
    for row in transaction.open_table(JOURNAL)?.iter()? {
        let (key, value) = row?;
        raw.journal.push((key.value().0, value.value().to_vec()));
    }
    Ok(raw)
}

fn write_all(database: &Database, changes: &[Encoded<'_>]) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    for (change, bytes) in changes {
        apply(&transaction, change, bytes)?;
    }
    transaction.commit()?;
    Ok(())
}

/// A change and the bytes of its value; empty where it has none.
type Encoded<'a> = (&'a Change, Vec<u8>);

/// What the file holds, before it is decoded.
#[derive(Default)]
pub(super) struct Raw {
    counters: Option<Vec<u8>>,
    topology: Option<Vec<u8>>,
    services: Vec<(u128, Vec<u8>)>,
    requests: Vec<(u128, Vec<u8>)>,
    journal: Vec<(u128, Vec<u8>)>,
}

impl Raw {
    /// What it says. `unreadable` is told of each value that says nothing; what it returns ends the reading.
    pub(super) fn decode(
        self,
        mut unreadable: impl FnMut(StoreError) -> Result<(), StoreError>,
    ) -> Result<Contents, StoreError> {
        let mut contents = Contents::default();
        if let Some(bytes) = self.counters {
            match decode("counter", 0, &bytes) {
                Ok(counters) => contents.counters = counters,
                Err(error) => unreadable(error)?,
            }
        }
        if let Some(bytes) = self.topology {
            match decode("topology", 0, &bytes) {
                Ok(topology) => contents.topology = Some(topology),
                Err(error) => unreadable(error)?,
            }
        }
        for (key, bytes) in self.services {
            match decode("service", key, &bytes) {
                Ok(service) => {
                    contents.services.insert(ServiceId::new(Uuid::from_u128(key)), service);
                }
                Err(error) => unreadable(error)?,
            }
        }
        for (key, bytes) in self.requests {
            match decode("request", key, &bytes) {
                Ok(request) => {
                    contents.requests.insert(RequestId::new(Uuid::from_u128(key)), request);
                }
                Err(error) => unreadable(error)?,
            }
        }
        for (key, bytes) in self.journal {
            match decode("journal record of instance", key, &bytes) {
                Ok(record) => {
                    let journal = contents.journals.entry(InstanceId::new(Uuid::from_u128(key)));
                    journal.or_default().push(record);
                }
                Err(error) => unreadable(error)?,
            }
        }
        Ok(contents)
    }
}

impl Store for FileStore {
    fn load_all(&self) -> Result<Contents, StoreError> {
        self.with("read", read_raw)?.decode(Err)
    }

    fn write(&self, changes: &[Change]) -> Result<(), StoreError> {
        let encoded = changes.iter().map(|change| Ok((change, encode(change)?)));
        let encoded: Result<Vec<Encoded<'_>>, serde_json::Error> = encoded.collect();
        let encoded = encoded.map_err(|error| StoreError::Io {
            operation: "encode a record for",
            path: self.path.clone(),
            reason: error.to_string(),
        })?;
        self.with("write", |database| write_all(database, &encoded))
    }
}

fn apply(transaction: &WriteTransaction, change: &Change, bytes: &[u8]) -> Result<(), redb::Error> {
    match change {
        Change::Append(instance, _) => {
            let mut table = transaction.open_table(JOURNAL)?;
            let key = instance.uuid().as_u128();
            let last = table.range((key, 0)..=(key, u64::MAX))?.next_back().transpose()?;
            let position = last.map_or(0, |(key, _)| key.value().1.saturating_add(1));
            table.insert((key, position), bytes)?;
        }
        Change::Forget(instance) => {
            let key = instance.uuid().as_u128();
            transaction.open_table(JOURNAL)?.retain_in((key, 0)..=(key, u64::MAX), |_, _| false)?;
        }
        Change::PutService(service) => {
            transaction.open_table(SERVICES)?.insert(service.view.id.uuid().as_u128(), bytes)?;
        }
        Change::RemoveService(id) => {
            transaction.open_table(SERVICES)?.remove(id.uuid().as_u128())?;
        }
        Change::PutRequest(request) => {
            transaction.open_table(REQUESTS)?.insert(request.view.id.uuid().as_u128(), bytes)?;
        }
        Change::RemoveRequest(id) => {
            transaction.open_table(REQUESTS)?.remove(id.uuid().as_u128())?;
        }
        Change::PutCounters(_) => {
            transaction.open_table(META)?.insert(KEY_COUNTERS, bytes)?;
        }
        Change::PutTopology(Some(_)) => {
            transaction.open_table(META)?.insert(KEY_TOPOLOGY, bytes)?;
        }
        Change::PutTopology(None) => {
            transaction.open_table(META)?.remove(KEY_TOPOLOGY)?;
        }
    }
    Ok(())
}

fn encode(change: &Change) -> Result<Vec<u8>, serde_json::Error> {
    fn versioned<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&Versioned::V1(value))
    }
    match change {
        Change::Append(_, record) => versioned(record),
        Change::PutService(service) => versioned(service),
        Change::PutRequest(request) => versioned(request),
        Change::PutCounters(counters) => versioned(counters),
        Change::PutTopology(Some(changed)) => versioned(changed),
        Change::Forget(_)
        | Change::RemoveService(_)
        | Change::RemoveRequest(_)
        | Change::PutTopology(None) => Ok(Vec::new()),
    }
}

fn decode<T: DeserializeOwned>(kind: &str, key: u128, bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice::<Versioned<T>>(bytes).map(Versioned::into_latest).map_err(|error| {
        StoreError::Record { what: format!("{kind} {}", Uuid::from_u128(key)), reason: error.to_string() }
    })
}
