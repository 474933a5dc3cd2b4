//! The plain data that algorithms work on.

use llcm_names::{DcName, NameError};
use serde::{Deserialize, Serialize};

use crate::error::PlacementError;

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

/// A link between units of one service: every root speaks with every other end, leaves speak with roots only. A unit
/// that is on it with several interfaces stands there several times. Its weight follows from its ends: what is read is
/// weighed again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Ends")]
pub struct ServiceLink {
    weight: u64,
    roots: Vec<usize>,
    leaves: Vec<usize>,
}

/// What is read of a link.
#[derive(Deserialize)]
struct Ends {
    roots: Vec<usize>,
    #[serde(default)]
    leaves: Vec<usize>,
}

impl From<Ends> for ServiceLink {
    fn from(Ends { roots, leaves }: Ends) -> Self {
        Self::tree(roots, leaves)
    }
}

impl ServiceLink {
    /// The weight of a link of two ends.
    pub const LINE: u64 = 1 << 20;

    /// What a microsecond between two of its ends counts for, in parts of [`ServiceLink::LINE`]; at least 1.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.weight
    }

    /// The positions of its ends in the list of units, without leaves.
    #[must_use]
    pub fn roots(&self) -> &[usize] {
        &self.roots
    }

    /// Those of its leaves; only E-Trees have any.
    #[must_use]
    pub fn leaves(&self) -> &[usize] {
        &self.leaves
    }

    /// An E-Line. Units are named by their positions in the list of units.
    #[must_use]
    pub fn line(from: usize, to: usize) -> Self {
        Self::tree(vec![from, to], Vec::new())
    }

    /// An E-LAN.
    #[must_use]
    pub fn lan(ends: Vec<usize>) -> Self {
        Self::tree(ends, Vec::new())
    }

    /// An E-Tree. Whatever its shape, a link of n ends weighs as much as n - 1 E-Lines of the mean distance between
    /// those of its ends that speak with one another.
    #[must_use]
    pub fn tree(roots: Vec<usize>, leaves: Vec<usize>) -> Self {
        let count = |ends: &[usize]| u64::try_from(ends.len()).unwrap_or(u64::MAX);
        let (r, l) = (count(&roots), count(&leaves));
        let pairs = (r.saturating_mul(r.saturating_sub(1)) / 2).saturating_add(r.saturating_mul(l));
        let lines = r.saturating_add(l).saturating_sub(1);
        let weight = Self::LINE.saturating_mul(lines).checked_div(pairs).unwrap_or(0).max(1);
        Self { weight, roots, leaves }
    }
}

/// How far sites are from one another.
pub trait Delays: Send + Sync {
    /// The one-way delay in microseconds between two sites, by their positions in the list of sites; `None`: they do
    /// not reach one another. From a site to itself it is not asked. `latency` does not tell round trips of 2^40 us (12
    /// days) from longer ones.
    fn delay_us(&self, from: usize, to: usize) -> Option<u64>;

    /// From a site to each of all `sites` and back, by their positions; what is said of the site itself is not looked at.
    /// To be brought where it takes less than asking [`Delays::delay_us`] for each, and to say the same.
    fn round_trips_us(&self, of: usize, sites: usize) -> Vec<Option<u64>> {
        let trip = |to: usize| match to == of {
            true => Some(0),
            false => Some(self.delay_us(of, to)?.saturating_add(self.delay_us(to, of)?)),
        };
        (0..sites).map(trip).collect()
    }
}

impl<F: Fn(usize, usize) -> Option<u64> + Send + Sync> Delays for F {
    fn delay_us(&self, from: usize, to: usize) -> Option<u64> {
        self(from, to)
    }
}

/// All that an algorithm sees that looks at a service as a whole.
#[derive(Clone, Copy)]
pub struct ServiceView<'a> {
    /// The data centers, as in [`View::sites`].
    pub sites: &'a [Site],
    /// The units, in starting order.
    pub units: &'a [Unit],
    /// The links between them.
    pub links: &'a [ServiceLink],
    /// How far the data centers are from one another.
    pub delays: &'a dyn Delays,
    /// How many units were ever placed before the first of these, over all instances.
    pub turn: u64,
}

impl ServiceView<'_> {
    /// Whether all ends of links are units.
    pub(crate) fn check_links(&self) -> Result<(), PlacementError> {
        let units = self.units.len();
        let mut ends = self.links.iter().flat_map(|link| link.roots.iter().chain(&link.leaves));
        match ends.find(|unit| **unit >= units) {
            Some(&unit) => Err(PlacementError::UnknownUnit { unit, units }),
            None => Ok(()),
        }
    }
}

impl std::fmt::Debug for ServiceView<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceView")
            .field("sites", &self.sites)
            .field("units", &self.units)
            .field("links", &self.links)
            .field("turn", &self.turn)
            .finish_non_exhaustive()
    }
}

/// Where all units of a service go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// One answer for each unit, in their order.
    pub choices: Vec<Choice>,
    /// How good it is, from an algorithm that knows.
    pub quality: Option<Quality>,
}

/// How good an assignment is by its algorithm's own measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quality {
    /// There is no better one.
    Optimal,
    /// There may be better ones.
    Heuristic,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What was written by hand, or by another program, weighs what its ends say.
    #[test]
    fn the_weight_of_a_link_is_not_read() {
        let lan = ServiceLink::lan(vec![0, 1, 2]);
        for weight in ["0", "1", "18446744073709551615"] {
            let text = format!(r#"{{"weight": {weight}, "roots": [0, 1, 2], "leaves": []}}"#);
            assert_eq!(serde_json::from_str::<ServiceLink>(&text).unwrap(), lan);
        }
        assert_eq!(serde_json::from_str::<ServiceLink>(&serde_json::to_string(&lan).unwrap()).unwrap(), lan);
    }
}
