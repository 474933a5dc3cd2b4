//! What is free in data centers, and which of them are asked for more.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter, Result};

use crate::model::{DataCenter, Demand, Placed, Site};

/// What is free in a data center. `None`: not limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Thousandths of a CPU.
    pub cpu_milli: Option<u64>,
    /// Bytes of memory.
    pub memory_bytes: Option<u64>,
}

impl Room {
    /// What live instances leave of a data center; nothing where they take more than there is, because its capacity
    /// was larger before.
    #[must_use]
    pub fn of(site: &Site) -> Self {
        let left = |capacity: Option<u64>, load| capacity.map(|capacity| capacity.saturating_sub(load));
        Self {
            cpu_milli: left(site.datacenter.cpu_milli, site.load.cpu_milli),
            memory_bytes: left(site.datacenter.memory_bytes, site.load.memory_bytes),
        }
    }

    /// Whether a demand fits into it. One of nothing always does.
    #[must_use]
    pub fn fits(&self, demand: Demand) -> bool {
        self.cpu_milli.is_none_or(|free| demand.cpu_milli <= free)
            && self.memory_bytes.is_none_or(|free| demand.memory_bytes <= free)
    }

    /// Takes a demand out of it.
    pub fn take(&mut self, demand: Demand) {
        let take = |free: Option<u64>, demand| free.map(|free| free.saturating_sub(demand));
        self.cpu_milli = take(self.cpu_milli, demand.cpu_milli);
        self.memory_bytes = take(self.memory_bytes, demand.memory_bytes);
    }

    /// Puts back what was taken.
    pub fn give_back(&mut self, demand: Demand) {
        let give = |free: Option<u64>, demand| free.map(|free| free.saturating_add(demand));
        self.cpu_milli = give(self.cpu_milli, demand.cpu_milli);
        self.memory_bytes = give(self.memory_bytes, demand.memory_bytes);
    }
}

/// A data center that a placement asks for more than it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overload {
    /// The data center.
    pub datacenter: DataCenter,
    /// What the placed units ask of it.
    pub demanded: Demand,
    /// What live instances have left of it.
    pub free: Room,
}

impl Display for Overload {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Demand { cpu_milli: cpu, memory_bytes: memory } = self.demanded;
        let mut words = Vec::new();
        if let (Some(free), Some(capacity)) = (self.free.cpu_milli, self.datacenter.cpu_milli)
            && cpu > free
        {
            words.push(format!(
                "{} CPUs demanded, {} free of {}",
                thousandths(cpu),
                thousandths(free),
                thousandths(capacity)
            ));
        }
        if let (Some(free), Some(capacity)) = (self.free.memory_bytes, self.datacenter.memory_bytes)
            && memory > free
        {
            words.push(format!("{memory} bytes of memory demanded, {free} free of {capacity}"));
        }
        write!(f, "{}: {}", self.datacenter.name, words.join("; "))
    }
}

/// A number of CPUs, exactly.
fn thousandths(milli: u64) -> String {
    let text = format!("{}.{:03}", milli / 1000, milli % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The data centers that a placement asks for more than is free there, in their order. One of which nothing is asked is
/// not among them, even when it is overloaded by what lives there.
#[must_use]
pub fn overloads(sites: &[Site], placed: &[Placed]) -> Vec<Overload> {
    let mut demanded = BTreeMap::new();
    for Placed { unit, datacenter, .. } in placed {
        let sum: &mut Demand = demanded.entry(datacenter).or_default();
        sum.cpu_milli = sum.cpu_milli.saturating_add(unit.demand.cpu_milli);
        sum.memory_bytes = sum.memory_bytes.saturating_add(unit.demand.memory_bytes);
    }
    let overload = |site: &Site| {
        let demanded = demanded.get(&site.datacenter.name).copied()?;
        let free = Room::of(site);
        (!free.fits(demanded)).then(|| Overload { datacenter: site.datacenter.clone(), demanded, free })
    };
    sites.iter().filter_map(overload).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::place_all;
    use crate::first::First;
    use crate::model::Unit;

    fn site(name: &str, cpu_milli: Option<u64>, memory_bytes: Option<u64>) -> Site {
        let mut site = Site::named(name).unwrap();
        (site.datacenter.cpu_milli, site.datacenter.memory_bytes) = (cpu_milli, memory_bytes);
        site
    }

    #[test]
    fn what_is_asked_beyond_what_is_free_is_told_per_resource() {
        let mut full = site("dc1", Some(2500), Some(100));
        full.load = Demand { cpu_milli: 1000, memory_bytes: 50 };
        let unit =
            |cpu_milli, memory_bytes| Unit { demand: Demand { cpu_milli, memory_bytes }, ..Unit::named("a") };
        let told = |units: &[Unit]| -> Vec<String> {
            let sites = [full.clone(), site("dc2", None, None)];
            let placed = place_all(&First, &sites, units, 0).unwrap();
            overloads(&sites, &placed).iter().map(ToString::to_string).collect()
        };
        assert_eq!(told(&[unit(1500, 50)]), Vec::<String>::new());
        assert_eq!(told(&[unit(1000, 50), unit(501, 0)]), ["dc1: 1.501 CPUs demanded, 1.5 free of 2.5"]);
        assert_eq!(
            told(&[unit(2000, 51)]),
            ["dc1: 2 CPUs demanded, 1.5 free of 2.5; 51 bytes of memory demanded, 50 free of 100"]
        );
        assert_eq!(told(&[unit(u64::MAX, 0), unit(u64::MAX, 0)]).len(), 1, "sums do not overflow");
    }

    #[test]
    fn a_data_center_that_became_too_small_takes_what_asks_for_nothing() {
        let mut small = site("dc1", Some(1000), None);
        small.load = Demand { cpu_milli: 4000, memory_bytes: 0 };
        let free = Room::of(&small);
        assert_eq!(free.cpu_milli, Some(0));
        assert!(free.fits(Demand::default()) && !free.fits(Demand { cpu_milli: 1, memory_bytes: 0 }));
    }
}
