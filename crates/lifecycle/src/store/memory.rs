//! A store that forgets everything at the end of the process, for tests and for embedders who want no disk.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Change, Contents, Manner, Store, StoreError};

/// Keeps records in memory. Clone the `Arc` around it to hand the same records to a second orchestrator.
#[derive(Debug, Default)]
pub struct MemoryStore {
    contents: Mutex<Contents>,
}

impl From<Contents> for MemoryStore {
    /// A store that holds this already.
    fn from(contents: Contents) -> Self {
        Self { contents: Mutex::new(contents) }
    }
}

impl MemoryStore {
    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn load_all(&self) -> Result<Contents, StoreError> {
        Ok(self.lock().clone())
    }

    fn write(&self, changes: &[Change]) -> Result<(), StoreError> {
        let mut contents = self.lock();
        for change in changes {
            match change.clone() {
                Change::Append(instance, record) => {
                    contents.journals.entry(instance).or_default().push(*record);
                }
                Change::Forget(instance) => {
                    contents.journals.remove(&instance);
                }
                Change::PutService(service) => {
                    contents.services.insert(service.view.id, *service);
                }
                Change::RemoveService(id) => {
                    contents.services.remove(&id);
                }
                Change::PutRequest(request) => {
                    contents.requests.insert(request.view.id, *request);
                }
                Change::RemoveRequest(id) => {
                    contents.requests.remove(&id);
                }
                Change::PutCounters(counters) => contents.counters = counters,
                Change::PutTopology(changed) => contents.topology = changed.map(|it| *it),
            }
        }
        Ok(())
    }

    fn manner(&self) -> Manner {
        Manner { waits: false, ..Manner::default() }
    }
}
