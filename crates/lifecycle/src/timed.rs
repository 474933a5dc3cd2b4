//! Drivers whose every call has a deadline: a driver that hangs hangs nobody.
//!
//! A call that is given up, or whose answer is lost, may have its effect later: the instance it was for is noted
//! ([`Late`]), so that nothing of it is called gone too early and what comes afterwards is found.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use llcm_names::{InstanceId, Owner};
use llcm_runtime::{Backend, DriverError, DriverResult, ErrorKind, Progress, ProgressEvent};
use tokio::sync::{Notify, watch};

use crate::deadlines::Deadlines;

mod containers;
mod network;

use containers::TimedContainers;
use network::TimedNetwork;

/// The same drivers with deadlines.
pub(crate) fn backend(backend: Backend, deadlines: Deadlines, late: &Arc<Late>) -> Backend {
    let timing = Timing { deadlines, late: Arc::clone(late) };
    let (for_containers, for_network) = (timing.clone(), timing);
    backend.wrapped(
        |inner| Arc::new(TimedContainers::new(inner, for_containers.clone())),
        |inner| Arc::new(TimedNetwork::new(inner, for_network)),
    )
}

/// Instances of which something may still come that was given up.
#[derive(Debug, Default)]
pub(crate) struct Late {
    instances: Mutex<BTreeSet<InstanceId>>,
    /// Woken when there is another one.
    pub(crate) more: Notify,
}

impl Late {
    pub(crate) fn is_in_doubt(&self, instance: InstanceId) -> bool {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner).contains(&instance)
    }

    pub(crate) fn clear(&self) {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn note(&self, owner: &Owner) {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner).insert(owner.instance);
        self.more.notify_one();
    }
}

/// How long calls may take, and where those are noted that took longer.
#[derive(Debug, Clone)]
pub(super) struct Timing {
    deadlines: Deadlines,
    late: Arc<Late>,
}

/// What is called, for the message.
#[derive(Debug, Clone, Copy)]
struct Called<'a> {
    operation: &'static str,
    target: &'a str,
}

impl Timing {
    /// A question.
    async fn look<T>(
        &self,
        operation: &'static str,
        target: &str,
        call: impl Future<Output = DriverResult<T>>,
    ) -> DriverResult<T> {
        let called = Called { operation, target };
        within(self.deadlines.look, "look_deadline", called, call).await
    }

    /// A change of something that an instance has.
    async fn change<T>(
        &self,
        owner: &Owner,
        operation: &'static str,
        target: &str,
        more: Duration,
        call: impl Future<Output = DriverResult<T>>,
    ) -> DriverResult<T> {
        let called = Called { operation, target };
        let limit = self.deadlines.change.saturating_add(more);
        let result = within(limit, "change_deadline", called, call).await;
        self.note(owner, result.as_ref().err());
        result
    }

    /// A change of many things.
    async fn network<T>(
        &self,
        operation: &'static str,
        target: &str,
        call: impl Future<Output = DriverResult<T>>,
    ) -> DriverResult<T> {
        within(self.deadlines.network, "network_deadline", Called { operation, target }, call).await
    }

    /// Something that may take any time as long as it tells that it moves on.
    async fn moving<T, F: Future<Output = DriverResult<T>>>(
        &self,
        operation: &'static str,
        target: &str,
        mut moves: watch::Receiver<()>,
        call: F,
    ) -> DriverResult<T> {
        let limit = self.deadlines.image;
        let mut call = std::pin::pin!(call);
        loop {
            let silence = async {
                tokio::select! {
                    biased;
                    Ok(()) = moves.changed() => false,
                    () = tokio::time::sleep(limit) => true,
                }
            };
            tokio::select! {
                biased;
                result = &mut call => return result,
                silent = silence => if silent {
                    return Err(too_late(limit, "image_deadline", Called { operation, target }));
                },
            }
        }
    }

    /// An engine that did not answer may have heard.
    fn note(&self, owner: &Owner, error: Option<&DriverError>) {
        if error.is_some_and(|error| error.kind == ErrorKind::Unavailable) {
            self.late.note(owner);
        }
    }
}

async fn within<T>(
    limit: Duration,
    setting: &str,
    called: Called<'_>,
    call: impl Future<Output = DriverResult<T>>,
) -> DriverResult<T> {
    tokio::time::timeout(limit, call).await.unwrap_or_else(|_| Err(too_late(limit, setting, called)))
}

fn too_late(limit: Duration, setting: &str, called: Called<'_>) -> DriverError {
    let message = format!("no answer within {limit:?} (setting {setting}); it may take effect later");
    DriverError::new(ErrorKind::Unavailable, called.operation, called.target, message)
}

/// Passes progress on, and tells that there is some.
struct Moving<'a> {
    to: &'a dyn Progress,
    moved: watch::Sender<()>,
}

impl Progress for Moving<'_> {
    fn report(&self, event: ProgressEvent) {
        self.moved.send_replace(());
        self.to.report(event);
    }
}
