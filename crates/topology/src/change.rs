//! Changes of a topology while services run on it: values that are checked against a topology and give the next one.
//!
//! ```
//! use llcm_topology::{Change, LinkChange, default_topology};
//!
//! let cut = LinkChange { up: Some(false), ..LinkChange::default() };
//! let before = default_topology();
//! let after = before.changed(&Change::Link { name: "dc1-dc2".to_owned(), change: cut }).unwrap();
//! assert!(!after.links[0].up && before.links[0].up);
//! ```

use std::collections::BTreeSet;

use llcm_names::DcName;
use thiserror::Error;

use crate::assemble::{MAX_DATACENTERS, MAX_LINKS, free_name};
use crate::model::{DataCenter, Link, LinkEnd, LinkProperties, Topology};
use crate::units;

/// A change of a topology.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Some properties of a link, or whether it carries traffic.
    Link {
        /// The link.
        name: String,
        /// What becomes different.
        change: LinkChange,
    },
    /// A further link.
    AddLink(NewLink),
    /// A link goes.
    RemoveLink {
        /// The link.
        name: String,
    },
    /// A further data center, behind all others in the order of placement.
    AddDatacenter(DataCenter),
    /// A data center goes, and with it the links that end at it.
    RemoveDatacenter {
        /// The data center.
        name: DcName,
    },
}

/// What becomes different of a link; `None`: stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LinkChange {
    /// The data center that the direction leaves whose properties change; `None`: both directions.
    pub from: Option<DcName>,
    /// Whether the link carries traffic; always of both directions.
    pub up: Option<bool>,
    /// Bits per second; `Some(None)`: not limited any more.
    pub bandwidth_bps: Option<Option<u64>>,
    /// Microseconds.
    pub delay_us: Option<u64>,
    /// Microseconds.
    pub jitter_us: Option<u64>,
    /// Lost packets per million.
    pub loss_ppm: Option<u32>,
    /// Bytes; `Some(None)`: as where nothing is said.
    pub mtu: Option<Option<u32>>,
    /// Packets; `Some(None)`: as the rate needs.
    pub queue_packets: Option<Option<u32>>,
}

/// A link as it is stated: its name may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLink {
    /// Its name; `None`: one of the ends.
    pub name: Option<String>,
    /// One end, with the properties of the direction that leaves it.
    pub a: LinkEnd,
    /// The other end, likewise.
    pub b: LinkEnd,
    /// Whether it carries traffic.
    pub up: bool,
}

