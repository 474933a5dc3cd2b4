//! The one public object: every operation of the life-cycle, each a few lines that hand over to the module
//! that does it.

use std::sync::Arc;

use llcm_graph::Graph;
use llcm_names::{ContainerName, InstanceId, RequestId, ServiceId};
use llcm_runtime::{CaptureEnd, ExecOutcome, ExecSpec, FrameSink, LinkCounts, LogOptions, OutputSink};
use tokio::sync::broadcast;

use crate::chains::{ChainRequest, ChainView, Which};
use crate::core::Core;
use crate::error::{ErrorCode, LifecycleError};
use crate::parts::Parts;
use crate::request::{
    Accepted, CaptureOptions, CaptureTarget, Event, InstanceView, InstantiateOptions, InterfaceTraffic,
    RequestView, ServiceRef, ServiceView, Upload,
};
use crate::settings::Dialect;
use crate::store::Store;
use crate::{
    admission, auto, chains, graph, inspect, instantiate, onboard, open, requests, terminate, traffic,
};

mod network;

/// The life-cycle manager. Every operation belongs to it, not to its caller: dropping the future of
/// `onboard`, `instantiate` or `terminate` changes nothing.
#[derive(Debug)]
pub struct Orchestrator {
    pub(crate) core: Arc<Core>,
}

impl Orchestrator {
    /// Opens the store in the data directory, prepares the network and recovers what an earlier run left:
    /// uploads and instances that were not finished are taken back, running instances go on, and what carries
    /// this installation's mark without being known is removed.
    ///
    /// # Errors
    /// `StoreFailed` when the data directory or the store cannot be used, `DiskFull`; the driver's code when an engine or
    /// the network does not answer.
    pub async fn open(parts: Parts) -> Result<Arc<Self>, LifecycleError> {
        let store = open::file_store(&parts).await?;
        Self::open_with(parts, store).await
    }

    /// As [`Orchestrator::open`], with a store of the caller's.
    ///
    /// # Errors
    /// As [`Orchestrator::open`].
    pub async fn open_with(parts: Parts, store: Arc<dyn Store>) -> Result<Arc<Self>, LifecycleError> {
        Ok(Arc::new(Self { core: open::open(parts, store).await? }))
    }

    /// Link properties that this host cannot emulate, each in words, as the network was last prepared.
    #[must_use]
    pub fn not_emulated(&self) -> Vec<String> {
        self.core.ground.not_emulated().into_iter().map(|lacking| lacking.what).collect()
    }

    /// A new empty file in the staging directory (same file system as the packages), for an upload.
    ///
    /// # Errors
    /// `DiskFull`, `ShuttingDown`; `StoreFailed` when it cannot be made.
    pub fn staging_file(&self) -> Result<tempfile::NamedTempFile, LifecycleError> {
        onboard::staging_file(&self.core)
    }

    /// Refuses what would leave less room on the data directory's disk than the settings want left; `more` is how
    /// many bytes are to be written.
    ///
    /// # Errors
    /// `DiskFull`; `StoreFailed` when the disk cannot be asked.
    pub fn check_room(&self, more: u64) -> Result<(), LifecycleError> {
        admission::check_room(&self.core, more)
    }

    /// Unpack, load, check, fetch images, reserve subnets, publish. All or nothing.
    ///
    /// # Errors
    /// `NotAPackage`, `TooLarge`, `DiskFull`, `InvalidPackage` (with all diagnostics), `ImageUnavailable`, `CannotPlan`,
    /// `EngineUnavailable`, `StoreFailed`, `ShuttingDown`.
    pub async fn onboard(
        self: &Arc<Self>,
        upload: Upload,
        dialect: Dialect,
    ) -> Result<ServiceView, LifecycleError> {
        self.core.owned(onboard::onboard(Arc::clone(&self.core), upload, dialect)).await
    }

    /// As [`Orchestrator::onboard`], and then what the settings `auto_delete` and `auto_deploy` of the dialect say;
    /// returns when that is over. What goes wrong with it is a warning of the service's, the codes being
    /// `auto-delete-failed` and `auto-deploy-failed`: the service is on-boarded all the same.
    ///
    /// # Errors
    /// As [`Orchestrator::onboard`].
    pub async fn accept(
        self: &Arc<Self>,
        upload: Upload,
        dialect: Dialect,
    ) -> Result<Accepted, LifecycleError> {
        self.core.owned(auto::accept(Arc::clone(&self.core), upload, dialect)).await
    }

