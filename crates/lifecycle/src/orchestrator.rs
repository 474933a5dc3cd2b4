//! The one public object.

use std::path::PathBuf;
use std::sync::Arc;

use llcm_names::{ContainerName, InstanceId, RequestId, ServiceId};
use llcm_runtime::{Backend, ExecOutcome, ExecSpec, LogOptions, OutputSink};
use llcm_topology::Topology;
use tokio::sync::broadcast;

use crate::clock::{Clock, IdSource};
use crate::error::LifecycleError;
use crate::request::{Event, InstanceView, RequestView, ServiceRef, ServiceView, Upload};
use crate::settings::{Dialect, Settings};

/// What an orchestrator is made of. Further fields (store, placement) are added here.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "holds trait objects")]
pub struct Parts {
    /// The data directory: store, unpacked packages, staging.
    pub data_dir: PathBuf,
    /// What can be set.
    pub settings: Settings,
    /// Data centers and links.
    pub topology: Topology,
    /// The drivers.
    pub backend: Backend,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub ids: Arc<dyn IdSource>,
}

/// The life-cycle manager. Every operation belongs to it, not to its caller: dropping the future of
/// `instantiate` or `terminate` changes nothing.
#[derive(Debug)]
pub struct Orchestrator {}

#[expect(clippy::missing_errors_doc, reason = "skeleton")]
#[expect(clippy::unimplemented, reason = "skeleton")]
#[expect(unused_variables, reason = "skeleton")]
impl Orchestrator {
    /// Opens the store, prepares the network and recovers what an earlier run left.
    pub async fn open(parts: Parts) -> Result<Arc<Self>, LifecycleError> {
        unimplemented!()
    }
    /// A new empty file in the staging directory (same file system as the packages), for an upload.
    pub fn staging_file(&self) -> Result<tempfile::NamedTempFile, LifecycleError> {
        unimplemented!()
    }
    /// Unpack, load, check, fetch images, reserve subnets, publish. All or nothing.
    pub async fn onboard(
        self: &Arc<Self>,
        upload: Upload,
        dialect: Dialect,
    ) -> Result<ServiceView, LifecycleError> {
        unimplemented!()
    }
    /// All services, oldest first.
    pub fn services(&self) -> Vec<ServiceView> {
        unimplemented!()
    }
    /// One service.
    pub fn service(&self, id: ServiceId) -> Option<ServiceView> {
        unimplemented!()
    }
    /// The service meant; several with that name: the newest.
    pub fn resolve(&self, service: &ServiceRef) -> Result<ServiceView, LifecycleError> {
        unimplemented!()
    }
    /// Forgets a service without instances and gives back its subnets.
    pub async fn remove_service(self: &Arc<Self>, id: ServiceId) -> Result<(), LifecycleError> {
        unimplemented!()
    }
    /// Plans and records an instance and begins to make it; returns at once. The instance's id is in the view.
    pub async fn instantiate(self: &Arc<Self>, service: &ServiceRef) -> Result<RequestView, LifecycleError> {
        unimplemented!()
    }
    /// Begins to take an instance down; returns at once.
    pub async fn terminate(self: &Arc<Self>, instance: InstanceId) -> Result<RequestView, LifecycleError> {
        unimplemented!()
    }
    /// Waits until a request is done. Fails with what the request failed with.
    pub async fn wait(&self, request: RequestId) -> Result<RequestView, LifecycleError> {
        unimplemented!()
    }
    /// All requests, oldest first.
    pub fn requests(&self) -> Vec<RequestView> {
        unimplemented!()
    }
    /// One request.
    pub fn request(&self, id: RequestId) -> Option<RequestView> {
        unimplemented!()
    }
    /// All instances that are not gone (Stuck ones included), and with `ended` also what is kept of those
    /// that failed lately; from records only, so that it is fast: container states are those last seen.
    pub fn instances(&self, ended: bool) -> Vec<InstanceView> {
        unimplemented!()
    }
    /// One instance, its containers' states asked from the engine now.
    pub async fn instance(&self, id: InstanceId) -> Result<Option<InstanceView>, LifecycleError> {
        unimplemented!()
    }
    /// The plan of an instance as the public JSON document of one instance.
    pub fn instance_plan(&self, id: InstanceId) -> Option<serde_json::Value> {
        unimplemented!()
    }
    /// Runs a command in a container of an instance.
    pub async fn exec(
        &self,
        instance: InstanceId,
        container: &ContainerName,
        spec: &ExecSpec,
        sink: &mut dyn OutputSink,
    ) -> Result<ExecOutcome, LifecycleError> {
        unimplemented!()
    }
    /// The output of a container's own process.
    pub async fn logs(
        &self,
        instance: InstanceId,
        container: &ContainerName,
        options: LogOptions,
        sink: &mut dyn OutputSink,
    ) -> Result<(), LifecycleError> {
        unimplemented!()
    }
    /// What happens from now on.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        unimplemented!()
    }
    /// Refuses new work and waits for what is going on. With `stop_instances` also takes all instances down
    /// and removes the emulated network.
    pub async fn shutdown(self: &Arc<Self>, stop_instances: bool) -> Result<(), LifecycleError> {
        unimplemented!()
    }
}