/// A change that a topology cannot take.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChangeError {
    /// No such link.
    #[error("there is no link {name:?}{}", there_are(.known))]
    NoLink {
        /// The name.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// No such data center.
    #[error("there is no data center {name}{}", there_are(.known))]
    NoDatacenter {
        /// The name.
        name: DcName,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The name is taken.
    #[error("there is another link {name}")]
    LinkExists {
        /// The name.
        name: String,
    },
    /// The name is taken.
    #[error("there is another data center {name}")]
    DatacenterExists {
        /// The name.
        name: DcName,
    },
    /// There must be one.
    #[error("{name} is the only data center, and there must be at least one")]
    LastDatacenter {
        /// The data center.
        name: DcName,
    },
    /// There can be 4096.
    #[error("there can be at most {MAX_DATACENTERS} data centers")]
    TooManyDatacenters,
    /// There can be 65536.
    #[error("there can be at most {MAX_LINKS} links")]
    TooManyLinks,
    /// The change makes no sense with what the link is.
    #[error("link {link}: {reason}")]
    Senseless {
        /// The link.
        link: String,
        /// Why.
        reason: String,
    },
}

/// What there is instead of what is missing.
pub(crate) fn there_are(names: &[String]) -> String {
    const SHOWN: usize = 20;
    match names {
        [] => ": there are none".to_owned(),
        names if names.len() > SHOWN => format!("; there are {} others", names.len()),
        names => format!("; there are {}", names.join(", ")),
    }
}

impl Topology {
    /// The link of a name.
    #[must_use]
    pub fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name)
    }

    /// This topology with a change; what it is not about stays as it is, in its order.
    ///
    /// # Errors
    /// What the change cannot be made for.
    pub fn changed(&self, change: &Change) -> Result<Self, ChangeError> {
        let mut next = self.clone();
        next.change(change)?;
        Ok(next)
    }

    /// Makes a change; it is as it was when that is not possible.
    ///
    /// # Errors
    /// What the change cannot be made for.
    pub fn change(&mut self, change: &Change) -> Result<(), ChangeError> {
        match change {
            Change::Link { name, change } => {
                let Some(position) = self.links.iter().position(|link| link.name == *name) else {
                    return Err(self.no_link(name));
                };
                self.links[position] = change.applied(&self.links[position])?;
            }
            Change::AddLink(new) => {
                let link = self.named(new)?;
                if self.links.len() >= MAX_LINKS {
                    return Err(ChangeError::TooManyLinks);
                }
                self.links.push(link);
            }
            Change::RemoveLink { name } => {
                if self.link(name).is_none() {
                    return Err(self.no_link(name));
                }
                self.links.retain(|link| link.name != *name);
            }
            Change::AddDatacenter(datacenter) => {
                if self.datacenter(&datacenter.name).is_some() {
                    return Err(ChangeError::DatacenterExists { name: datacenter.name.clone() });
                }
                if self.datacenters.len() >= MAX_DATACENTERS {
                    return Err(ChangeError::TooManyDatacenters);
                }
                self.datacenters.push(datacenter.clone());
            }
            Change::RemoveDatacenter { name } => {
                if self.datacenter(name).is_none() {
                    return Err(self.no_datacenter(name));
                }
                if self.datacenters.len() == 1 {
                    return Err(ChangeError::LastDatacenter { name: name.clone() });
                }
                self.datacenters.retain(|datacenter| datacenter.name != *name);
                self.links.retain(|link| link.a.dc != *name && link.b.dc != *name);
            }
        }
        Ok(())
    }

    /// A new link, with a name that no other one has.
    fn named(&self, new: &NewLink) -> Result<Link, ChangeError> {
        for end in [&new.a, &new.b] {
            if self.datacenter(&end.dc).is_none() {
                return Err(self.no_datacenter(&end.dc));
            }
        }
        let taken: BTreeSet<String> = self.links.iter().map(|link| link.name.clone()).collect();
        let free = || free_name(&format!("{}-{}", new.a.dc, new.b.dc), 1, &taken).0;
        let name = new.name.clone().unwrap_or_else(free);
        if new.a.dc == new.b.dc {
            let reason = format!("it joins {} to itself", new.a.dc);
            return Err(ChangeError::Senseless { link: name, reason });
        }
        if taken.contains(&name) {
            return Err(ChangeError::LinkExists { name });
        }
        Ok(Link { name, a: new.a.clone(), b: new.b.clone(), up: new.up })
    }

    /// What is told of a link that this topology does not have.
    #[must_use]
    pub fn no_link(&self, name: &str) -> ChangeError {
        let known = self.links.iter().map(|link| link.name.clone()).collect();
        ChangeError::NoLink { name: name.to_owned(), known }
    }

    fn no_datacenter(&self, name: &DcName) -> ChangeError {
        let known = self.datacenters.iter().map(|datacenter| datacenter.name.to_string()).collect();
        ChangeError::NoDatacenter { name: name.clone(), known }
    }
}

