//! Patches: frames that leave one device are put out at another, by u32 filters with mirred actions.

use crate::link::Device;
use crate::socket::{NetlinkError, Socket};
use crate::wire::{Attributes, CREATE, EXCL, Request, read_text, read_u32};

const RTM_NEWQDISC: u16 = 36;
const RTM_NEWTFILTER: u16 = 44;
const RTM_DELTFILTER: u16 = 45;
const RTM_GETTFILTER: u16 = 46;
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_U32_SEL: u16 = 5;
const TCA_U32_ACT: u16 = 7;
const TCA_U32_INDEV: u16 = 8;
const TCA_ACT_KIND: u16 = 1;
const TCA_ACT_OPTIONS: u16 = 2;
const TCA_MIRRED_PARMS: u16 = 2;
/// `TC_H_CLSACT`, the parent of the pseudo queueing discipline that only holds filters.
const CLSACT: u32 = 0xffff_fff1;
const CLSACT_HANDLE: u32 = 0xffff_0000;
/// `ETH_P_ALL` in network byte order, as the low half of `tcm_info`.
const ALL_PROTOCOLS: u32 = 0x0003_u16.to_be() as u32;
/// `TC_U32_TERMINAL`.
const TERMINAL: u8 = 1;
/// `TC_ACT_STOLEN`: the frame is gone, the target has it.
const STOLEN: i32 = 4;
/// `TC_ACT_UNSPEC`: go on with the next filter.
const CONTINUE: i32 = -1;
/// `TCA_EGRESS_REDIR`.
const REDIRECT: i32 = 1;
/// `TCA_EGRESS_MIRROR`.
const MIRROR: i32 = 2;
/// Length of `struct tcmsg`.
const TCMSG: usize = 20;

/// Which frames of a device a filter sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hook {
    /// Those that the device received: on a port, what the container sent.
    Ingress,
    /// Those that the device is about to send.
    Egress,
}

impl Hook {
    fn parent(self) -> u32 {
        match self {
            Self::Ingress => 0xffff_fff2,
            Self::Egress => 0xffff_fff3,
        }
    }
}

/// Which frames a filter takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// Every frame.
    All,
    /// Frames to a MAC address.
    To([u8; 6]),
    /// Frames that entered the namespace by the device of this name.
    From(String),
    /// Frames with these words, looked at in this order. The kernel looks at no further filter of the same priority
    /// when a frame ends before a word: what tells that it is there must stand before it.
    Words(Vec<Word>),
}

/// Four bytes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
    /// Where, counted in bytes from the network header; the MAC header has the 14 bytes before, VLAN tags taken off.
    pub offset: i32,
    /// The bits that count, the first byte's highest.
    pub mask: u32,
    /// What they are.
    pub value: u32,
}

/// What a filter does with its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Sends them out at a device, and that is all.
    Redirect(Device),
    /// Sends a copy out at a device; the filters behind see the frame, too.
    Copy(Device),
}

/// One filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Which frames.
    pub matches: Match,
    /// What becomes of them.
    pub action: Action,
}

/// Makes sure that a device can have filters.
pub fn ensure_hooks(socket: &mut Socket, device: Device) -> Result<(), NetlinkError> {
    let mut request = Request::new(RTM_NEWQDISC, CREATE | EXCL);
    request.tc(device.0, CLSACT_HANDLE, CLSACT, 0).text(TCA_KIND, "clsact");
    match socket.call(&mut request) {
        Err(error) if error.is_present() => Ok(()),
        other => other,
    }
}

