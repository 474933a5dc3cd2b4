//! Reading what other programs and servers say.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use llcm_runtime::contract::SeenInterface;
use serde_json::Value;

/// The interfaces in what `ip -json address show` prints, without those named.
///
/// # Panics
/// When it is not what that program prints.
#[must_use]
pub fn interfaces(shown: &Value, without: &[&str]) -> Vec<SeenInterface> {
    let all = shown.as_array().into_iter().flatten();
    all.filter(|it| !without.iter().any(|name| it["ifname"] == *name)).map(seen).collect()
}

fn seen(interface: &Value) -> SeenInterface {
    let text = |key: &str| interface[key].as_str().unwrap_or_else(|| panic!("no {key} in {interface}"));
    let addresses = interface["addr_info"].as_array().into_iter().flatten();
    let addresses = addresses.filter(|address| address["scope"] != "link");
    let cidr = |address: &Value| {
        let text = format!("{}/{}", address["local"].as_str().unwrap_or(""), address["prefixlen"]);
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    };
    let flags = interface["flags"].as_array().into_iter().flatten();
    SeenInterface {
        name: text("ifname").parse().expect("the kernel's names are valid"),
        mac: text("address").parse().expect("the kernel's addresses are valid"),
        mtu: interface["mtu"]
            .as_u64()
            .and_then(|mtu| mtu.try_into().ok())
            .expect("every interface has an MTU"),
        addresses: addresses.map(cidr).collect(),
        up: flags.into_iter().any(|flag| flag == "UP"),
    }
}

/// Whether a server at a port of this host's loopback answers a request for a path with 200, in `time`.
#[must_use]
pub fn answers_http(port: u16, path: &str, time: Duration) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), time)?;
        stream.set_read_timeout(Some(time))?;
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        std::io::Result::Ok(answer.starts_with(b"HTTP/1.0 200") || answer.starts_with(b"HTTP/1.1 200"))
    };
    ask().unwrap_or(false)
}