impl LinkChange {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self { from: self.from.clone(), ..Self::default() }
    }

    /// Whether it changes what traffic experiences, and not only whether there is any.
    #[must_use]
    pub fn has_properties(&self) -> bool {
        *self != Self { from: self.from.clone(), up: self.up, ..Self::default() }
    }

    /// A link with this change.
    ///
    /// # Errors
    /// Why it makes no sense with what the link is.
    pub fn applied(&self, link: &Link) -> Result<Link, ChangeError> {
        let senseless = |reason: String| Err(ChangeError::Senseless { link: link.name.clone(), reason });
        if self.is_empty() {
            return senseless("the change changes nothing".to_owned());
        }
        let meant = match &self.from {
            None => [true, true],
            Some(from) if *from == link.a.dc => [true, false],
            Some(from) if *from == link.b.dc => [false, true],
            Some(from) => {
                let reason = format!("{from} is none of its ends, which are {} and {}", link.a.dc, link.b.dc);
                return senseless(reason);
            }
        };
        if self.from.is_some() && !self.has_properties() {
            return senseless("it goes down and comes up in both directions: leave `from` out".to_owned());
        }
        let mut ends = [link.a.egress, link.b.egress];
        for (properties, _) in ends.iter_mut().zip(meant).filter(|(_, meant)| *meant) {
            self.set(properties);
            if properties.jitter_us > properties.delay_us {
                let reason = format!(
                    "the jitter ({}) would be larger than the delay ({}): packets cannot arrive before they leave",
                    units::show_duration(properties.jitter_us),
                    units::show_duration(properties.delay_us),
                );
                return senseless(reason);
            }
        }
        let mut changed = link.clone();
        [changed.a.egress, changed.b.egress] = ends;
        changed.up = self.up.unwrap_or(link.up);
        Ok(changed)
    }

    fn set(&self, properties: &mut LinkProperties) {
        let Self { from: _, up: _, bandwidth_bps, delay_us, jitter_us, loss_ppm, mtu, queue_packets } = self;
        properties.bandwidth_bps = bandwidth_bps.unwrap_or(properties.bandwidth_bps);
        properties.delay_us = delay_us.unwrap_or(properties.delay_us);
        properties.jitter_us = jitter_us.unwrap_or(properties.jitter_us);
        properties.loss_ppm = loss_ppm.unwrap_or(properties.loss_ppm);
        properties.mtu = mtu.unwrap_or(properties.mtu);
        properties.queue_packets = queue_packets.unwrap_or(properties.queue_packets);
    }
}

/// `down`, `delay 20ms, loss 1%, from dc1`.
impl std::fmt::Display for LinkChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { from, up, bandwidth_bps, delay_us, jitter_us, loss_ppm, mtu, queue_packets } = self;
        let none = || "none".to_owned();
        let words = [
            up.map(|up| if up { "up" } else { "down" }.to_owned()),
            bandwidth_bps.map(|it| format!("bandwidth {}", it.map_or_else(none, units::show_bandwidth))),
            delay_us.map(|it| format!("delay {}", units::show_duration(it))),
            jitter_us.map(|it| format!("jitter {}", units::show_duration(it))),
            loss_ppm.map(|it| format!("loss {}", units::show_loss(it))),
            mtu.map(|it| format!("mtu {}", it.map_or_else(none, |mtu| mtu.to_string()))),
            queue_packets.map(|it| format!("queue {}", it.map_or_else(none, |queue| queue.to_string()))),
            from.as_ref().map(|from| format!("from {from}")),
        ];
        let words: Vec<String> = words.into_iter().flatten().collect();
        f.write_str(&words.join(", "))
    }
}

/// As in a log: `link dc1-dc2: down`.
impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Link { name, change } => write!(f, "link {name}: {change}"),
            Self::AddLink(NewLink { name: Some(name), a, b, .. }) => {
                write!(f, "new link {name} from {} to {}", a.dc, b.dc)
            }
            Self::AddLink(NewLink { name: None, a, b, .. }) => {
                write!(f, "new link from {} to {}", a.dc, b.dc)
            }
            Self::RemoveLink { name } => write!(f, "link {name} goes"),
            Self::AddDatacenter(datacenter) => write!(f, "new data center {}", datacenter.name),
            Self::RemoveDatacenter { name } => write!(f, "data center {name} goes"),
        }
    }
}

mod batch;

pub use batch::Batch;

#[cfg(test)]
mod tests;
