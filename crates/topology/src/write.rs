//! Topology -> file.

use std::fmt::Write as _;

use crate::model::{Capacity, DataCenter, Link, LinkProperties, Topology};
use crate::units::{show_bandwidth, show_cpu, show_duration, show_loss, show_memory};

/// Writes a topology file: [`load()`](crate::load()) reads it as the same topology, without findings. Templates are written
/// out.
#[must_use]
pub fn to_yaml(topology: &Topology) -> String {
    let mut file = String::from("datacenters:\n");
    for datacenter in &topology.datacenters {
        file.push_str(&site(datacenter));
    }
    if !topology.links.is_empty() {
        file.push_str("links:\n");
    }
    for link in &topology.links {
        file.push_str(&joint(link));
    }
    file
}

fn site(datacenter: &DataCenter) -> String {
    let DataCenter { name, metadata, capacity, engine } = datacenter;
    let mut text = format!("  - name: {}\n", quoted(name.as_str()));
    if !metadata.is_empty() {
        text.push_str("    metadata:\n");
        for (key, value) in metadata {
            let _ = writeln!(text, "      {}: {}", quoted(key), quoted(value));
        }
    }
    let Capacity { cpu_milli, memory_bytes } = *capacity;
    let cpu = cpu_milli.map(|milli| format!("cpu: {}", show_cpu(milli)));
    let memory = memory_bytes.map(|bytes| format!("memory: {}", show_memory(bytes)));
    let capacity: Vec<_> = cpu.into_iter().chain(memory).collect();
    if !capacity.is_empty() {
        let _ = writeln!(text, "    capacity: {{{}}}", capacity.join(", "));
    }
    if let Some(engine) = engine {
        let _ = writeln!(text, "    engine: {}", quoted(engine));
    }
    text
}

fn joint(link: &Link) -> String {
    let Link { name, a, b, up } = link;
    let ends = format!("[{}, {}]", quoted(a.dc.as_str()), quoted(b.dc.as_str()));
    let mut text = format!("  - ends: {ends}\n    name: {}\n", quoted(name));
    let both = shared(&a.egress, &b.egress);
    for property in properties(&both, &LinkProperties::default()) {
        let _ = writeln!(text, "    {property}");
    }
    for (key, end) in [("forward", a), ("backward", b)] {
        let own = properties(&end.egress, &both);
        if !own.is_empty() {
            let _ = writeln!(text, "    {key}: {{{}}}", own.join(", "));
        }
    }
    if !up {
        text.push_str("    up: false\n");
    }
    text
}

/// What both directions have. A direction cannot take back what is said of both; and of delay and jitter both belong
/// to one place, for the one may not be larger than the other there.
fn shared(a: &LinkProperties, b: &LinkProperties) -> LinkProperties {
    let none = LinkProperties::default();
    let same_delay = a.delay_us == b.delay_us && a.jitter_us == b.jitter_us;
    let (delay_us, jitter_us) = if same_delay { (a.delay_us, a.jitter_us) } else { (0, 0) };
    LinkProperties {
        bandwidth_bps: a.bandwidth_bps.filter(|_| a.bandwidth_bps == b.bandwidth_bps),
        delay_us,
        jitter_us,
        loss_ppm: if a.loss_ppm == b.loss_ppm { a.loss_ppm } else { none.loss_ppm },
        mtu: a.mtu.filter(|_| a.mtu == b.mtu),
        queue_packets: a.queue_packets.filter(|_| a.queue_packets == b.queue_packets),
    }
}

