//! What others hold: names in the engine, and ports of its host.
//!
//! Names and published ports come with one list of all containers. What else listens, the kernel says for this
//! program's own network namespace: an engine behind a local socket is on this host, and publishes there.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bollard::errors::Error;
use llcm_names::{EngineName, InstallationId, Owner, Port, Protocol};
use llcm_runtime::{DriverError, DriverResult, ErrorKind, HeldPort, Taken};
use serde_json::Value;

use crate::client::Client;
use crate::labels;
use crate::map_error::Attempt;

/// The kernel's tables of sockets (`proc_net(5)`).
const TABLES: [(&str, Protocol); 4] = [
    ("/proc/net/tcp", Protocol::Tcp),
    ("/proc/net/tcp6", Protocol::Tcp),
    ("/proc/net/udp", Protocol::Udp),
    ("/proc/net/udp6", Protocol::Udp),
];
/// The state of a TCP socket that listens (`include/net/tcp_states.h`: `TCP_LISTEN`).
const LISTENS: &str = "0A";

/// Asks the engine and the kernel.
///
/// # Errors
/// As `ContainerDriver::taken`.
pub(crate) async fn taken(client: &Client, installation: &InstallationId) -> DriverResult<Taken> {
    let attempt = Attempt::new("ask what is taken", client.product().0);
    let ask =
        async |_: &_| foreign(&client.get("/containers/json?all=true").await?.all().await?, installation);
    let mut taken = client.call(attempt, ask).await?;
    let listening = tokio::task::spawn_blocking(listening).await;
    let failed = |error: tokio::task::JoinError| attempt.error(ErrorKind::Failed, error.to_string());
    taken.ports.extend(listening.map_err(failed)??);
    Ok(taken)
}

/// What containers of others hold, from the engine's list of all containers.
fn foreign(json: &[u8], installation: &InstallationId) -> Result<Taken, Error> {
    let containers: Vec<Value> = serde_json::from_slice(json)?;
    let mut taken = Taken::default();
    for container in &containers {
        if owner(container).is_some_and(|owner| owner.installation == *installation) {
            continue;
        }
        let names = container.get("Names").and_then(Value::as_array).into_iter().flatten();
        // A name that cannot be read is none that this program gives.
        let names = names.filter_map(|name| {
            let name = name.as_str()?;
            EngineName::parse(name.strip_prefix('/').unwrap_or(name)).ok()
        });
        taken.names.extend(names);
        let ports = container.get("Ports").and_then(Value::as_array).into_iter().flatten();
        taken.ports.extend(ports.filter_map(published));
    }
    Ok(taken)
}

fn owner(container: &Value) -> Option<Owner> {
    let text = |key: &str| Some(container.pointer("/Labels")?.get(key)?.as_str()?.to_owned());
    let (installation, instance) = (text(Owner::LABEL_INSTALLATION), text(Owner::LABEL_INSTANCE));
    labels::owner(|key| match key {
        Owner::LABEL_INSTALLATION => installation.as_ref(),
        _ => instance.as_ref(),
    })
}

/// A port as the engine lists it; `None` for one that is not published, or of another protocol.
fn published(port: &Value) -> Option<HeldPort> {
    let protocol = port.get("Type")?.as_str()?.parse().ok()?;
    let number = Port::try_from(port.get("PublicPort")?.as_u64()?).ok()?;
    let address = port.get("IP").and_then(Value::as_str).and_then(|text| text.parse().ok());
    Some(HeldPort { protocol, port: number, address })
}

/// The ports that something listens on in this program's network namespace. Blocks.
fn listening() -> DriverResult<BTreeSet<HeldPort>> {
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

    #[test]
    fn containers_of_others_are_told_from_ours() {
        let json = br#"[
            {"Names": ["/mn.ours"], "Labels": {"llcm.installation": "00c0ffee",
              "llcm.instance": "0123abcd-0000-4000-8000-000000000000"},
             "Ports": [{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}]},
            {"Names": ["/mn.theirs"], "Labels": {"llcm.installation": "0badcafe",
              "llcm.instance": "0123abcd-0000-4000-8000-000000000000"},
             "Ports": [{"IP": "::", "PrivatePort": 80, "PublicPort": 8081, "Type": "tcp"},
                       {"PrivatePort": 81, "PublicPort": 81, "Type": "udp"},
                       {"PrivatePort": 82, "Type": "tcp"}, {"PublicPort": 83, "Type": "sctp"}]},
            {"Names": ["/mn.half"], "Labels": {"llcm.installation": "00c0ffee"}, "Ports": null},
            {"Names": ["/db", "/web/db"], "Labels": null, "State": "a word of its own"},
            {"Names": null}
        ]"#;
        let taken = foreign(json, &InstallationId::parse("00c0ffee").unwrap()).unwrap();
        let names: Vec<_> = taken.names.iter().map(EngineName::as_str).collect();
        assert_eq!(names, ["db", "mn.half", "mn.theirs"]);
        let expected = [held(Protocol::Tcp, 8081, "::"), held(Protocol::Udp, 81, "")];
        assert_eq!(taken.ports, expected.into());
        assert!(foreign(b"{}", &InstallationId::from_bits(1)).is_err());
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
