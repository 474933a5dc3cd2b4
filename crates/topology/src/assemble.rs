//! Puts a topology together: whatever it is read from, names are unique, ends are there and the numbers are bounded.

use std::collections::{BTreeMap, BTreeSet};

use llcm_names::DcName;

use crate::change::{NewLink, there_are};
use crate::model::{DataCenter, Link, Topology};

/// More data centers than one host can carry.
pub(crate) const MAX_DATACENTERS: usize = 4096;
/// More links than one host can carry; a full mesh of 362 data centers.
pub(crate) const MAX_LINKS: usize = 65_536;

/// Keys of one data center's metadata. With the bytes below it bounds what all data centers can hold: a template, or a
/// default of GraphML, gives each of thousands what stands in the file once.
pub(crate) const MAX_METADATA: usize = 64;
/// Bytes of one data center's metadata, keys and values together.
const MAX_METADATA_BYTES: usize = 4096;

/// Whether metadata of so many keys and bytes is within bounds.
///
/// # Errors
/// Which bound it breaks.
pub(crate) fn metadata_fits(keys: usize, bytes: usize) -> Result<(), String> {
    if keys > MAX_METADATA {
        return Err(format!("the metadata of a data center has at most {MAX_METADATA} keys"));
    }
    if bytes > MAX_METADATA_BYTES {
        return Err(format!(
            "the metadata of a data center has at most {MAX_METADATA_BYTES} bytes, keys and values together"
        ));
    }
    Ok(())
}

/// A topology that grows.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    datacenters: Vec<DataCenter>,
    names: BTreeSet<DcName>,
    links: Vec<Link>,
    link_names: BTreeSet<String>,
    /// The number that a further link between the same ends begins to look for its name with, by its first name.
    parallel: BTreeMap<String, u32>,
}

impl Assembly {
    /// The data centers of a topology, for links that are added to it.
    pub(crate) fn of(topology: &Topology) -> Self {
        let names = topology.datacenters.iter().map(|datacenter| datacenter.name.clone());
        Self { names: names.collect(), ..Self::default() }
    }

    pub(crate) fn has(&self, name: &DcName) -> bool {
        self.names.contains(name)
    }

    /// `; there are dc1, dc2`, behind a message that one is missing.
    pub(crate) fn known(&self) -> String {
        there_are(&self.names.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.datacenters.is_empty()
    }

    /// Whether there is room for so many more.
    ///
    /// # Errors
    /// Which bound they would break.
    pub(crate) fn room(&self, datacenters: u64, links: u64) -> Result<(), String> {
        let fits = |have: usize, more: u64, most: usize| {
            usize::try_from(more).is_ok_and(|more| more <= most.saturating_sub(have))
        };
        if !fits(self.datacenters.len(), datacenters, MAX_DATACENTERS) {
            return Err(format!("there can be at most {MAX_DATACENTERS} data centers"));
        }
        if !fits(self.links.len(), links, MAX_LINKS) {
            return Err(format!("there can be at most {MAX_LINKS} links"));
        }
        Ok(())
    }

    /// # Errors
    /// When there is one of that name already, or no room.
    pub(crate) fn add_datacenter(&mut self, datacenter: DataCenter) -> Result<(), String> {
        self.room(1, 0)?;
        if !self.names.insert(datacenter.name.clone()) {
            return Err(format!("there is another data center {}", datacenter.name));
        }
        self.datacenters.push(datacenter);
        Ok(())
    }

    /// A link between data centers that are there, named by its ends unless a name is given.
    ///
    /// # Errors
    /// When an end is not there or both are the same, the name is taken, or there is no room.
    pub(crate) fn add_link(&mut self, link: NewLink) -> Result<(), String> {
        self.room(0, 1)?;
        let NewLink { name, a, b, up } = link;
        if let Some(missing) = [&a.dc, &b.dc].into_iter().find(|dc| !self.has(dc)) {
            return Err(format!("there is no data center {missing}"));
        }
        if a.dc == b.dc {
            return Err(format!("the link joins {} to itself", a.dc));
        }
        let name = name.unwrap_or_else(|| {
            // From where the last one was found: a search from the beginning would take time with the square of their
            // number.
            let plain = format!("{}-{}", a.dc, b.dc);
            let first = self.parallel.get(&plain).copied().unwrap_or(1);
            let (name, next) = free_name(&plain, first, &self.link_names);
            self.parallel.insert(plain, next);
            name
        });
        if !self.link_names.insert(name.clone()) {
            return Err(format!("there is another link {name}"));
        }
        self.links.push(Link { name, a, b, up });
        Ok(())
    }

    pub(crate) fn finish(self) -> Topology {
        Topology { datacenters: self.datacenters, links: self.links }
    }
}

/// `dc1-dc2`, and `dc1-dc2.2` for a parallel link: the first one that is free from that number on, and the number
/// behind its own.
pub(crate) fn free_name(plain: &str, first: u32, taken: &BTreeSet<String>) -> (String, u32) {
    let mut number = first;
    loop {
        let name = if number <= 1 { plain.to_owned() } else { format!("{plain}.{number}") };
        number = number.saturating_add(1);
        if !taken.contains(&name) {
            return (name, number);
        }
    }
}
