//! Where records are kept: a trait, one file on disk behind it ([`file`](mod@file)), memory for tests and experiments
//! ([`memory`]), and the writer that gathers what many tasks write into few transactions (`writer`).
//!
//! What is stored is listed in [`Change`]; every value carries a version (`Versioned`), and the store
//! as a whole a format number. A reader refuses what is newer than itself and never empties a store.

use std::collections::BTreeMap;

use llcm_names::{InstanceId, RequestId, ServiceId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::catalog::ServiceRecord;
use crate::journal::Record;
use crate::requests::RequestRecord;

pub mod file;
pub mod memory;
pub(crate) mod writer;

/// The format of the store that this program reads and writes.
pub const FORMAT: u32 = 1;

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
}

/// All that is stored.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Contents {
    /// The counters.
    pub counters: Counters,
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
        "the store {path} has format {found}, this program knows {FORMAT}: run the program that wrote it, or a newer one"
    )]
    Format {
        /// The store's file.
        path: String,
        /// Its format.
        found: u32,
    },
    /// A stored value cannot be read.
    #[error("the store holds a {what} that cannot be read: {reason}")]
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