    /// All services, oldest first.
    #[must_use]
    pub fn services(&self) -> Vec<ServiceView> {
        self.core.service_views()
    }

    /// One service.
    #[must_use]
    pub fn service(&self, id: ServiceId) -> Option<ServiceView> {
        let service = self.core.state().services.get(&id).cloned()?;
        Some(self.core.service_view(&service))
    }

    /// The service meant; several with that name: the newest.
    ///
    /// # Errors
    /// `NoService` when there is none at all, `ServiceNotFound`.
    pub fn resolve(&self, service: &ServiceRef) -> Result<ServiceView, LifecycleError> {
        self.core.resolve(service).map(|service| self.core.service_view(&service))
    }

    /// Forgets a service without instances and gives back its subnets.
    ///
    /// # Errors
    /// `ServiceNotFound`, `ServiceInUse`, `StoreFailed`, `ShuttingDown`.
    pub async fn remove_service(self: &Arc<Self>, id: ServiceId) -> Result<(), LifecycleError> {
        self.core.owned(onboard::remove(Arc::clone(&self.core), id)).await
    }

    /// Plans and records an instance and begins to make it; returns at once. The instance's id is in the view.
    ///
    /// # Errors
    /// `TooBusy`, `TooManyInstances`, `NoService`, `ServiceNotFound`, `CannotPlan` (with all diagnostics), `Unsupported`,
    /// `EngineUnavailable`, `StoreFailed`, `ShuttingDown`.
    /// What goes wrong later is the request's failure: see [`Orchestrator::wait`].
    pub async fn instantiate(self: &Arc<Self>, service: &ServiceRef) -> Result<RequestView, LifecycleError> {
        self.instantiate_with(service, InstantiateOptions::default()).await
    }

    /// As [`Orchestrator::instantiate`], with what is different for this instance.
    ///
    /// # Errors
    /// As [`Orchestrator::instantiate`].
    pub async fn instantiate_with(
        self: &Arc<Self>,
        service: &ServiceRef,
        options: InstantiateOptions,
    ) -> Result<RequestView, LifecycleError> {
        self.core.owned(instantiate::begin(Arc::clone(&self.core), service.clone(), options)).await
    }

    /// Begins to take an instance down; returns at once. Calls off a creation in progress, tries again what is
    /// stuck, and forgets an instance that failed.
    ///
    /// # Errors
    /// `InstanceNotFound`, `StoreFailed`, `ShuttingDown`. What goes wrong later is the request's failure.
    pub async fn terminate(self: &Arc<Self>, instance: InstanceId) -> Result<RequestView, LifecycleError> {
        self.core.owned(terminate::begin(Arc::clone(&self.core), instance)).await
    }

    /// Waits until a request is done.
    ///
    /// # Errors
    /// `RequestNotFound`; else what the request failed with: `StepFailed`, `Stuck`, ...
    pub async fn wait(&self, request: RequestId) -> Result<RequestView, LifecycleError> {
        let watch = self.core.state().requests.watch(request);
        requests::wait(watch.ok_or_else(|| {
            LifecycleError::new(ErrorCode::RequestNotFound, format!("there is no request {request}"))
        })?)
        .await
    }

