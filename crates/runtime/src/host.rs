//! The host that drivers run on, as the kernel tells it: what drivers of engines on this host share.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use llcm_names::{Port, Protocol};

use crate::container_spec::parse_cpu_list;
use crate::{DriverError, DriverResult, ErrorKind, HeldPort};

/// The kernel's tables of sockets (`proc_net(5)`).
const TABLES: [(&str, Protocol); 4] = [
    ("/proc/net/tcp", Protocol::Tcp),
    ("/proc/net/tcp6", Protocol::Tcp),
    ("/proc/net/udp", Protocol::Udp),
    ("/proc/net/udp6", Protocol::Udp),
];
/// The state of a TCP socket that listens (`include/net/tcp_states.h`: `TCP_LISTEN`).
const LISTENS: &str = "0A";

/// Where the kernel says which CPUs containers can be given: control groups of version 2, then 1.
const CPU_LISTS: [&str; 2] =
    ["/sys/fs/cgroup/cpuset.cpus.effective", "/sys/fs/cgroup/cpuset/cpuset.effective_cpus"];

/// The CPUs of this host that containers can be pinned to; `None` where the kernel does not tell.
#[must_use]
pub fn cpus() -> Option<Vec<u32>> {
    CPU_LISTS
        .iter()
        .find_map(|path| parse_cpu_list(std::fs::read_to_string(path).ok()?.trim()))
        .map(|cpus| cpus.into_iter().collect())
}

/// The memory of this host in bytes; `None` where the kernel does not tell (`proc_meminfo(5)`).
#[must_use]
pub fn memory_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The first port of this host that an ordinary user may listen on (`ip(7)`, `ip_unprivileged_port_start`).
#[must_use]
pub fn first_free_port() -> u16 {
    let told = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").ok();
    told.and_then(|text| text.trim().parse().ok()).unwrap_or(1024)
}

/// The ports that something listens on in this program's network namespace. Blocks.
///
/// # Errors
/// `Failed` when the kernel's tables cannot be read.
pub fn listening() -> DriverResult<BTreeSet<HeldPort>> {
    let mut ports = BTreeSet::new();
    for (path, protocol) in TABLES {
        match std::fs::read_to_string(path) {
            Ok(table) => ports.extend(table.lines().skip(1).filter_map(|line| socket(line, protocol))),
            // A kernel without IPv6.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && path.ends_with('6') => {}
            Err(error) => {
                return Err(DriverError::new(ErrorKind::Failed, "read", path, error.to_string()));
            }
        }
    }
    Ok(ports)
}

/// One line of a table: the port, if it keeps others from listening on it.
fn socket(line: &str, protocol: Protocol) -> Option<HeldPort> {
    let mut words = line.split_whitespace();
    let (address, port) = words.nth(1)?.split_once(':')?;
    let state = words.nth(1)?;
    // A UDP port is taken by whoever is bound to it, connected or not.
    if protocol == Protocol::Tcp && state != LISTENS {
        return None;
    }
    let port = Port::try_from(u64::from_str_radix(port, 16).ok()?).ok()?;
    Some(HeldPort { protocol, port, address: Some(parse_address(address)?) })
}

/// An address as the kernel prints it: words of 32 bits in the host's order, in hexadecimal.
fn parse_address(text: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(text.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (index, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(index * 8)?);
            }
            Some(Ipv6Addr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(protocol: Protocol, port: u64, address: &str) -> HeldPort {
        let address = (!address.is_empty()).then(|| address.parse().unwrap());
        HeldPort { protocol, port: port.try_into().unwrap(), address }
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn the_kernels_tables_are_read() {
        for (line, protocol, expected) in [
            ("  0: 0100007F:1F90 00000000:0000 0A 0:0", Protocol::Tcp, Some((8080, "127.0.0.1"))),
            ("  1: 00000000:0016 00000000:0000 0A 0:0", Protocol::Tcp, Some((22, "0.0.0.0"))),
            ("  2: 0100007F:1F90 0100007F:D431 01 0:0", Protocol::Tcp, None),
            ("  3: 00000000:0044 00000000:0000 07 0:0", Protocol::Udp, Some((68, "0.0.0.0"))),
            ("  4: 3500007F:0035 00000000:0000 01 0:0", Protocol::Udp, Some((53, "127.0.0.53"))),
            (
                "  5: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0",
                Protocol::Tcp,
                Some((80, "::1")),
            ),
            (
                "  6: 0000000000000000FFFF00000100007F:0051 00000000000000000000000000000000:0000 0A 0",
                Protocol::Tcp,
                Some((81, "127.0.0.1")),
            ),
            ("  7: 00000000:0000 00000000:0000 07 0:0", Protocol::Udp, None),
            ("nothing", Protocol::Tcp, None),
            ("", Protocol::Udp, None),
        ] {
            let expected = expected.map(|(port, address)| held(protocol, port, address));
            assert_eq!(socket(line, protocol), expected, "{line}");
        }
    }

    #[test]
    fn this_hosts_own_listeners_are_seen() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let bound = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = u64::from(listener.local_addr().unwrap().port());
        let udp = u64::from(bound.local_addr().unwrap().port());
        let ports = listening().unwrap();
        assert!(ports.contains(&held(Protocol::Tcp, port, "127.0.0.1")), "{ports:?}");
        assert!(ports.contains(&held(Protocol::Udp, udp, "127.0.0.1")), "{ports:?}");
    }
}
