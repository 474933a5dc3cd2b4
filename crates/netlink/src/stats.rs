//! Counters of devices and of their queues: one listing each for a whole namespace.

use std::collections::BTreeMap;

use crate::link::{IFINFO, LinkInfo, RTM_GETLINK, RTM_NEWLINK};
use crate::socket::{NetlinkError, Socket};
use crate::wire::{Attributes, Request, read_u32, read_u64};

const RTM_NEWQDISC: u16 = 36;
const RTM_GETQDISC: u16 = 38;
const IFLA_STATS64: u16 = 23;
const TCA_STATS2: u16 = 7;
const TCA_STATS_QUEUE: u16 = 3;
/// `TC_H_ROOT`: the parent of the queue that a device sends from.
const ROOT: u32 = 0xffff_ffff;
/// `TC_H_CLSACT`: the parent of what holds the filters of a device.
const HOOKS: u32 = 0xffff_fff1;
/// Length of `struct tcmsg`.
const TCMSG: usize = 20;

/// What a device has counted since it was made (`struct rtnl_link_stats64`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Frames received.
    pub rx_packets: u64,
    /// Frames sent.
    pub tx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Frames received and thrown away.
    pub rx_dropped: u64,
    /// Frames that the device was to send and threw away, not counting those of its queue.
    pub tx_dropped: u64,
}

/// All devices of the namespace with their counters.
pub fn list(socket: &mut Socket) -> Result<Vec<(LinkInfo, Statistics)>, NetlinkError> {
    let mut request = Request::dump(RTM_GETLINK);
    request.ifinfo(0, 0, 0, 0);
    let found = socket.dump(&mut request)?;
    let parse = |payload: &[u8]| Some((LinkInfo::parse(payload)?, statistics(payload).unwrap_or_default()));
    Ok(found
        .iter()
        .filter(|(kind, _)| *kind == RTM_NEWLINK)
        .filter_map(|(_, payload)| parse(payload))
        .collect())
}

fn statistics(payload: &[u8]) -> Option<Statistics> {
    let values = Attributes(payload.get(IFINFO..)?).get(IFLA_STATS64)?;
    let number = |index: usize| read_u64(values, index * 8);
    Some(Statistics {
        rx_packets: number(0)?,
        tx_packets: number(1)?,
        rx_bytes: number(2)?,
        tx_bytes: number(3)?,
        rx_dropped: number(6)?,
        tx_dropped: number(7)?,
    })
}

/// Frames of a device that were thrown away and are not in its own [`Statistics`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Drops {
    /// By the queue that it sends from.
    pub queue: u64,
    /// By its filters, at both hooks.
    pub filters: u64,
}

/// By the index of a device, the frames that its queue and its filters have thrown away.
pub fn drops(socket: &mut Socket) -> Result<BTreeMap<u32, Drops>, NetlinkError> {
    let mut drops: BTreeMap<u32, Drops> = BTreeMap::new();
    for Queue { device, parent, dropped, .. } in queues(socket)? {
        let entry = drops.entry(device).or_default();
        match parent {
            ROOT => entry.queue = dropped,
            HOOKS => entry.filters = dropped,
            // A part of a queue, which is in the root's.
            _ => {}
        }
    }
    Ok(drops)
}

/// By the index of a device, the bytes that wait in the queue that it sends from, and in those below; devices in which
/// nothing waits are left out.
pub fn waiting(socket: &mut Socket) -> Result<BTreeMap<u32, u64>, NetlinkError> {
    let mut queues = queues(socket)?;
    queues.retain(|queue| queue.parent == ROOT && queue.waiting > 0);
    Ok(queues.into_iter().map(|queue| (queue.device, queue.waiting)).collect())
}

/// What a queue, or what hangs where a queue can, has counted.
#[derive(Debug, PartialEq, Eq)]
struct Queue {
    device: u32,
    parent: u32,
    waiting: u64,
    dropped: u64,
}

fn queues(socket: &mut Socket) -> Result<Vec<Queue>, NetlinkError> {
    let mut request = Request::dump(RTM_GETQDISC);
    request.tc(0, 0, 0, 0);
    let found = socket.dump(&mut request)?;
    Ok(found.iter().filter(|(kind, _)| *kind == RTM_NEWQDISC).filter_map(|(_, p)| queue(p)).collect())
}

fn queue(payload: &[u8]) -> Option<Queue> {
    // `struct gnet_stats_queue`: packets, bytes, drops.
    let counted = Attributes(Attributes(payload.get(TCMSG..)?).get(TCA_STATS2)?).get(TCA_STATS_QUEUE)?;
    Some(Queue {
        device: read_u32(payload, 4)?,
        parent: read_u32(payload, 12)?,
        waiting: read_u32(counted, 4)?.into(),
        dropped: read_u32(counted, 8)?.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_from_where_the_kernel_puts_them() {
        let mut values = Vec::new();
        (1..=24_u64).for_each(|number| values.extend(number.to_ne_bytes()));
        let mut request = Request::new(RTM_NEWLINK, 0);
        request.ifinfo(0, 7, 0, 0).bytes(IFLA_STATS64, &values);
        let message = request.finish(1)[crate::wire::HEADER..].to_vec();
        let expected = Statistics {
            rx_packets: 1,
            tx_packets: 2,
            rx_bytes: 3,
            tx_bytes: 4,
            rx_dropped: 7,
            tx_dropped: 8,
        };
        assert_eq!(statistics(&message), Some(expected));
        assert_eq!(statistics(&message[..60]), None);
    }

    #[test]
    fn queues_are_read_with_their_parent() {
        let message = |parent: u32| {
            let mut request = Request::new(RTM_NEWQDISC, 0);
            request.tc(9, 0x10000, parent, 2).nest(TCA_STATS2, |stats| {
                let queue: Vec<u8> = [1_u32, 2, 3, 4, 5].into_iter().flat_map(u32::to_ne_bytes).collect();
                stats.bytes(TCA_STATS_QUEUE, &queue);
            });
            request.finish(1)[crate::wire::HEADER..].to_vec()
        };
        for parent in [ROOT, HOOKS, 0x10001] {
            let expected = Queue { device: 9, parent, waiting: 2, dropped: 3 };
            assert_eq!(queue(&message(parent)), Some(expected));
        }
        assert_eq!(queue(&message(ROOT)[..TCMSG]), None);
    }
}
