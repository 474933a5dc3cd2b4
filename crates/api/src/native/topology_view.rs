//! The JSON of links, data centers and schedules.

use std::collections::BTreeMap;

use llcm_lifecycle::schedules::{ChangeView, Outcome, ScheduleState, ScheduleView};
use llcm_lifecycle::topology::{DatacenterReport, LinkReport};
use llcm_names::{DcName, InstanceId, ScheduleId};
use llcm_topology::{LinkEnd, LinkProperties};
use serde::{Deserialize, Serialize};

use crate::moment::Moment;

/// See [`LinkReport`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Whether it is to carry traffic.
    pub up: bool,
    /// Whether the host's link does; `null`: no instance lives, and the host has none, or it could not be asked.
    pub carries: Option<bool>,
    /// What leaves its first end, and what leaves the second.
    pub directions: [Direction; 2],
    /// What the host cannot emulate of it, in words.
    pub not_emulated: Vec<String>,
    /// The schedule that changes it now.
    pub schedule: Option<ScheduleId>,
}

/// One direction of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Direction {
    /// The data center that it leaves.
    pub from: DcName,
    /// The one that it reaches.
    pub to: DcName,
    /// Bits per second; `null`: not limited.
    pub bandwidth_bps: Option<u64>,
    /// Microseconds.
    pub delay_us: u64,
    /// Microseconds.
    pub jitter_us: u64,
    /// Lost packets per million.
    pub loss_ppm: u32,
    /// Bytes; `null`: 9000.
    pub mtu: Option<u32>,
    /// Packets that may wait; `null`: as the rate needs.
    pub queue_packets: Option<u32>,
    /// How that is emulated, in words; `null`: the host has no link, or could not be asked.
    pub emulated_by: Option<String>,
}

impl From<LinkReport> for Link {
    fn from(report: LinkReport) -> Self {
        let LinkReport { link, carries, emulated_by, not_emulated, schedule } = report;
        let llcm_topology::Link { name, a, b, up } = link;
        let [a_by, b_by] = emulated_by.map_or([None, None], |both| both.map(Some));
        let directions = [Direction::new(&a, &b, a_by), Direction::new(&b, &a, b_by)];
        Self { name, up, carries, directions, not_emulated, schedule }
    }
}

impl Direction {
    fn new(from: &LinkEnd, to: &LinkEnd, emulated_by: Option<String>) -> Self {
        let LinkProperties { bandwidth_bps, delay_us, jitter_us, loss_ppm, mtu, queue_packets } = from.egress;
        let (from, to) = (from.dc.clone(), to.dc.clone());
        Self { from, to, bandwidth_bps, delay_us, jitter_us, loss_ppm, mtu, queue_packets, emulated_by }
    }
}

/// See [`DatacenterReport`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Datacenter {
    /// Its name.
    pub name: DcName,
    /// The author's own keys and values.
    pub metadata: BTreeMap<String, String>,
    /// Thousandths of a CPU that it offers; `null`: not limited.
    pub cpu_milli: Option<u64>,
    /// Bytes that it offers; `null`: not limited.
    pub memory_bytes: Option<u64>,
    /// The container engine of it.
    pub engine: String,
    /// The live instances that have something in it.
    pub instances: Vec<InstanceId>,
}

impl From<DatacenterReport> for Datacenter {
    fn from(report: DatacenterReport) -> Self {
        let DatacenterReport { datacenter, engine, instances } = report;
        // The engine as it is, not as it is asked for.
        let llcm_topology::DataCenter { name, metadata, capacity, engine: _ } = datacenter;
        let llcm_topology::Capacity { cpu_milli, memory_bytes } = capacity;
        Self { name, metadata, cpu_milli, memory_bytes, engine: engine.to_string(), instances }
    }
}

/// See [`ScheduleView`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Its id.
    pub id: ScheduleId,
    /// What it is called.
    pub name: Option<String>,
    /// `running`, `done`, `stopped`, `failed`.
    pub state: String,
    /// When it began; all its other times count from there.
    pub began_at: Moment,
    /// Why it failed.
    pub error: Option<String>,
    /// The links that it changes.
    pub links: Vec<String>,
    /// Changes in all.
    pub total: usize,
    /// Changes that were made.
    pub made: usize,
    /// By how much the latest of them came after its time, in microseconds.
    pub worst_delay_us: Option<u64>,
    /// The mean of it.
    pub mean_delay_us: Option<u64>,
    /// Its changes in the order of time; not there in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<ScheduledChange>,
}

/// See [`ChangeView`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledChange {
    /// When it is due, in microseconds after the beginning.
    pub at_us: u64,
    /// The link.
    pub link: String,
    /// What becomes different, in words.
    pub change: String,
    /// When it was begun, in microseconds after the beginning; `null`: not yet.
    pub begun_us: Option<u64>,
    /// When the host had it; `null`: not yet, or it could not be made.
    pub made_us: Option<u64>,
}

impl From<ScheduleView> for Schedule {
    fn from(view: ScheduleView) -> Self {
        let ScheduleView {
            id,
            name,
            state,
            began_at,
            error,
            links,
            total,
            made,
            worst_delay_us,
            mean_delay_us,
            changes,
        } = view;
        let state = match state {
            ScheduleState::Running => "running",
            ScheduleState::Done => "done",
            ScheduleState::Stopped => "stopped",
            ScheduleState::Failed => "failed",
        };
        Self {
            id,
            name,
            state: state.to_owned(),
            began_at: began_at.into(),
            error,
            links,
            total,
            made,
            worst_delay_us,
            mean_delay_us,
            changes: changes.into_iter().map(ScheduledChange::from).collect(),
        }
    }
}

impl From<ChangeView> for ScheduledChange {
    fn from(view: ChangeView) -> Self {
        let ChangeView { at_us, link, change, outcome } = view;
        let (begun_us, made_us) = match outcome {
            Some(Outcome { begun_us, made_us }) => (Some(begun_us), made_us),
            None => (None, None),
        };
        Self { at_us, link, change, begun_us, made_us }
    }
}
