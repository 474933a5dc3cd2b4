//! What all drawings say of links and data centers.

use llcm_topology::units::{show_bandwidth, show_cpu, show_duration, show_loss, show_memory};
use llcm_topology::{DataCenter, Link, LinkProperties};

use crate::model::Chain;

/// `cpu 4`, `memory 8GiB`, `engine docker`: as far as they are stated.
pub(crate) fn traits(datacenter: &DataCenter) -> Vec<String> {
    let DataCenter { name: _, metadata: _, capacity, engine } = datacenter;
    let cpu = capacity.cpu_milli.map(|milli| format!("cpu {}", show_cpu(milli)));
    let memory = capacity.memory_bytes.map(|bytes| format!("memory {}", show_memory(bytes)));
    let engine = engine.as_ref().map(|engine| format!("engine {engine}"));
    [cpu, memory, engine].into_iter().flatten().collect()
}

/// `chain 4`, its match and its priority.
pub(crate) fn chain_words(chain: &Chain) -> Vec<String> {
    let mut words = vec![format!("chain {}", chain.id)];
    words.extend(Some(chain.matches.clone()).filter(|matches| !matches.is_empty()));
    words.push(format!("priority {}", chain.priority));
    words
}

/// `100Mbps`, `delay 10ms`, ...: what is emulated.
pub(crate) fn properties(properties: &LinkProperties) -> Vec<String> {
    let LinkProperties { bandwidth_bps, delay_us, jitter_us, loss_ppm, mtu, queue_packets } = *properties;
    let stated = [
        bandwidth_bps.map(show_bandwidth),
        (delay_us > 0).then(|| format!("delay {}", show_duration(delay_us))),
        (jitter_us > 0).then(|| format!("jitter {}", show_duration(jitter_us))),
        (loss_ppm > 0).then(|| format!("loss {}", show_loss(loss_ppm))),
        mtu.map(|mtu| format!("mtu {mtu}")),
        queue_packets.map(|packets| format!("queue {packets}")),
    ];
    stated.into_iter().flatten().collect()
}

/// A link's properties, a line for each direction where they differ; with `down` where it is.
pub(crate) fn both_ways(link: &Link) -> Vec<String> {
    let Link { name: _, a, b, up } = link;
    let mut lines: Vec<String> = Vec::new();
    if !up {
        lines.push("down".to_owned());
    }
    if a.egress == b.egress {
        let stated = properties(&a.egress).join(", ");
        lines.extend(Some(stated).filter(|stated| !stated.is_empty()));
        return lines;
    }
    for (from, to) in [(a, b), (b, a)] {
        let stated = properties(&from.egress);
        let stated = if stated.is_empty() { "not limited".to_owned() } else { stated.join(", ") };
        lines.push(format!("from {} to {}: {stated}", from.dc, to.dc));
    }
    lines
}
