//! Links, data centers and schedules of an orchestrator.

use std::sync::Arc;

use llcm_names::ScheduleId;
use llcm_topology::{Change as TopologyChange, DataCenter, Link, Schedule, Topology};

use super::Orchestrator;
use crate::error::LifecycleError;
use crate::schedules::{self, ScheduleView};
use crate::topology::{self, DatacenterReport, LinkReport};

impl Orchestrator {
    /// Data centers and links as they are now, changes included.
    #[must_use]
    pub fn topology(&self) -> Arc<Topology> {
        self.core.topology.get()
    }

    /// The links between data centers, in their order, as they are asked for and as they are.
    ///
    /// # Errors
    /// The driver's code when the network does not answer.
    pub async fn links(&self) -> Result<Vec<LinkReport>, LifecycleError> {
        topology::links(&self.core).await
    }

    /// A link of a topology that a change came to: as [`Orchestrator::links`], and without what cannot be seen when the
    /// network does not answer, for the change is made all the same.
    pub async fn link_now(&self, link: &Link) -> LinkReport {
        topology::link(&self.core, link).await
    }

    /// The data centers, in the order of placement.
    #[must_use]
    pub fn datacenters(&self) -> Vec<DatacenterReport> {
        topology::datacenters(&self.core)
    }

    /// A data center of a topology that a change came to.
    #[must_use]
    pub fn datacenter_now(&self, datacenter: &DataCenter) -> DatacenterReport {
        topology::datacenter(&self.core, datacenter)
    }

    /// Changes links and data centers, all as told or nothing of it; instances live on. Paths follow at once, and what
    /// has none left carries nothing. The changes outlive the server.
    ///
    /// # Errors
    /// `LinkNotFound`, `DatacenterNotFound`, `InvalidChange`, `TopologyConflict` (with a list of what forbids it),
    /// `NotEmulated` (likewise), `StoreFailed`, `DiskFull`, `ShuttingDown`; the driver's code when it fails.
    pub async fn change_topology(
        self: &Arc<Self>,
        changes: Vec<TopologyChange>,
    ) -> Result<Arc<Topology>, LifecycleError> {
        let made = self.core.owned(topology::change::change(Arc::clone(&self.core), changes)).await?;
        Ok(made.topology)
    }

    /// Begins to change links over time; returns at once. It ends with the server: changes that were made stay.
    ///
    /// # Errors
    /// `LinkNotFound` and `InvalidChange` when not all changes can be made one after the other, `TopologyConflict` when
    /// another schedule has one of its links or too many run, `ShuttingDown`.
    pub fn play(&self, schedule: Schedule) -> Result<ScheduleView, LifecycleError> {
        schedules::begin(&self.core, schedule)
    }

    /// The schedules that run and those that ran lately, oldest first, without their changes.
    #[must_use]
    pub fn schedules(&self) -> Vec<ScheduleView> {
        self.core.schedules.views()
    }

    /// A schedule with its changes, and what came of each.
    ///
    /// # Errors
    /// `ScheduleNotFound`.
    pub fn schedule(&self, id: ScheduleId) -> Result<ScheduleView, LifecycleError> {
        self.core.schedules.view(id)
    }

    /// Waits until a schedule has ended.
    ///
    /// # Errors
    /// `ScheduleNotFound`.
    pub async fn schedule_ended(&self, id: ScheduleId) -> Result<ScheduleView, LifecycleError> {
        self.core.schedules.ended(id).await
    }

    /// Stops a schedule that runs, and forgets one that has ended. Links stay as they are.
    ///
    /// # Errors
    /// `ScheduleNotFound`.
    pub async fn stop_schedule(&self, id: ScheduleId) -> Result<ScheduleView, LifecycleError> {
        self.core.schedules.stop(id).await
    }
}
