//! Requests: what was asked for, how it stands, and waiting for the end of it.

use std::collections::BTreeMap;

use llcm_names::{InstanceId, RequestId, ServiceId};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::clock::Timestamp;
use crate::error::{ErrorCode, LifecycleError};
use crate::request::{RequestStatus, RequestType, RequestView};
use crate::store::Change;

/// Ended requests that are kept; older ones are forgotten.
const KEPT: usize = 1000;

/// A request as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// What clients see.
    pub view: RequestView,
    /// What it failed with.
    pub failure: Option<Failure>,
}

/// An error as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// What a program branches on.
    pub code: ErrorCode,
    /// For people, complete.
    pub message: String,
    /// Further errors of the same operation.
    pub others: Vec<String>,
}

impl From<&LifecycleError> for Failure {
    fn from(error: &LifecycleError) -> Self {
        Self { code: error.code, message: error.message.clone(), others: error.others.clone() }
    }
}

impl From<Failure> for LifecycleError {
    fn from(failure: Failure) -> Self {
        Self { code: failure.code, message: failure.message, diagnostics: Vec::new(), others: failure.others }
    }
}

impl RequestRecord {
    pub(crate) fn new(
        id: RequestId,
        request_type: RequestType,
        created_at: Timestamp,
        instance_id: InstanceId,
        service_id: ServiceId,
    ) -> Self {
        let status = RequestStatus::New;
        let view = RequestView { id, request_type, status, created_at, instance_id, service_id, error: None };
        Self { view, failure: None }
    }

    /// The same request, at work.
    #[must_use]
    pub(crate) fn started(mut self) -> Self {
        self.view.status = match self.view.request_type {
            RequestType::Create => RequestStatus::Instantiating,
            RequestType::Terminate => RequestStatus::Terminating,
        };
        self
    }

    /// The same request, ended.
    #[must_use]
    pub(crate) fn ended(mut self, outcome: Result<(), &LifecycleError>) -> Self {
        match outcome {
            Ok(()) => self.view.status = RequestStatus::Ready,
            Err(error) => {
                self.view.status = RequestStatus::Error;
                self.view.error = Some(error.message.clone());
                self.failure = Some(error.into());
            }
        }
        self
    }

    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.view.status, RequestStatus::Ready | RequestStatus::Error)
    }
}

/// All requests that are known, with those who wait for them.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    known: BTreeMap<RequestId, watch::Sender<RequestRecord>>,
}

impl Requests {
    pub(crate) fn load(records: BTreeMap<RequestId, RequestRecord>) -> Self {
        let known = records.into_iter().map(|(id, record)| (id, watch::Sender::new(record))).collect();
        Self { known }
    }

    /// Adds a request or replaces what is known of it; wakes those who wait.
    pub(crate) fn put(&mut self, record: RequestRecord) {
        match self.known.get(&record.view.id) {
            Some(sender) => {
                sender.send_replace(record);
            }
            None => {
                self.known.insert(record.view.id, watch::Sender::new(record));
            }
        }
    }

    pub(crate) fn get(&self, id: RequestId) -> Option<RequestRecord> {
        self.known.get(&id).map(|sender| sender.borrow().clone())
    }

    pub(crate) fn watch(&self, id: RequestId) -> Option<watch::Receiver<RequestRecord>> {
        self.known.get(&id).map(watch::Sender::subscribe)
    }

    /// Those that are at work.
    pub(crate) fn unended(&self) -> Vec<RequestRecord> {
        let all = self.known.values().map(|sender| sender.borrow().clone());
        all.filter(|record| !record.has_ended()).collect()
    }

    /// All, oldest first.
    pub(crate) fn views(&self) -> Vec<RequestView> {
        let mut views: Vec<_> = self.known.values().map(|sender| sender.borrow().view.clone()).collect();
        views.sort_by_key(|view| (view.created_at, view.id));
        views
    }

    /// Forgets the oldest ended requests beyond the number that is kept; returns what to do in the store.
    pub(crate) fn prune(&mut self) -> Vec<Change> {
        let excess = self.known.len().saturating_sub(KEPT);
        // Looked at in tens, so that not every new request sorts all of them.
        if excess < 10 {
            return Vec::new();
        }
        let mut ended: Vec<_> = self
            .known
            .iter()
            .filter(|(_, sender)| sender.borrow().has_ended())
            .map(|(id, sender)| (sender.borrow().view.created_at, *id))
            .collect();
        ended.sort_unstable();
        let forgotten = ended.into_iter().take(excess).map(|(_, id)| id);
        forgotten
            .map(|id| {
                self.known.remove(&id);
                Change::RemoveRequest(id)
            })
            .collect()
    }
}

/// Waits until a request has ended.
pub(crate) async fn wait(
    mut receiver: watch::Receiver<RequestRecord>,
) -> Result<RequestView, LifecycleError> {
    // An error says that the request was forgotten, or that the server ended first.
    let ended = receiver.wait_for(RequestRecord::has_ended).await.ok().map(|record| record.clone());
    let record = ended.unwrap_or_else(|| receiver.borrow().clone());
    match record.failure {
        Some(failure) => Err(failure.into()),
        None if record.has_ended() => Ok(record.view),
        None => Err(LifecycleError::new(
            ErrorCode::ShuttingDown,
            format!("request {} did not end before the server did", record.view.id),
        )),
    }
}
