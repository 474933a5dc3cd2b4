//! Bandwidth limits: a token bucket at the root of a device.

use crate::link::Device;
use crate::socket::{NetlinkError, Socket};
use crate::wire::{Attributes, CREATE, REPLACE, Request, read_text, read_u32};

const RTM_NEWQDISC: u16 = 36;
const RTM_DELQDISC: u16 = 37;
const RTM_GETQDISC: u16 = 38;
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_TBF_PARMS: u16 = 1;
const TCA_TBF_RATE64: u16 = 4;
const TCA_TBF_BURST: u16 = 6;
/// `TC_H_ROOT`.
const ROOT: u32 = 0xffff_ffff;
const HANDLE: u32 = 0x0001_0000;
/// `TC_LINKLAYER_ETHERNET`: sizes are counted as they are, no table needed.
const ETHERNET: u8 = 1;
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

/// Sets a device's token bucket; an older one is changed without losing what waits in it.
pub fn set_bucket(socket: &mut Socket, device: Device, bucket: Bucket) -> Result<(), NetlinkError> {
    let mut request = Request::new(RTM_NEWQDISC, CREATE | REPLACE);
    request.tc(device.0, HANDLE, ROOT, 0).text(TCA_KIND, "tbf");
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

/// Removes a device's token bucket, if it has one.
pub fn remove_bucket(socket: &mut Socket, device: Device) -> Result<(), NetlinkError> {
    let mut request = Request::new(RTM_DELQDISC, 0);
    request.tc(device.0, HANDLE, ROOT, 0).text(TCA_KIND, "tbf");
    match socket.call(&mut request) {
        Err(error) if error.is_absent() || error.errno() == Some(rustix::io::Errno::INVAL) => Ok(()),
        other => other,
    }
}

/// The rates of the namespace's token buckets in bytes per second, by device index.
pub fn list_buckets(socket: &mut Socket) -> Result<Vec<(u32, u64)>, NetlinkError> {
    let mut request = Request::dump(RTM_GETQDISC);
    request.tc(0, 0, 0, 0);
    let parse = |payload: &[u8]| {
        let attributes = Attributes(payload.get(TCMSG..)?);
        if attributes.get(TCA_KIND).map(read_text)? != "tbf" {
            return None;
        }
        let options = Attributes(attributes.get(TCA_OPTIONS)?);
        let wide = options.get(TCA_TBF_RATE64).and_then(|value| value.get(..8)?.try_into().ok());
        let narrow = options.get(TCA_TBF_PARMS).and_then(|value| read_u32(value, 8)).map(u64::from);
        Some((read_u32(payload, 4)?, wide.map(u64::from_ne_bytes).or(narrow)?))
    };
    let found = socket.dump(&mut request)?;
    Ok(found.iter().filter(|(kind, _)| *kind == RTM_NEWQDISC).filter_map(|(_, p)| parse(p)).collect())
}
