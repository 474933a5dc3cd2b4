//! Pools of subnets: lowest free one first.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnetwork::Ipv4Network;
use serde::{Deserialize, Serialize};

use crate::error::NetplanError;

/// What a pool consists of: `count` slots, side by side from `base`, each beginning with one subnet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawConfig", into = "RawConfig")]
pub struct PoolConfig {
    base: Ipv4Addr,
    prefix: u8,
    slot_prefix: u8,
    count: u32,
}

/// How a configuration is written: `base: 20.0.0.0`, `prefix: 24`, `count: 256`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    base: Ipv4Addr,
    prefix: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    slot_prefix: Option<u8>,
    count: u32,
}

impl TryFrom<RawConfig> for PoolConfig {
    type Error = NetplanError;

    fn try_from(raw: RawConfig) -> Result<Self, NetplanError> {
        Self::new(raw.base, raw.prefix, raw.slot_prefix.unwrap_or(raw.prefix), raw.count)
    }
}

impl From<PoolConfig> for RawConfig {
    fn from(config: PoolConfig) -> Self {
        let slot_prefix = (config.slot_prefix != config.prefix).then_some(config.slot_prefix);
        Self { base: config.base, prefix: config.prefix, slot_prefix, count: config.count }
    }
}

impl PoolConfig {
    /// Subnets of length `prefix`, one at the beginning of each of `count` slots of length `slot_prefix`.
    /// 10.30.0.0, 30, 24, 50 is 10.30.0.0/30, 10.30.1.0/30 and so on to 10.30.49.0/30.
    ///
    /// # Errors
    /// When a length is beyond 32 or 0, the slots are smaller than the subnets, there are none of them, `base`
    /// is not the beginning of a slot, or the last one lies beyond 255.255.255.255.
    pub fn new(base: Ipv4Addr, prefix: u8, slot_prefix: u8, count: u32) -> Result<Self, NetplanError> {
        let config = Self { base, prefix, slot_prefix, count };
        let bad = |reason| Err(NetplanError::BadPool { base: base.to_string(), prefix, count, reason });
        if prefix > 32 || slot_prefix == 0 {
            return bad("prefix lengths must be 1 to 32");
        }
        if slot_prefix > prefix {
            return bad("the slots are smaller than the subnets");
        }
        if count == 0 {
            return bad("the count must be at least 1");
        }
        if u64::from(u32::from(base)) % config.slot_size() != 0 {
            return bad("the base must be the first address of a subnet");
        }
        if u64::from(u32::from(base)) + u64::from(count) * config.slot_size() > 1 << 32 {
            return bad("the last subnet lies beyond 255.255.255.255");
        }
        Ok(config)
    }

    /// `count` adjoining subnets, of which the first is given (`"20.0.0.0/24"`).
    ///
    /// # Errors
    /// As [`PoolConfig::new`], and when the text is no subnet.
    pub fn parse(first: &str, count: u32) -> Result<Self, NetplanError> {
        let bad = |reason| NetplanError::BadPool { base: first.to_owned(), prefix: 0, count, reason };
        if !first.contains('/') {
            return Err(bad("the prefix length is missing"));
        }
        let subnet: Ipv4Network = first.parse().map_err(|_| bad("expected an IPv4 subnet"))?;
        Self::new(subnet.ip(), subnet.prefix(), subnet.prefix(), count)
    }

    /// The prefix length of its subnets.
    #[must_use]
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// How many subnets it has.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Addresses in a slot.
    fn slot_size(&self) -> u64 {
        1 << (32 - u32::from(self.slot_prefix))
    }

    /// The subnet of length `prefix` that begins at a slot. The slot must be one of the pool.
    fn subnet(&self, slot: u32, prefix: u8) -> Ipv4Network {
        let address = u64::from(u32::from(self.base)) + u64::from(slot) * self.slot_size();
        let address = u32::try_from(address).unwrap_or(u32::MAX);
        match Ipv4Network::new(address.into(), prefix) {
            Ok(subnet) => subnet,
            Err(_) => Ipv4Network::from(Ipv4Addr::from(address)),
        }
    }

    /// The slots `[first, end)` that a subnet touches; `None` when it lies outside the pool.
    fn slots(&self, subnet: Ipv4Network) -> Option<(u32, u32)> {
        let base = u64::from(u32::from(self.base));
        let first = u64::from(u32::from(subnet.network()));
        let last = u64::from(u32::from(subnet.broadcast()));
        let pool_last = base + u64::from(self.count) * self.slot_size() - 1;
        if last < base || first > pool_last {
            return None;
        }
        let from = (first.max(base) - base) / self.slot_size();
        let to = (last.min(pool_last) - base) / self.slot_size() + 1;
        Some((u32::try_from(from).ok()?, u32::try_from(to).ok()?))
    }
}

/// What is leased of a pool: a value to be stored and to begin from again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PoolState {
    /// The subnets that are held, in the order of their addresses.
    pub leased: Vec<Ipv4Network>,
}

/// A pool with its leases. Gives the lowest free subnet first; all operations take logarithmic time, save a
/// search for a larger block in a pool with many gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubnetPool {
    config: PoolConfig,
    /// Held slots: first -> (end, the lease).
    leased: BTreeMap<u32, (u32, Ipv4Network)>,
    /// Free runs of slots: first -> end. Never empty, never adjoining.
    free: BTreeMap<u32, u32>,
}

