//! The plain data that algorithms work on.

use llcm_names::{DcName, NameError};
use serde::{Deserialize, Serialize};

/// An amount of resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Demand {
    /// Thousandths of a CPU.
    pub cpu_milli: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
}

/// A data center as it was set up. `None`: not limited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataCenter {
    /// Its name.
    pub name: DcName,
    /// Thousandths of a CPU that it offers.
    pub cpu_milli: Option<u64>,
    /// Bytes of memory that it offers.
    pub memory_bytes: Option<u64>,
}

/// A data center and what it carries already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// The data center.
    pub datacenter: DataCenter,
    /// What the units of all live instances take of it.
    pub load: Demand,
    /// How many those are.
    pub units: u64,
}

impl Site {
    /// A data center without limits and load.
    ///
    /// # Errors
    /// When the text is no data center's name.
    pub fn named(name: &str) -> Result<Self, NameError> {
        let name = DcName::parse(name)?;
        Ok(Self {
            datacenter: DataCenter { name, cpu_milli: None, memory_bytes: None },
            load: Demand::default(),
            units: 0,
        })
    }
}

/// A unit that is to be placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// The name of its container, SSIID included (`vnf0.vdu01.0`).
    pub name: String,
    /// The function it belongs to; empty when it is not part of any.
    pub vnf_id: String,
    /// What it takes.
    pub demand: Demand,
    /// What it is near to, if it is a service access point. Units of functions come before these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_point: Option<AccessPoint>,
}

/// The neighbours of a service access point, by the names of their units.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AccessPoint {
    /// Those at the other ends of its E-Lines.
    pub on_lines: Vec<String>,
    /// Those on its E-LANs and E-Trees.
    pub on_lans: Vec<String>,
}

impl Unit {
    /// A unit of which nothing but the name is known.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), vnf_id: String::new(), demand: Demand::default(), access_point: None }
    }
}

/// A unit that was placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// The unit.
    pub unit: Unit,
    /// Where.
    pub datacenter: DcName,
    /// What the algorithm wants to be known about it.
    pub warning: Option<String>,
}

/// What an algorithm sees.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The data centers, in the order of the topology file, with what earlier instances take of them. At
    /// least one.
    pub sites: &'a [Site],
    /// The units of this instance that were placed so far, in order.
    pub placed: &'a [Placed],
    /// How many units were ever placed before this one, over all instances.
    pub turn: u64,
}

impl View<'_> {
    /// Where the first of some units was placed that was.
    #[must_use]
    pub fn place_of(&self, names: &[String]) -> Option<&DcName> {
        names.iter().find_map(|name| {
            let placed = self.placed.iter().find(|placed| placed.unit.name == *name)?;
            Some(&placed.datacenter)
        })
    }
}

/// An algorithm's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Where the unit goes: one of the view's data centers.
    pub datacenter: DcName,
    /// What the user should know about it.
    pub warning: Option<String>,
}

impl Choice {
    /// An answer without a warning.
    #[must_use]
    pub fn new(site: &Site) -> Self {
        Self { datacenter: site.datacenter.name.clone(), warning: None }
    }
}
