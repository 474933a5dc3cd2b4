//! IPv6 inside segments: neighbours are found by multicast, packets arrive, over patches, bridges and tunnels.

use llcm_runtime::SegmentKind;

use crate::bed::{Bed, E_LINE, Plug, exec, exec_ok, line};

/// Attaches a container with an IPv6 address to one segment.
async fn attach(bed: &mut Bed, port: u32, dc: &str, segment: u32) -> String {
    let name = format!("c{port}");
    bed.container(&name);
    let address = format!("10.0.0.{port}/24 fd00::{port:x}/64");
    let plug = Plug { port, dc, container: &name, ifname: "data", address: &address, segments: &[segment] };
    let instance = bed.instance(0);
    bed.attach(&instance, &plug).await;
    name
}

/// The address that the kernel gave the interface by itself.
fn link_local(bed: &Bed, container: &str) -> String {
    let shown =
        exec_ok(&bed.netns(container), &["ip", "-6", "-o", "addr", "show", "dev", "data", "scope", "link"]);
    let address = shown.split_whitespace().find(|word| word.starts_with("fe80::"));
    address.unwrap_or_else(|| panic!("{container}: {shown}")).split('/').next().unwrap().to_owned()
}

/// Whether an echo request of IPv6 is answered; an address is not used before it is known to be nobody else's, which
/// takes a kernel a second or two.
#[track_caller]
fn reaches(bed: &Bed, from: &str, to: &str) {
    let netns = bed.netns(from);
    let pings =
        || exec(&netns, &["ping", "-6", "-n", "-c", "2", "-i", "0.2", "-W", "1", to]).status.success();
    assert!((0..20).any(|_| pings()), "{from} does not reach {to}\n{}", bed.describe());
}

/// Everybody reaches everybody, by static and by link-local addresses, whom nobody told of one another.
fn check(bed: &Bed, names: &[(String, u32)]) {
    for (from, own) in names {
        for (to, port) in names.iter().filter(|(_, port)| port != own) {
            reaches(bed, from, &format!("fd00::{port:x}"));
            reaches(bed, from, &format!("{}%data", link_local(bed, to)));
        }
        let neighbours = exec_ok(&bed.netns(from), &["ip", "-6", "neigh", "show", "dev", "data"]);
        let known =
            neighbours.lines().filter(|line| line.starts_with("fd00::") && line.contains("lladdr")).count();
        assert_eq!(known, names.len() - 1, "{from}: {neighbours}");
    }
}

#[tokio::test]
async fn over_an_e_line_within_and_across_data_centers() {
    let Some(mut bed) = Bed::new(&line()).await else { return };
    let instance = bed.instance(0);
    for (number, far) in [(1, "dc1"), (2, "dc2"), (3, "dc3")] {
        let ports = [number * 16, number * 16 + 1];
        bed.ensure(&instance, number, E_LINE, &[(ports[0], "dc1"), (ports[1], far)]).await;
        let left = attach(&mut bed, ports[0], "dc1", number).await;
        let right = attach(&mut bed, ports[1], far, number).await;
        check(&bed, &[(left, ports[0]), (right, ports[1])]);
    }
}

#[tokio::test]
async fn over_an_e_lan_across_data_centers() {
    let Some(mut bed) = Bed::new(&line()).await else { return };
    let instance = bed.instance(0);
    let sites = [(1, "dc1"), (2, "dc1"), (3, "dc2"), (4, "dc3")];
    bed.ensure(&instance, 7, SegmentKind::ELan, &sites).await;
    let mut names = Vec::new();
    for (port, dc) in sites {
        names.push((attach(&mut bed, port, dc, 7).await, port));
    }
    check(&bed, &names);
    // A group: all others answer.
    let all =
        exec_ok(&bed.netns("c1"), &["ping", "-6", "-n", "-c", "10", "-i", "0.3", "-W", "20", "ff02::1%data"]);
    for (name, _) in &names[1..] {
        let address = link_local(&bed, name);
        assert!(all.contains(&format!("from {address}%data")), "{name} {address}: {all}");
    }
}