/// The properties that are not those of the base, as `key: value`.
fn properties(own: &LinkProperties, base: &LinkProperties) -> Vec<String> {
    let LinkProperties { bandwidth_bps, delay_us, jitter_us, loss_ppm, mtu, queue_packets } = *own;
    let mut texts = Vec::new();
    let mut add = |key: &str, differs: bool, value: Option<String>| {
        texts.extend(value.filter(|_| differs).map(|value| format!("{key}: {value}")));
    };
    add("bandwidth", bandwidth_bps != base.bandwidth_bps, bandwidth_bps.map(show_bandwidth));
    add("delay", delay_us != base.delay_us, Some(show_duration(delay_us)));
    add("jitter", jitter_us != base.jitter_us, Some(show_duration(jitter_us)));
    add("loss", loss_ppm != base.loss_ppm, Some(show_loss(loss_ppm)));
    add("mtu", mtu != base.mtu, mtu.map(|mtu| mtu.to_string()));
    add("queue", queue_packets != base.queue_packets, queue_packets.map(|packets| packets.to_string()));
    texts
}

/// A text as YAML takes it for nothing else: plain where it looks like a word, in double quotes otherwise.
fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let word =
        text.bytes().next().is_some_and(|first| first.is_ascii_alphabetic()) && text.bytes().all(plain);
    // What other readers of YAML (1.1 and 1.2) take for a boolean or nothing.
    let other = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    if word && !other.contains(&text.to_ascii_lowercase().as_str()) {
        return text.to_owned();
    }
    let mut shown = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => shown.extend(['\\', c]),
            '\n' => shown.push_str("\\n"),
            '\t' => shown.push_str("\\t"),
            // Line breaks of YAML 1.1, and what may not stand in a file.
            c if c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') =>
            {
                let _ = write!(shown, "\\U{:08x}", u32::from(c));
            }
            c => shown.push(c),
        }
    }
    shown.push('"');
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(topology: &Topology) {
        let file = to_yaml(topology);
        let (read, findings) = crate::load(file.as_bytes());
        assert_eq!(findings, [], "{file}");
        assert_eq!(read.as_ref(), Some(topology), "{file}");
    }

    #[test]
    fn what_is_written_is_read_as_what_it_was() {
        for file in [
            "datacenters: [y, no, 010, 1e3, 'true', 'null', a.b-c_d]",
            "datacenters: [{name: a, metadata: {x: ' y ', '': '#', 'k: v': \"\\n\\t\\\"\\\\\\u2028\\x00é\"}}]",
            "datacenters: [{name: a, capacity: {cpu: 0.5, memory: 8GiB}, engine: 'my: engine'}, {name: b, capacity: {cpu: 4}}]",
            "datacenters: [a, b]
links:
- {ends: [a, b], bandwidth: 2.5Gbps, delay: 10ms, jitter: 1ms, loss: 0.1%, mtu: 1500, queue: 10}
- {ends: [a, b], name: 'a: \"b\"', forward: {bandwidth: 1Mbps, delay: 1ms, jitter: 1ms}, backward: {mtu: 1280, loss: 100%}}
- {ends: [b, a], delay: 5ms, jitter: 2ms, forward: {delay: 3ms}, backward: {delay: 0, jitter: 0}}
- {ends: [b, a], bandwidth: 5Mbps, queue: 7, up: false, backward: {bandwidth: 6Mbps}}",
            "templates: [{shape: grid, prefix: g, rows: 3, columns: 2, links: {delay: 1ms, forward: {loss: 1%}}}]",
        ] {
            let (topology, findings) = crate::load(file.as_bytes());
            assert_eq!(findings, []);
            again(&topology.unwrap());
        }
        again(&crate::default_topology());
    }

    #[test]
    fn files_are_for_people_too() {
        let file = "datacenters: [a, {name: b, metadata: {city: New York}, capacity: {cpu: 2}}]
links: [{ends: [a, b], delay: 10ms, bandwidth: 1Gbps, backward: {loss: 1%}}]";
        let (topology, _) = crate::load(file.as_bytes());
        assert_eq!(
            to_yaml(&topology.unwrap()),
            "datacenters:
  - name: a
  - name: b
    metadata:
      city: \"New York\"
    capacity: {cpu: 2}
links:
  - ends: [a, b]
    name: a-b
    bandwidth: 1Gbps
    delay: 10ms
    backward: {loss: 1%}
"
        );
    }
}