    /// All requests, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestView> {
        self.core.state().requests.views()
    }

    /// One request.
    #[must_use]
    pub fn request(&self, id: RequestId) -> Option<RequestView> {
        self.core.state().requests.get(id).map(|record| record.view)
    }

    /// All instances that are not gone (Stuck ones included), and with `ended` also what is kept of those
    /// that failed lately; from records only, so that it is fast: container states are those last seen.
    #[must_use]
    pub fn instances(&self, ended: bool) -> Vec<InstanceView> {
        self.core.instance_views(ended)
    }

    /// One instance, its containers' states asked from the engine now.
    ///
    /// # Errors
    /// `EngineUnavailable` when the engine does not answer.
    pub async fn instance(&self, id: InstanceId) -> Result<Option<InstanceView>, LifecycleError> {
        inspect::instance(&self.core, id).await
    }

    /// The plan of an instance as the public JSON document of one instance.
    #[must_use]
    pub fn instance_plan(&self, id: InstanceId) -> Option<serde_json::Value> {
        inspect::plan(&self.core, id)
    }

    /// Data centers, links, and what the instances that live have on them; from records only.
    #[must_use]
    pub fn graph(&self) -> Graph {
        graph::graph(&self.core)
    }

    /// Runs a command in a container of an instance.
    ///
    /// # Errors
    /// `InstanceNotFound`, `ContainerNotFound`, `WrongState` when the container does not run, `Unsupported`,
    /// `StepFailed` when the command cannot be executed, `EngineUnavailable`.
    pub async fn exec(
        &self,
        instance: InstanceId,
        container: &ContainerName,
        spec: &ExecSpec,
        sink: &mut dyn OutputSink,
    ) -> Result<ExecOutcome, LifecycleError> {
        inspect::exec(&self.core, instance, container, spec, sink).await
    }

    /// The output of a container's own process.
    ///
    /// # Errors
    /// As [`Orchestrator::exec`].
    pub async fn logs(
        &self,
        instance: InstanceId,
        container: &ContainerName,
        options: LogOptions,
        sink: &mut dyn OutputSink,
    ) -> Result<(), LifecycleError> {
        inspect::logs(&self.core, instance, container, options, sink).await
    }

    /// The chains of an instance, in the order of their numbers.
    ///
    /// # Errors
    /// `InstanceNotFound`.
    pub fn chains(&self, instance: InstanceId) -> Result<Vec<ChainView>, LifecycleError> {
        chains::list(&self.core, instance)
    }

    /// Adds a chain to a running instance: frames of one of its interfaces that match go to another one. It is there
    /// when this returns.
    ///
    /// # Errors
    /// `InstanceNotFound`, `WrongState`, `ContainerNotFound`, `InvalidChain` (with the match's findings), `ChainExists`,
    /// `TooManyChains`, `CannotPlan`, `Unsupported`, `StepFailed`, `EngineUnavailable`, `StoreFailed`, `ShuttingDown`;
    /// then there is no chain.
    pub async fn add_chain(
        self: &Arc<Self>,
        instance: InstanceId,
        request: ChainRequest,
    ) -> Result<ChainView, LifecycleError> {
        self.core.owned(chains::add(Arc::clone(&self.core), instance, request)).await
    }

    /// Removes chains of an instance; returns those that were removed.
    ///
    /// # Errors
    /// `InstanceNotFound`, `ChainNotFound`, `WrongState`, `Unsupported`, `StepFailed`, `EngineUnavailable`,
    /// `StoreFailed`, `ShuttingDown`. What could be removed is gone then.
    pub async fn remove_chains(
        self: &Arc<Self>,
        instance: InstanceId,
        which: Which,
    ) -> Result<Vec<ChainView>, LifecycleError> {
        self.core.owned(chains::remove(Arc::clone(&self.core), instance, which)).await
    }

    /// What flowed at the interfaces of an instance.
    ///
    /// # Errors
    /// `InstanceNotFound`, `Unsupported`; `EngineUnavailable` when the network does not answer.
    pub async fn traffic(&self, instance: InstanceId) -> Result<Vec<InterfaceTraffic>, LifecycleError> {
        traffic::of_instance(&self.core, instance).await
    }

    /// What flowed over the links between data centers, in each direction.
    ///
    /// # Errors
    /// As [`Orchestrator::traffic`].
    pub async fn link_traffic(&self) -> Result<Vec<LinkCounts>, LifecycleError> {
        traffic::of_links(&self.core).await
    }

    /// Hands frames to `sink` as they pass an interface or a link, until it has enough, the time is over or what is
    /// looked at is gone. Dropping the future ends it.
    ///
    /// # Errors
    /// `InstanceNotFound`, `PointNotFound`, `WrongState` when it is not there now, `Unsupported`, `TooBusy`.
    pub async fn capture(
        &self,
        target: &CaptureTarget,
        options: CaptureOptions,
        sink: &mut dyn FrameSink,
    ) -> Result<CaptureEnd, LifecycleError> {
        traffic::capture(&self.core, target, options, sink).await
    }

    /// What happens from now on. A watcher that falls behind by thousands of events misses some.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.core.events.subscribe()
    }

    /// Refuses new work and waits for what is going on, then closes the store. With `stop_instances` also takes
    /// all instances down and removes the emulated network; without, they run on and are found by the next
    /// start. It is done once: further calls wait for the first one and return what came of it.
    ///
    /// # Errors
    /// `ShuttingDown` when instances are to be stopped after a shutdown that let them run on; `Stuck` when an instance or the network could not be removed; all errors are in it.
    pub async fn shutdown(self: &Arc<Self>, stop_instances: bool) -> Result<(), LifecycleError> {
        open::shutdown(&self.core, stop_instances).await
    }
}
