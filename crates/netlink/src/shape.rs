//! What a device does to what it sends: a token bucket that limits it, at the root or below netem, which delays it and loses
//! some of it.

use std::time::Duration;

use crate::link::Device;
use crate::socket::{NetlinkError, Socket};
use crate::wire::{Attributes, CREATE, REPLACE, Request, read_text, read_u32};

const RTM_NEWQDISC: u16 = 36;
const RTM_GETQDISC: u16 = 38;
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_NETEM_LATENCY64: u16 = 10;
const TCA_NETEM_JITTER64: u16 = 11;
const TCA_TBF_PARMS: u16 = 1;
const TCA_TBF_RATE64: u16 = 4;
const TCA_TBF_BURST: u16 = 6;
/// `TC_H_ROOT`.
const ROOT: u32 = 0xffff_ffff;
const HANDLE: u32 = 0x0001_0000;
/// The bucket's handle below netem, whose one class is its parent.
const BELOW: u32 = 0x0002_0000;
const NETEM_CLASS: u32 = 0x0001_0001;
/// `TC_LINKLAYER_ETHERNET`: sizes are counted as they are, no table needed.
const ETHERNET: u8 = 1;
const MILLION: u32 = 1_000_000;
/// Length of `struct tcmsg`.
const TCMSG: usize = 20;

/// A token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Bytes per second.
    pub rate: u64,
    /// Bytes that may leave at once.
    pub burst: u32,
    /// Bytes that may wait.
    pub limit: u32,
}

/// Delay and loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Netem {
    /// How long each packet waits.
    pub delay: Duration,
    /// The largest deviation from that, evenly distributed.
    pub jitter: Duration,
    /// Lost packets per million.
    pub loss_ppm: u32,
    /// Packets that may wait.
    pub limit: u32,
}

/// Sets netem at a device's root; an older one is changed without losing what waits in it. A token bucket, if there is
/// to be one, comes below it afterwards.
pub fn set_netem(socket: &mut Socket, device: Device, netem: Netem) -> Result<(), NetlinkError> {
    socket.call(&mut netem_request(device, netem))
}

fn netem_request(device: Device, netem: Netem) -> Request {
    let mut request = Request::new(RTM_NEWQDISC, CREATE | REPLACE);
    request.tc(device.0, HANDLE, ROOT, 0).text(TCA_KIND, "netem");
    // `struct tc_netem_qopt`: latency, limit, loss, gap, duplicate, jitter, and then attributes. Times have attributes of
    // their own, in nanoseconds; a loss is a share of 2^32.
    let share = u64::from(netem.loss_ppm.min(MILLION)) * u64::from(u32::MAX) / u64::from(MILLION);
    let mut options = Vec::new();
    for word in [0, netem.limit, u32::try_from(share).unwrap_or(u32::MAX), 0, 0, 0] {
        options.extend(word.to_ne_bytes());
    }
    request.nest(TCA_OPTIONS, |nested| {
        nested.raw(&options);
        for (kind, time) in [(TCA_NETEM_LATENCY64, netem.delay), (TCA_NETEM_JITTER64, netem.jitter)] {
            let nanos = i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
            nested.bytes(kind, &nanos.to_ne_bytes());
        }
    });
    request
}

