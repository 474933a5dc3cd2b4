//! The store on disk: one redb file. Values are JSON, so that a later program, or a person, can read them.

use std::path::Path;

use llcm_names::{InstanceId, RequestId, ServiceId};
use redb::{
    Database, DatabaseError, ReadOnlyDatabase, ReadableDatabase, ReadableTable, TableDefinition, TableError,
    WriteTransaction,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{Change, Contents, FORMAT, Store, StoreError, Versioned};

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const SERVICES: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("services");
const REQUESTS: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("requests");
/// (instance, position) -> record. Positions of an instance begin at 0 and have no gaps.
const JOURNAL: TableDefinition<'_, (u128, u64), &[u8]> = TableDefinition::new("journal");

const KEY_FORMAT: &str = "format";
const KEY_COUNTERS: &str = "counters";

/// The store's name in a data directory.
pub const FILE: &str = "store.redb";

/// Keeps records in one file, which it holds locked against other processes.
#[derive(Debug)]
pub struct FileStore {
    database: Database,
    path: String,
}

impl FileStore {
    /// Opens the store, making an empty one where there is none.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::Format`], or what the disk reports.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let shown = path.display().to_string();
        let database = Database::create(path).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => StoreError::InUse { path: shown.clone() },
            other => StoreError::Io { operation: "open", path: shown.clone(), reason: other.to_string() },
        })?;
        let store = Self { database, path: shown };
        store.check_format()?;
        Ok(store)
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
        self.database.compact().map(|_| ()).map_err(|error| StoreError::Io {
            operation: "compact",
            path,
            reason: error.to_string(),
        })
    }

    fn io(&self, operation: &'static str, error: impl std::fmt::Display) -> StoreError {
        StoreError::Io { operation, path: self.path.clone(), reason: error.to_string() }
    }

    fn check_format(&self) -> Result<(), StoreError> {
        let found = self.read_format().map_err(|error| self.io("read", error))?;
        match found {
            Some(FORMAT) => Ok(()),
            Some(found) => Err(StoreError::Format { path: self.path.clone(), found }),
            None => self.stamp().map_err(|error| self.io("write", error)),
        }
    }

    fn read_format(&self) -> Result<Option<u32>, redb::Error> {
        let table = match self.database.begin_read()?.open_table(META) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(None),
            other => other?,
        };
        let stamp = table.get(KEY_FORMAT)?;
        Ok(stamp.map(|value| {
            // A stamp that is no number is of no format this program knows.
            std::str::from_utf8(value.value()).ok().and_then(|text| text.parse().ok()).unwrap_or(u32::MAX)
        }))
    }

    fn stamp(&self) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        transaction.open_table(META)?.insert(KEY_FORMAT, FORMAT.to_string().as_bytes())?;
        transaction.open_table(SERVICES)?;
        transaction.open_table(REQUESTS)?;
        transaction.open_table(JOURNAL)?;
        transaction.commit()?;
        Ok(())
    }

    fn read_raw(&self) -> Result<Raw, redb::Error> {
        let transaction = self.database.begin_read()?;
        let counters = transaction.open_table(META)?.get(KEY_COUNTERS)?.map(|value| value.value().to_vec());
        let mut raw = Raw { counters, ..Raw::default() };
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

    fn write_all(&self, changes: &[Encoded<'_>]) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        for (change, bytes) in changes {
            apply(&transaction, change, bytes)?;
        }
        transaction.commit()?;
        Ok(())
    }
}

/// A change and the bytes of its value; empty where it has none.
type Encoded<'a> = (&'a Change, Vec<u8>);

/// What the file holds, before it is decoded.
#[derive(Default)]
struct Raw {
    counters: Option<Vec<u8>>,
    services: Vec<(u128, Vec<u8>)>,
    requests: Vec<(u128, Vec<u8>)>,
    journal: Vec<(u128, Vec<u8>)>,
}

impl Store for FileStore {
    fn load_all(&self) -> Result<Contents, StoreError> {
        let raw = self.read_raw().map_err(|error| self.io("read", error))?;
        let mut contents = Contents::default();
        if let Some(bytes) = raw.counters {
            contents.counters = decode("counter", 0, &bytes)?;
        }
        for (key, bytes) in raw.services {
            contents.services.insert(ServiceId::new(Uuid::from_u128(key)), decode("service", key, &bytes)?);
        }
        for (key, bytes) in raw.requests {
            contents.requests.insert(RequestId::new(Uuid::from_u128(key)), decode("request", key, &bytes)?);
        }
        for (key, bytes) in raw.journal {
            let journal = contents.journals.entry(InstanceId::new(Uuid::from_u128(key))).or_default();
            journal.push(decode("journal record of instance", key, &bytes)?);
        }
        Ok(contents)
    }

    fn write(&self, changes: &[Change]) -> Result<(), StoreError> {
        let encoded = changes.iter().map(|change| Ok((change, encode(change)?)));
        let encoded: Vec<Encoded<'_>> = encoded
            .collect::<Result<_, serde_json::Error>>()
            .map_err(|error| self.io("encode a record for", error))?;
        self.write_all(&encoded).map_err(|error| self.io("write", error))
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
        Change::Forget(_) | Change::RemoveService(_) | Change::RemoveRequest(_) => Ok(Vec::new()),
    }
}

fn decode<T: DeserializeOwned>(kind: &str, key: u128, bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice::<Versioned<T>>(bytes).map(Versioned::into_latest).map_err(|error| {
        StoreError::Record { what: format!("{kind} {}", Uuid::from_u128(key)), reason: error.to_string() }
    })
}