/// Adds a filter behind those of the same priority.
pub fn add_filter(
    socket: &mut Socket,
    device: Device,
    hook: Hook,
    priority: u16,
    filter: &Filter,
) -> Result<(), NetlinkError> {
    let mut request = Request::new(RTM_NEWTFILTER, CREATE | EXCL);
    request.tc(device.0, 0, hook.parent(), info(priority)).text(TCA_KIND, "u32");
    request.nest(TCA_OPTIONS, |options| {
        options.bytes(TCA_U32_SEL, &selector(&filter.matches));
        if let Match::From(name) = &filter.matches {
            options.text(TCA_U32_INDEV, name);
        }
        options.nest(TCA_U32_ACT, |actions| {
            actions.nest(1, |action| {
                action.text(TCA_ACT_KIND, "mirred").nest(TCA_ACT_OPTIONS, |mirred| {
                    mirred.bytes(TCA_MIRRED_PARMS, &mirred_parameters(filter.action));
                });
            });
        });
    });
    socket.call(&mut request)
}

/// Removes all filters of a priority; when there are none that is no error.
pub fn remove_filters(
    socket: &mut Socket,
    device: Device,
    hook: Hook,
    priority: u16,
) -> Result<(), NetlinkError> {
    let mut request = Request::new(RTM_DELTFILTER, 0);
    request.tc(device.0, 0, hook.parent(), info(priority)).text(TCA_KIND, "u32");
    match socket.call(&mut request) {
        Err(error) if error.is_absent() || error.errno() == Some(rustix::io::Errno::INVAL) => Ok(()),
        other => other,
    }
}

/// The priorities at which a device has u32 filters.
pub fn priorities(socket: &mut Socket, device: Device, hook: Hook) -> Result<Vec<u16>, NetlinkError> {
    let mut request = Request::dump(RTM_GETTFILTER);
    request.tc(device.0, 0, hook.parent(), 0);
    let found = match socket.dump(&mut request) {
        // The device has no hooks yet.
        Err(error) if error.is_absent() || error.errno() == Some(rustix::io::Errno::INVAL) => Vec::new(),
        other => other?,
    };
    let parse = |payload: &[u8]| {
        let kind = Attributes(payload.get(TCMSG..)?).get(TCA_KIND).map(read_text)?;
        let priority = u16::try_from(read_u32(payload, 16)? >> 16).ok()?;
        (kind == "u32").then_some(priority)
    };
    let mut priorities: Vec<u16> = found.iter().filter_map(|(_, payload)| parse(payload)).collect();
    priorities.dedup();
    Ok(priorities)
}

fn info(priority: u16) -> u32 {
    u32::from(priority) << 16 | ALL_PROTOCOLS
}

/// `struct tc_u32_sel` with its keys: each a mask, a value and an offset from the network header.
fn selector(matches: &Match) -> Vec<u8> {
    let keys: Vec<(u32, u32, i32)> = match matches {
        Match::Words(words) => words.iter().map(|word| (word.mask, word.value, word.offset)).collect(),
        Match::To([a, b, c, d, e, f]) => vec![
            (0x0000_ffff, u32::from_be_bytes([0, 0, *a, *b]), -16),
            (0xffff_ffff, u32::from_be_bytes([*c, *d, *e, *f]), -12),
        ],
        // Without keys a filter takes frames of any length; a key would skip those shorter than itself.
        Match::All | Match::From(_) => Vec::new(),
    };
    let count = u8::try_from(keys.len()).unwrap_or(u8::MAX);
    let mut bytes = vec![TERMINAL, 0, count, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for (mask, value, offset) in keys {
        bytes.extend(mask.to_be_bytes());
        bytes.extend(value.to_be_bytes());
        bytes.extend(offset.to_ne_bytes());
        bytes.extend([0; 4]);
    }
    bytes
}

/// `struct tc_mirred`: index, capabilities, action, two counts, the kind of mirroring, the target.
fn mirred_parameters(action: Action) -> Vec<u8> {
    let (verdict, kind, target) = match action {
        Action::Redirect(target) => (STOLEN, REDIRECT, target),
        Action::Copy(target) => (CONTINUE, MIRROR, target),
    };
    let mut bytes = vec![0; 8];
    bytes.extend(verdict.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(target.0.to_ne_bytes());
    bytes
}
