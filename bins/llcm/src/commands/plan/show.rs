//! A plan for people, from its public JSON form.

use llcm_lifecycle::Dialect;
use llcm_lifecycle::plan::document::{ContainerDocument, EndDocument, InstanceDocument, PlanDocument};
use llcm_names::ContainerName;
use llcm_topology::{Capacity, DataCenter, Topology};

use crate::commands::offline::counts;
use crate::output::{line, print_table, size, table};

/// Writes a plan as tables, findings first.
pub(super) fn show(document: &PlanDocument, topology: &Topology) -> anyhow::Result<()> {
    for finding in &document.diagnostics {
        line(finding)?;
    }
    if let Some(package) = &document.package {
        line(format_args!("package {}, dialect {}", package.id, dialect(document.dialect)))?;
    }
    if document.instances.is_empty() {
        let (errors, _) = counts(&document.diagnostics);
        return line(format_args!("cannot be planned: {errors} error{}", if errors == 1 { "" } else { "s" }));
    }
    let reserved = &document.reserved;
    for (kind, subnets) in
        [("E-Lines", &reserved.eline), ("E-LANs", &reserved.elan), ("service access points", &reserved.sap)]
    {
        if !subnets.is_empty() {
            let subnets: Vec<String> = subnets.iter().map(ToString::to_string).collect();
            line(format_args!("reserved for {kind}: {}", subnets.join(" ")))?;
        }
    }
    document.instances.iter().try_for_each(show_instance)?;
    show_use(document, topology)
}

/// What the instances take of data centers that state what they have.
fn show_use(document: &PlanDocument, topology: &Topology) -> anyhow::Result<()> {
    let stated = |dc: &&DataCenter| dc.capacity != Capacity::default();
    if !topology.datacenters.iter().any(|dc| stated(&dc)) {
        return Ok(());
    }
    let rows = topology.datacenters.iter().map(|dc| {
        let all = document.instances.iter().flat_map(|instance| &instance.containers);
        let here: Vec<_> = all.filter(|container| container.datacenter == dc.name).collect();
        // A limit can be as large as numbers are.
        let milli = here.iter().filter_map(|container| share(container)).fold(0, u64::saturating_add);
        let memory = here.iter().filter_map(|container| container.mem_limit).fold(0, u64::saturating_add);
        let of = |stated: Option<String>| stated.map(|stated| format!(" of {stated}")).unwrap_or_default();
        vec![
            dc.name.to_string(),
            here.len().to_string(),
            format!("{}{}", cpus(milli), of(dc.capacity.cpu_milli.map(cpus))),
            format!("{}{}", size(memory), of(dc.capacity.memory_bytes.map(size))),
        ]
    });
    line("")?;
    print_table(&table(&["DC", "UNITS", "CPU", "MEMORY"], rows))
}

fn show_instance(instance: &InstanceDocument) -> anyhow::Result<()> {
    line(format_args!("\ninstance {}\n", instance.name))?;
    if let Some(placement) = &instance.placement {
        line(format_args!("placement {placement}\n"))?;
    }
    let rows = instance.containers.iter().map(|container| {
        let ports = container.port_bindings.iter();
        let engines = container.management.iter().map(|one| one.name.as_str());
        let wired = container.interfaces.iter().map(|one| one.name.as_str());
        let interfaces: Vec<&str> = engines.chain(wired).collect();
        vec![
            container.name.to_string(),
            container.datacenter.to_string(),
            container.image.clone(),
            cpu(container),
            container.mem_limit.map(size).unwrap_or_default(),
            interfaces.join(" "),
            ports
                .map(|port| format!("{}:{}/{}", port.host, port.container, port.protocol))
                .collect::<Vec<_>>()
                .join(" "),
        ]
    });
    let header = ["CONTAINER", "DC", "IMAGE", "CPU", "MEMORY", "INTERFACES", "PORTS"];
    print_table(&table(&header, rows))?;
    let elines = instance.elines.iter().map(|link| {
        let arrow = if link.bidirectional { " <-> " } else { " -> " };
        vec![link.id.clone(), "E-Line".to_owned(), link.subnet.to_string(), ends(&link.ends, arrow)]
    });
    let elans = instance.elans.iter().map(|link| {
        vec![link.id.clone(), "E-LAN".to_owned(), link.subnet.to_string(), ends(&link.members, "  ")]
    });
    let links: Vec<Vec<String>> = elines.chain(elans).collect();
    if !links.is_empty() {
        line("")?;
        print_table(&table(&["LINK", "KIND", "SUBNET", "ENDS"], links))?;
    }
    if !instance.saps.is_empty() {
        line("")?;
        let rows = instance.saps.iter().map(|sap| {
            let place = sap.container.as_ref().map_or("this host", ContainerName::as_str);
            let address = sap.address.map(|address| address.to_string()).unwrap_or_default();
            vec![sap.id.clone(), sap.kind.clone(), sap.datacenter.to_string(), place.to_owned(), address]
        });
        print_table(&table(&["SAP", "KIND", "DC", "WHERE", "ADDRESS"], rows))?;
    }
    for container in &instance.containers {
        for (name, value) in container.environment.iter().filter(|(name, _)| name.starts_with("SON_EMU_CMD"))
        {
            let what = if name == "SON_EMU_CMD" { "starts with" } else { "stops with" };
            line(format_args!("\n{} {what}:\n  {}", container.name, value.trim_end().replace('\n', "\n  ")))?;
        }
    }
    Ok(())
}

/// `0,1 x 0.5`: the CPUs it is pinned to, and its share of one CPU's time.
fn cpu(container: &ContainerDocument) -> String {
    let mut words = Vec::new();
    words.extend(container.cpuset_cpus.iter().filter(|list| !list.is_empty()).cloned());
    words.extend(share(container).map(|milli| format!("x {}", cpus(milli))));
    words.join(" ")
}

/// The share of CPU time in thousandths of a CPU: exact enough for people, and needs no floating point.
fn share(container: &ContainerDocument) -> Option<u64> {
    container.cpu_quota?.saturating_mul(1000).checked_div(container.cpu_period?)
}

fn cpus(milli: u64) -> String {
    let text = format!("{}.{:03}", milli / 1000, milli % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn ends(ends: &[EndDocument], between: &str) -> String {
    let words: Vec<String> =
        ends.iter().map(|end| format!("{}:{}={}", end.container, end.interface, end.address)).collect();
    words.join(between)
}

fn dialect(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Tango => "tango",
        Dialect::Sonata => "sonata",
    }
}