/// Sets a device's token bucket, at the root or below netem; an older one is changed without losing what waits in it.
pub fn set_bucket(
    socket: &mut Socket,
    device: Device,
    bucket: Bucket,
    below_netem: bool,
) -> Result<(), NetlinkError> {
    let mut request = Request::new(RTM_NEWQDISC, CREATE | REPLACE);
    let (handle, parent) = if below_netem { (BELOW, NETEM_CLASS) } else { (HANDLE, ROOT) };
    request.tc(device.0, handle, parent, 0).text(TCA_KIND, "tbf");
    request.nest(TCA_OPTIONS, |options| {
        // `struct tc_tbf_qopt`: rate, peak rate, limit, buffer, mtu; what has an attribute of its own is 0.
        let mut qopt = vec![0, ETHERNET, 0, 0, 0, 0, 0, 0];
        qopt.extend(u32::try_from(bucket.rate).unwrap_or(u32::MAX).to_ne_bytes());
        qopt.extend([0; 12]);
        qopt.extend(bucket.limit.to_ne_bytes());
        qopt.extend([0; 8]);
        options.bytes(TCA_TBF_PARMS, &qopt).u32(TCA_TBF_BURST, bucket.burst);
        if u32::try_from(bucket.rate).is_err() {
            options.bytes(TCA_TBF_RATE64, &bucket.rate.to_ne_bytes());
        }
    });
    socket.call(&mut request)
}

/// A device's token bucket as the kernel tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketView {
    /// The device's index.
    pub device: u32,
    /// Bytes per second.
    pub rate: u64,
    /// Bytes that may wait.
    pub limit: u32,
}

/// The token buckets of the namespace's devices.
pub fn list_buckets(socket: &mut Socket) -> Result<Vec<BucketView>, NetlinkError> {
    let mut request = Request::dump(RTM_GETQDISC);
    request.tc(0, 0, 0, 0);
    let parse = |payload: &[u8]| {
        let attributes = Attributes(payload.get(TCMSG..)?);
        if attributes.get(TCA_KIND).map(read_text)? != "tbf" {
            return None;
        }
        let options = Attributes(attributes.get(TCA_OPTIONS)?);
        let parameters = options.get(TCA_TBF_PARMS)?;
        let wide = options.get(TCA_TBF_RATE64).and_then(|value| value.get(..8)?.try_into().ok());
        let rate = wide.map(u64::from_ne_bytes).or_else(|| read_u32(parameters, 8).map(u64::from))?;
        // Behind two rate specifications of 12 bytes.
        Some(BucketView { device: read_u32(payload, 4)?, rate, limit: read_u32(parameters, 24)? })
    };
    let found = socket.dump(&mut request)?;
    Ok(found.iter().filter(|(kind, _)| *kind == RTM_NEWQDISC).filter_map(|(_, p)| parse(p)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No kernel at hand has netem everywhere: the message is compared with the header's layout (linux/pkt_sched.h).
    #[test]
    fn netem_is_told_as_the_header_says() {
        let netem = Netem {
            delay: Duration::from_millis(10),
            jitter: Duration::from_micros(1500),
            loss_ppm: 10_000,
            limit: 777,
        };
        let mut request = netem_request(Device(9), netem);
        let message = request.finish(1).to_vec();
        assert_eq!(read_u32(&message, 16 + 4), Some(9));
        let attributes = Attributes(&message[16 + TCMSG..]);
        assert_eq!(attributes.get(TCA_KIND).map(read_text).as_deref(), Some("netem"));
        let options = attributes.get(TCA_OPTIONS).unwrap();
        let words: Vec<u32> = (0..6).map(|word| read_u32(options, word * 4).unwrap()).collect();
        // 1 % of 2^32.
        assert_eq!(words, [0, 777, 42_949_672, 0, 0, 0]);
        let times = Attributes(&options[24..]);
        let time = |kind| i64::from_ne_bytes(times.get(kind).unwrap().try_into().unwrap());
        assert_eq!((time(10), time(11)), (10_000_000, 1_500_000));
        let all = Netem { loss_ppm: 2_000_000, delay: Duration::MAX, ..netem };
        let message = netem_request(Device(9), all).finish(1).to_vec();
        let options = Attributes(&message[16 + TCMSG..]).get(TCA_OPTIONS).unwrap().to_vec();
        assert_eq!(read_u32(&options, 8), Some(u32::MAX));
        assert_eq!(Attributes(&options[24..]).get(10), Some(&i64::MAX.to_ne_bytes()[..]));
    }
}
