//! An address to listen on, with the dialect spoken there.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::str::FromStr;

use llcm_lifecycle::Dialect;

/// `127.0.0.1:5000`, `[::1]:5000`, `localhost:5000`, each also as `tango=...` or `sonata=...`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listen {
    /// What is spoken there.
    pub(crate) dialect: Dialect,
    /// The address; port 0 lets the kernel choose.
    pub(crate) address: SocketAddr,
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (dialect, address) = match text.split_once('=') {
            None => (Dialect::Tango, text),
            Some(("tango", address)) => (Dialect::Tango, address),
            Some(("sonata", address)) => (Dialect::Sonata, address),
            Some((other, _)) => {
                return Err(format!(
                    "unknown dialect `{other}`: write tango=ADDRESS:PORT or sonata=ADDRESS:PORT"
                ));
            }
        };
        Ok(Self { dialect, address: parse_address(address)? })
    }
}

/// A literal address, or the name of the loopback address: other names may resolve to anything.
fn parse_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if text.starts_with("localhost:")
        && let Ok(mut addresses) = text.to_socket_addrs()
        && let Some(address) = addresses.find(SocketAddr::is_ipv4)
    {
        return Ok(address);
    }
    Err("expected ADDRESS:PORT (127.0.0.1:5000)".to_owned())
}
