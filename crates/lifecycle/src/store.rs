//! Where records are kept: a trait, one file on disk behind it ([`file`](mod@file)), memory for tests and experiments
//! ([`memory`]), and the writer that gathers what many tasks write into few transactions (`writer`).
//!
//! What is stored is listed in [`Change`]; every value carries a version (`Versioned`), and the store
//! as a whole a format number. A reader refuses what is newer than itself and never empties a store; what is
//! older, `migrations` bring up to date. A file is examined before it is opened (`examine`), and looked after
//! when it is damaged ([`care`]).

use std::collections::BTreeMap;

use llcm_names::{InstanceId, RequestId, ServiceId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::catalog::ServiceRecord;
use crate::journal::Record;
use crate::requests::RequestRecord;
use crate::topology::ChangedTopology;

pub mod care;
pub(crate) mod examine;
pub mod file;
pub mod memory;
pub(crate) mod migrations;
pub(crate) mod writer;

/// The format of the store that this program reads and writes.
pub const FORMAT: u32 = 2;

/// Keeps records. Calls may block on the disk; they are made off the async threads.
pub trait Store: Send + Sync {
    /// All that is stored.
    ///
    /// # Errors
    /// When it cannot be read, or a record is of a version that is not known.
    fn load_all(&self) -> Result<Contents, StoreError>;

    /// Makes all changes, in their order, or none; they are on disk when it returns.
    ///
    /// # Errors
    /// When they cannot be written; then none of them is.
    fn write(&self, changes: &[Change]) -> Result<(), StoreError>;

    /// How it is to be written to.
    fn manner(&self) -> Manner {
        Manner::default()
    }
}

/// How a store is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// Changes after which no more are gathered into a transaction; what has to be written together is, however many
    /// there are.
    pub gather: usize,
    /// Whether writing may wait for a disk, so that a thread for that is wanted.
    pub waits: bool,
}

impl Default for Manner {
    fn default() -> Self {
        // Bounds what one commit holds in memory.
        Self { gather: 512, waits: true }
    }
}

/// A change of what is stored.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Adds a record to the end of an instance's journal.
    Append(InstanceId, Box<Record>),
    /// Drops an instance's journal.
    Forget(InstanceId),
    /// Adds or replaces a service.
    PutService(Box<ServiceRecord>),
    /// Drops a service.
    RemoveService(ServiceId),
    /// Adds or replaces a request.
    PutRequest(Box<RequestRecord>),
    /// Drops a request.
    RemoveRequest(RequestId),
    /// Replaces the counters.
    PutCounters(Counters),
    /// Replaces what the topology was changed to; `None`: it is the file's.
    PutTopology(Option<Box<ChangedTopology>>),
}

/// All that is stored.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Contents {
    /// The counters.
    pub counters: Counters,
    /// What the topology was changed to; `None`: it is the file's.
    pub topology: Option<ChangedTopology>,
    /// The catalogue.
    pub services: BTreeMap<ServiceId, ServiceRecord>,
    /// The requests.
    pub requests: BTreeMap<RequestId, RequestRecord>,
    /// The journals, each in its order.
    pub journals: BTreeMap<InstanceId, Vec<Record>>,
}

/// What goes on counting whatever comes and goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    /// The round-robin placement's position.
    pub round_robin: u64,
}

/// A stored value with the version of its shape. A new shape is a new variant; the old ones stay readable.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v", content = "value")]
pub(crate) enum Versioned<T> {
    /// The first shape.
    #[serde(rename = "1")]
    V1(T),
}

impl<T> Versioned<T> {
    pub(crate) fn into_latest(self) -> T {
        match self {
            Self::V1(value) => value,
        }
    }
}

/// The store cannot be read or written.
#[derive(Debug, Clone, Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error(
        "the store {path} is in use: another server runs on this data directory; stop it or give another one"
    )]
    InUse {
        /// The store's file.
        path: String,
    },
    /// It was written by a newer program.
    #[error(
        "the store {path} has format {found}, this program knows {FORMAT}: run the program that wrote it{by}, or a \
         newer one; nothing was changed"
    )]
    Format {
        /// The store's file.
        path: String,
        /// Its format.
        found: u32,
        /// Who wrote it, in words, if that is known; else empty.
        by: String,
    },
    /// The file is not as a program of this kind writes it.
    #[error(
        "the store {path} is damaged: {reason}. Nothing was changed. `llcm store check` says what can be read of it; \
         `llcm store repair` keeps the file aside and goes on with that, `llcm store restore FILE` with a backup"
    )]
    Damaged {
        /// The store's file.
        path: String,
        /// What was found.
        reason: String,
    },
    /// There ought to be a store.
    #[error(
        "the store {path} is missing, and packages beside it say that there was one. Nothing was changed. \
         `llcm store restore FILE` puts a backup there, `llcm store repair` an empty one; `llcm clean` removes what \
         runs without one"
    )]
    Missing {
        /// The store's file.
        path: String,
    },
    /// The disk is full, or the user's part of it.
    #[error("{operation} the store {path}: no space is left on the disk; nothing was written")]
    NoSpace {
        /// What was tried ("open", "write").
        operation: &'static str,
        /// The store's file.
        path: String,
    },
    /// A stored value cannot be read.
    #[error(
        "the store holds a {what} that cannot be read: {reason}. Nothing was changed. `llcm store check` says what can \
         be read; `llcm store repair` keeps the file aside and goes on with that"
    )]
    Record {
        /// What kind of value, and which.
        what: String,
        /// Why.
        reason: String,
    },
    /// The database or the disk refused an operation.
    #[error("{operation} the store {path}: {reason}")]
    Io {
        /// What was tried ("open", "write").
        operation: &'static str,
        /// The store's file.
        path: String,
        /// What was reported.
        reason: String,
    },
}

impl StoreError {
    /// An error of reading or writing.
    pub(crate) fn io(operation: &'static str, path: &str, error: &std::io::Error) -> Self {
        let path = path.to_owned();
        if is_no_space(error) {
            return Self::NoSpace { operation, path };
        }
        Self::Io { operation, path, reason: error.to_string() }
    }
}

/// Whether an error says that there is no space for what was to be written.
#[must_use]
pub fn is_no_space(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}
