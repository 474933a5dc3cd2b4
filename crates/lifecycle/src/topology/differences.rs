//! What is different between two topologies, in words and with all values: for somebody who wants to make changes again
//! that were forgotten.

use std::collections::BTreeMap;

use llcm_topology::units::{show_bandwidth, show_cpu, show_duration, show_loss, show_memory};
use llcm_topology::{DataCenter, Link, LinkEnd, LinkProperties, Topology};

/// A line for each data center and each link that is different.
pub(super) fn differences(from: &Topology, to: &Topology) -> Vec<String> {
    let mut found = Vec::new();
    let (old, new) = (sites(from), sites(to));
    for datacenter in &from.datacenters {
        let name = &datacenter.name;
        match new.get(name.as_str()) {
            None => found.push(format!("data center {name} is not there")),
            Some(other) => {
                found.extend(changed(&format!("data center {name}"), &traits(datacenter), &traits(other)))
            }
        }
    }
    for datacenter in to.datacenters.iter().filter(|it| !old.contains_key(it.name.as_str())) {
        found.push(with(format!("data center {} is new", datacenter.name), &traits(datacenter)));
    }
    // Placement follows the order; what comes stands behind the others.
    let stay = |one: &Topology, other: &BTreeMap<&str, &DataCenter>| -> Vec<String> {
        let names = one.datacenters.iter().map(|datacenter| datacenter.name.to_string());
        names.filter(|name| other.contains_key(name.as_str())).collect()
    };
    if stay(from, &new) != stay(to, &old) {
        let order: Vec<_> = to.datacenters.iter().map(|datacenter| datacenter.name.as_str()).collect();
        found.push(format!("the order of the data centers is {}", order.join(", ")));
    }
    let (old, new) = (links(from), links(to));
    for link in &from.links {
        match new.get(link.name.as_str()) {
            None => found.push(format!("link {} is not there", link.name)),
            Some(other) => {
                found.extend(changed(&format!("link {}", link.name), &properties(link), &properties(other)));
            }
        }
    }
    for link in to.links.iter().filter(|link| !old.contains_key(link.name.as_str())) {
        found.push(with(format!("link {} is new", link.name), &properties(link)));
    }
    found
}

fn sites(topology: &Topology) -> BTreeMap<&str, &DataCenter> {
    topology.datacenters.iter().map(|datacenter| (datacenter.name.as_str(), datacenter)).collect()
}

fn links(topology: &Topology) -> BTreeMap<&str, &Link> {
    topology.links.iter().map(|link| (link.name.as_str(), link)).collect()
}

/// Something's values by what they are, in the order in which they are told; what is not stated is missing.
type Values = Vec<(String, String)>;

fn traits(datacenter: &DataCenter) -> Values {
    let DataCenter { name: _, metadata, capacity, engine } = datacenter;
    let value = |key: &str, value: Option<String>| Some((key.to_owned(), value?));
    let stated = [
        value("cpu", capacity.cpu_milli.map(show_cpu)),
        value("memory", capacity.memory_bytes.map(show_memory)),
        value("engine", engine.as_ref().map(|engine| format!("{engine:?}"))),
    ];
    let metadata = metadata.iter().map(|(key, value)| (format!("metadata {key:?}"), format!("{value:?}")));
    stated.into_iter().flatten().chain(metadata).collect()
}

fn properties(link: &Link) -> Values {
    let Link { name: _, a, b, up } = link;
    let mut values = vec![
        ("ends".to_owned(), format!("{} and {}", a.dc, b.dc)),
        ("state".to_owned(), if *up { "up" } else { "down" }.to_owned()),
    ];
    values.extend(direction(a));
    values.extend(direction(b));
    values
}

fn direction(end: &LinkEnd) -> Values {
    let LinkProperties { bandwidth_bps, delay_us, jitter_us, loss_ppm, mtu, queue_packets } = end.egress;
    let stated = [
        ("bandwidth", bandwidth_bps.map(show_bandwidth)),
        ("delay", (delay_us > 0).then(|| show_duration(delay_us))),
        ("jitter", (jitter_us > 0).then(|| show_duration(jitter_us))),
        ("loss", (loss_ppm > 0).then(|| show_loss(loss_ppm))),
        ("mtu", mtu.map(|mtu| mtu.to_string())),
        ("queue", queue_packets.map(|packets| packets.to_string())),
    ];
    let named =
        stated.into_iter().filter_map(|(key, value)| Some((format!("{key} from {}", end.dc), value?)));
    named.collect()
}

/// `link a-b: delay from a 5ms -> 20ms, loss from a none -> 1%`; nothing where all is the same.
fn changed(what: &str, from: &Values, to: &Values) -> Option<String> {
    let find = |values: &Values, key: &str| {
        let found = values.iter().find(|(other, _)| other == key);
        found.map_or_else(|| "none".to_owned(), |(_, value)| value.clone())
    };
    let further = to.iter().filter(|(key, _)| !from.iter().any(|(other, _)| other == key));
    let told: Vec<_> = from
        .iter()
        .chain(further)
        .map(|(key, _)| (key, find(from, key), find(to, key)))
        .filter(|(_, old, new)| old != new)
        .map(|(key, old, new)| format!("{key} {old} -> {new}"))
        .collect();
    (!told.is_empty()).then(|| format!("{what}: {}", told.join(", ")))
}

fn with(what: String, values: &Values) -> String {
    let told: Vec<_> = values.iter().map(|(key, value)| format!("{key} {value}")).collect();
    if told.is_empty() { what } else { format!("{what}: {}", told.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topology(text: &str) -> Topology {
        llcm_topology::load(text.as_bytes()).0.unwrap()
    }

    #[test]
    fn all_that_is_different_is_told_with_its_values() {
        let from = topology(
            "datacenters: [a, b, {name: d, capacity: {cpu: 2}, metadata: {rack: 7}}]
links: [{ends: [a, b], delay: 5ms}, [a, d]]",
        );
        let to = topology(
            "datacenters: [b, a, {name: c, capacity: {memory: 8GiB}, engine: docker}]
links:
- {ends: [a, b], delay: 5ms, up: false, forward: {delay: 20ms, loss: 1%, bandwidth: 1Mbps}}
- {ends: [b, c], mtu: 1400, backward: {queue: 9}}",
        );
        assert_eq!(
            differences(&from, &to),
            [
                "data center d is not there",
                "data center c is new: memory 8GiB, engine \"docker\"",
                "the order of the data centers is b, a, c",
                "link a-b: state up -> down, delay from a 5ms -> 20ms, bandwidth from a none -> 1Mbps, loss from a none -> 1%",
                "link a-d is not there",
                "link b-c is new: ends b and c, state up, mtu from b 1400, mtu from c 1400, queue from c 9",
            ]
        );
        let back = differences(&to, &from);
        assert_eq!(back[1], "data center d is new: cpu 2, metadata \"rack\" \"7\"");
        assert_eq!(back.len(), 6, "{back:?}");
        assert_eq!(differences(&from, &from), Vec::<String>::new());
        let other = topology("datacenters: [{name: a, capacity: {cpu: 1}}]");
        let same = topology("datacenters: [{name: a, metadata: {x: y}}]");
        assert_eq!(
            differences(&other, &same),
            ["data center a: cpu 1 -> none, metadata \"x\" none -> \"y\""]
        );
    }
}