impl SubnetPool {
    /// A pool of which nothing is leased.
    #[must_use]
    pub fn new(config: PoolConfig) -> Self {
        Self { config, leased: BTreeMap::new(), free: BTreeMap::from([(0, config.count)]) }
    }

    /// A pool of which something is leased. What lies outside the pool (its definition has changed since) is
    /// left out, what overlaps counts once.
    #[must_use]
    pub fn with_state(config: PoolConfig, state: &PoolState) -> Self {
        let mut pool = Self::new(config);
        for subnet in &state.leased {
            pool.take(*subnet);
        }
        pool
    }

    /// What is leased now.
    #[must_use]
    pub fn state(&self) -> PoolState {
        PoolState { leased: self.leased().collect() }
    }

    /// The leases, in the order of their addresses.
    pub fn leased(&self) -> impl Iterator<Item = Ipv4Network> + '_ {
        self.leased.values().map(|(_, subnet)| *subnet)
    }

    /// What the pool consists of.
    #[must_use]
    pub fn config(&self) -> &PoolConfig {
        &self.config
    }

    /// Leases the lowest free subnet.
    ///
    /// # Errors
    /// [`NetplanError::PoolExhausted`].
    pub fn lease(&mut self) -> Result<Ipv4Network, NetplanError> {
        self.lease_prefix(self.config.prefix)
    }

    /// Leases the lowest free subnet with at least `members` hosts: one of the pool's, or a larger, aligned
    /// block of adjoining slots.
    ///
    /// # Errors
    /// [`NetplanError::PoolExhausted`], [`NetplanError::TooManyMembers`].
    pub fn lease_for(&mut self, members: usize) -> Result<Ipv4Network, NetplanError> {
        let prefix = crate::hosts::prefix_for(members, self.config.prefix)
            .ok_or(NetplanError::TooManyMembers { members })?;
        self.lease_prefix(prefix)
    }

    fn lease_prefix(&mut self, prefix: u8) -> Result<Ipv4Network, NetplanError> {
        let blocks = 1_u32 << u32::from(self.config.slot_prefix.saturating_sub(prefix)).min(31);
        // A block is aligned when its own address is, not when its number in the pool is.
        let offset = u64::from(u32::from(self.config.base)) / self.config.slot_size();
        let misaligned = offset % u64::from(blocks);
        let fit = self.free.iter().find_map(|(&first, &end)| {
            let position = u64::from(first) + misaligned;
            let slot = position.div_ceil(u64::from(blocks)) * u64::from(blocks) - misaligned;
            (slot + u64::from(blocks) <= u64::from(end)).then(|| u32::try_from(slot).ok()).flatten()
        });
        let Some(slot) = fit else {
            return Err(NetplanError::PoolExhausted {
                first: self.config.subnet(0, self.config.prefix),
                count: self.config.count,
                blocks,
            });
        };
        let subnet = self.config.subnet(slot, prefix);
        self.mark(slot, slot + blocks, subnet);
        Ok(subnet)
    }

    /// Marks a certain subnet as leased. `false`: it lies outside the pool or overlaps a lease, and nothing
    /// changed.
    pub fn take(&mut self, subnet: Ipv4Network) -> bool {
        let Some((first, end)) = self.config.slots(subnet) else { return false };
        let covered = self.free.range(..=first).next_back().is_some_and(|(_, &run_end)| run_end >= end);
        if covered {
            self.mark(first, end, subnet);
        }
        covered
    }

    /// Marks everything of a subnet that is still free as leased, so that no later lease overlaps it. For
    /// subnets in use that the pool did not give out.
    pub fn avoid(&mut self, subnet: Ipv4Network) {
        let Some((first, end)) = self.config.slots(subnet) else { return };
        for slot in first..end {
            if self.free.range(..=slot).next_back().is_some_and(|(_, &run_end)| run_end > slot) {
                self.mark(slot, slot + 1, self.config.subnet(slot, self.config.prefix));
            }
        }
    }

    /// Gives a lease back. `false`: it is none.
    pub fn free(&mut self, subnet: Ipv4Network) -> bool {
        let Some((first, _)) = self.config.slots(subnet) else { return false };
        if self.leased.get(&first).is_none_or(|(_, lease)| *lease != subnet) {
            return false;
        }
        let Some((mut end, _)) = self.leased.remove(&first) else { return false };
        let mut begin = first;
        if let Some((&before, &before_end)) = self.free.range(..first).next_back()
            && before_end == first
        {
            begin = before;
        }
        if let Some(after_end) = self.free.remove(&end) {
            end = after_end;
        }
        self.free.insert(begin, end);
        true
    }

    /// Moves slots that lie within one free run to the leases.
    fn mark(&mut self, first: u32, end: u32, subnet: Ipv4Network) {
        let run = self.free.range(..=first).next_back().map(|(&begin, &run_end)| (begin, run_end));
        if let Some((begin, run_end)) = run {
            self.free.remove(&begin);
            if begin < first {
                self.free.insert(begin, first);
            }
            if end < run_end {
                self.free.insert(end, run_end);
            }
        }
        self.leased.insert(first, (end, subnet));
    }
}

#[cfg(test)]
mod tests;
