//! Many changes of one topology.

use std::collections::BTreeMap;

use super::{Change, ChangeError};
use crate::model::{Link, Topology};

/// A topology to which many changes are made, one after the other, without a search through all links for each.
#[derive(Debug)]
pub struct Batch {
    topology: Topology,
    /// Where links stand, by name; `None`: not known now.
    positions: Option<BTreeMap<String, usize>>,
}

impl Batch {
    /// Begins with a topology.
    #[must_use]
    pub fn new(topology: Topology) -> Self {
        Self { topology, positions: None }
    }

    /// The topology as it has become.
    #[must_use]
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// The link of a name.
    pub fn link(&mut self, name: &str) -> Option<&Link> {
        let position = self.position(name)?;
        self.topology.links.get(position)
    }

    /// Makes a change; the topology is as it was when that is not possible.
    ///
    /// # Errors
    /// What the change cannot be made for.
    pub fn change(&mut self, change: &Change) -> Result<(), ChangeError> {
        if let Change::Link { name, change } = change
            && let Some(position) = self.position(name)
        {
            self.topology.links[position] = change.applied(&self.topology.links[position])?;
            return Ok(());
        }
        self.positions = None;
        self.topology.change(change)
    }

    /// What the topology has become.
    #[must_use]
    pub fn finish(self) -> Topology {
        self.topology
    }

    fn position(&mut self, name: &str) -> Option<usize> {
        let links = &self.topology.links;
        let positions = self.positions.get_or_insert_with(|| {
            links.iter().enumerate().map(|(position, link)| (link.name.clone(), position)).collect()
        });
        positions.get(name).copied()
    }
}
