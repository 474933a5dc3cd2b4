//! Published ports: ports of the host that lead to ports of containers.
//!
//! There are two ways. *Rules of nf_tables* translate addresses inside the kernel; they need root, keep the clients'
//! addresses and go on without this program. The *proxy* in this program needs nothing. With rules, the proxy
//! listens all the same: its sockets keep other programs off the port, and it serves what the rules leave out.
//! What each way can and cannot do is in `docs/engine-ports.md`.
//!
//! Reading order: this file, `ports` (what is published now), `bind` and `proxy`; `pair`, `rules` and
//! `forwarding` (the rules).

pub(crate) mod bind;
mod forwarding;
mod pair;
pub(crate) mod ports;
mod proxy;
mod rules;

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::error::EngineError;
use crate::host_sockets::Protocol;

/// Where the addresses of containers with published ports are from, where rules are used: link-local ones (RFC 3927),
/// which no router passes on, without the one that clouds use.
pub const PUBLISH_NETWORK: &str = "169.254.64.0/18";

/// A port of the host that leads to a port of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Publish {
    /// What is sent to it.
    pub protocol: Protocol,
    /// The host's address; `None` or `::`: all addresses, of IPv4 and IPv6; `0.0.0.0`: all of IPv4.
    #[serde(default)]
    pub host_ip: Option<IpAddr>,
    /// The host's port, 1 to 65535.
    pub host_port: u16,
    /// The container's port, 1 to 65535.
    pub container_port: u16,
}

/// Which way ports are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PublishVia {
    /// By rules where they work, else by the proxy; [`Publishing`] tells which and why.
    #[default]
    Auto,
    /// By rules; where they do not work a container that publishes something cannot be made.
    Nft,
    /// By the proxy.
    Proxy,
}

/// How an engine publishes ports, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publishing {
    /// `Nft` or `Proxy`, never `Auto`.
    pub via: PublishVia,
    /// Why this way, in a sentence.
    pub reason: String,
    /// What could not be published again when the engine was opened, each with its container; empty when all is well.
    pub problems: Vec<String>,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

impl fmt::Display for Publish {
    /// As `tcp 127.0.0.1:8080`, or `tcp 8080` for all addresses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { protocol, host_port, .. } = self;
        match self.address() {
            Some(address) => write!(f, "{protocol} {}", std::net::SocketAddr::new(address, *host_port)),
            None => write!(f, "{protocol} {host_port}"),
        }
    }
}

impl Publish {
    /// The host's address; `None`: all.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.host_ip.filter(|address| !(address.is_ipv6() && address.is_unspecified()))
    }

    /// Whether other machines can reach it by IPv4.
    pub(crate) fn is_for_others(&self) -> bool {
        self.address().is_none_or(|address| address.is_ipv4() && !address.is_loopback())
    }

    /// Whether it has anything to do with IPv4, for which alone there are rules.
    pub(crate) fn has_rules(&self) -> bool {
        self.address().is_none_or(|address| address.is_ipv4())
    }

    /// Whether both would need the same port of the same address.
    pub(crate) fn clashes(&self, other: &Self) -> bool {
        let addresses = match (self.address(), other.address()) {
            (Some(one), Some(other)) => {
                one == other
                    || one.is_ipv4() == other.is_ipv4() && (one.is_unspecified() || other.is_unspecified())
            }
            _ => true,
        };
        addresses && (self.protocol, self.host_port) == (other.protocol, other.host_port)
    }
}

/// Checks the ports of one container.
pub(crate) fn check(publish: &[Publish]) -> Result<(), EngineError> {
    for (number, port) in publish.iter().enumerate() {
        if port.host_port == 0 || port.container_port == 0 {
            let text = format!("published port {port} to {}: 0 is no port", port.container_port);
            return Err(EngineError::Invalid(text));
        }
        if publish.iter().take(number).any(|other| other.clashes(port)) {
            return Err(EngineError::Invalid(format!("port {port} is published twice: leave one out")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(address: Option<&str>, host_port: u16) -> Publish {
        let host_ip = address.map(|it| it.parse().unwrap());
        Publish { protocol: Protocol::Tcp, host_ip, host_port, container_port: 80 }
    }

    #[test]
    fn a_port_is_published_once() {
        for (one, other, fine) in [
            (port(None, 1), port(None, 2), true),
            (port(None, 1), port(None, 1), false),
            (port(None, 1), port(Some("10.0.0.1"), 1), false),
            (port(Some("::"), 1), port(Some("10.0.0.1"), 1), false),
            (port(Some("0.0.0.0"), 1), port(Some("10.0.0.1"), 1), false),
            (port(Some("0.0.0.0"), 1), port(Some("::1"), 1), true),
            (port(Some("10.0.0.2"), 1), port(Some("10.0.0.1"), 1), true),
            (port(Some("10.0.0.1"), 1), port(Some("10.0.0.1"), 1), false),
            (port(None, 1), Publish { protocol: Protocol::Udp, ..port(None, 1) }, true),
            (port(None, 1), Publish { container_port: 81, ..port(None, 1) }, false),
            (port(None, 0), port(None, 1), false),
            (Publish { container_port: 0, ..port(None, 2) }, port(None, 1), false),
        ] {
            assert_eq!(check(&[one, other]).is_ok(), fine, "{one:?} {other:?}");
        }
    }

    #[test]
    fn ports_are_written_as_people_write_them() {
        assert_eq!(port(None, 80).to_string(), "tcp 80");
        assert_eq!(port(Some("::1"), 80).to_string(), "tcp [::1]:80");
        let text = r#"{"protocol":"udp","host_port":53,"container_port":5353}"#;
        let read: Publish = serde_json::from_str(text).unwrap();
        assert_eq!((read.to_string().as_str(), read.container_port), ("udp 53", 5353));
        assert!(read.is_for_others() && !port(Some("127.0.0.2"), 1).is_for_others());
        assert!(port(Some("0.0.0.0"), 1).is_for_others() && !port(Some("2001:db8::1"), 1).has_rules());
    }
}
