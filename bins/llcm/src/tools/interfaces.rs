//! `interfaces [NAME...]`: the network interfaces that are here, with addresses and counters.

mod addresses;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

use super::WrongUsage;

pub(super) const USAGE: &str = "interfaces [NAME]...";

/// Where the kernel tells about them.
const INTERFACES: &str = "/sys/class/net";

pub(super) fn run(arguments: &[&str]) -> anyhow::Result<ExitCode> {
    if arguments.iter().any(|name| name.starts_with('-')) {
        return Err(WrongUsage.into());
    }
    let root = Path::new(INTERFACES);
    let names =
        if arguments.is_empty() { all(root)? } else { arguments.iter().map(|it| (*it).into()).collect() };
    let addresses = addresses::by_interface().context("cannot ask the kernel for addresses")?;
    for name in names {
        crate::output::line(described(root, &name, &addresses)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn all(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root).with_context(|| format!("cannot list {}", root.display()))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn described(root: &Path, name: &str, addresses: &BTreeMap<u32, Vec<String>>) -> anyhow::Result<String> {
    let read = |part: &str| {
        let text = fs::read_to_string(root.join(name).join(part));
        text.map(|text| text.trim().to_owned()).with_context(|| format!("there is no interface `{name}`"))
    };
    let index: u32 = read("ifindex")?.parse().context("an index that is no number")?;
    let mut told = format!("{name}: {}, MTU {}, MAC {}", read("operstate")?, read("mtu")?, read("address")?);
    for address in addresses.get(&index).into_iter().flatten() {
        told += &format!("\n    address {address}");
    }
    for (word, direction) in [("received", "rx"), ("sent", "tx")] {
        let counter = |what: &str| read(&format!("statistics/{direction}_{what}"));
        told += &format!("\n    {word} {} packets, {} bytes", counter("packets")?, counter("bytes")?);
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_described_by_the_kernels_files() {
        let root = tempfile::tempdir().unwrap();
        let statistics = root.path().join("output/statistics");
        fs::create_dir_all(&statistics).unwrap();
        for (file, text) in [
            ("ifindex", "7\n"),
            ("operstate", "up\n"),
            ("mtu", "1500\n"),
            ("address", "16:6c:70:ea:e0:7b\n"),
            ("statistics/rx_packets", "10\n"),
            ("statistics/rx_bytes", "972\n"),
            ("statistics/tx_packets", "11\n"),
            ("statistics/tx_bytes", "811\n"),
        ] {
            fs::write(root.path().join("output").join(file), text).unwrap();
        }
        let addresses =
            BTreeMap::from([(7, vec!["20.0.1.1/24".to_owned()]), (8, vec!["::1/128".to_owned()])]);
        assert_eq!(
            described(root.path(), "output", &addresses).unwrap(),
            "output: up, MTU 1500, MAC 16:6c:70:ea:e0:7b\n    address 20.0.1.1/24\n    \
             received 10 packets, 972 bytes\n    sent 11 packets, 811 bytes"
        );
        assert!(described(root.path(), "input", &addresses).is_err());
    }
}
