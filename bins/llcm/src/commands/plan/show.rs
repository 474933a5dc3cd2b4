//! A plan for people, from its public JSON form.

use std::collections::BTreeMap;

use llcm_descriptors::{Diagnostic, Severity};
use serde::Deserialize;

use crate::output::{line, print_table, table};

/// The plan document, as far as people are shown it.
#[derive(Debug, Deserialize)]
pub(super) struct Document {
    dialect: String,
    package: Option<Package>,
    reserved: BTreeMap<String, Vec<String>>,
    diagnostics: Vec<Diagnostic>,
    instances: Vec<Instance>,
}

#[derive(Debug, Deserialize)]
struct Package {
    vendor: String,
    name: String,
    version: String,
}

#[derive(Debug, Deserialize)]
struct Instance {
    name: String,
    containers: Vec<Container>,
    elines: Vec<ELine>,
    elans: Vec<ELan>,
}

#[derive(Debug, Deserialize)]
struct Container {
    name: String,
    datacenter: String,
    image: String,
    cpuset_cpus: Option<String>,
    cpu_period: Option<u64>,
    cpu_quota: Option<i64>,
    mem_limit: Option<u64>,
    port_bindings: Vec<Binding>,
    environment: BTreeMap<String, String>,
    interfaces: Vec<Interface>,
}

#[derive(Debug, Deserialize)]
struct Binding {
    container: u16,
    protocol: String,
    host: u16,
}

#[derive(Debug, Deserialize)]
struct Interface {
    name: String,
}

#[derive(Debug, Deserialize)]
struct ELine {
    id: String,
    subnet: String,
    bidirectional: bool,
    ends: Vec<End>,
}

#[derive(Debug, Deserialize)]
struct ELan {
    id: String,
    subnet: String,
    members: Vec<End>,
}

#[derive(Debug, Deserialize)]
struct End {
    container: String,
    interface: String,
    address: Option<String>,
}

/// Writes a plan as tables, findings first.
pub(super) fn show(document: Document) -> anyhow::Result<()> {
    for finding in &document.diagnostics {
        line(finding)?;
    }
    if let Some(Package { vendor, name, version }) = &document.package {
        line(format_args!("package {vendor}.{name}.{version}, dialect {}", document.dialect))?;
    }
    let errors = document.diagnostics.iter().filter(|one| one.severity == Severity::Error).count();
    if errors > 0 {
        return line(format_args!("cannot be planned: {errors} errors"));
    }
    for (kind, subnets) in document.reserved.iter().filter(|(_, subnets)| !subnets.is_empty()) {
        line(format_args!("reserved for {kind}: {}", subnets.join(" ")))?;
    }
    document.instances.iter().try_for_each(show_instance)
}

fn show_instance(instance: &Instance) -> anyhow::Result<()> {
    line(format_args!("\ninstance {}\n", instance.name))?;
    let rows = instance.containers.iter().map(|container| {
        let ports = container.port_bindings.iter();
        let interfaces: Vec<&str> = container.interfaces.iter().map(|one| one.name.as_str()).collect();
        vec![
            container.name.clone(),
            container.datacenter.clone(),
            container.image.clone(),
            cpu(container),
            container.mem_limit.map(crate::output::size).unwrap_or_default(),
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
        vec![link.id.clone(), "E-Line".to_owned(), link.subnet.clone(), ends(&link.ends, arrow)]
    });
    let elans = instance.elans.iter().map(|link| {
        vec![link.id.clone(), "E-LAN".to_owned(), link.subnet.clone(), ends(&link.members, "  ")]
    });
    let links: Vec<Vec<String>> = elines.chain(elans).collect();
    if !links.is_empty() {
        line("")?;
        print_table(&table(&["LINK", "KIND", "SUBNET", "ENDS"], links))?;
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
fn cpu(container: &Container) -> String {
    let mut words = Vec::new();
    words.extend(container.cpuset_cpus.iter().filter(|list| !list.is_empty()).cloned());
    if let (Some(period), Some(quota)) = (container.cpu_period, container.cpu_quota)
        && period > 0
    {
        // Thousandths are exact enough for people, and need no floating point.
        let milli = quota.saturating_mul(1000) / i64::try_from(period).unwrap_or(i64::MAX);
        words.push(
            format!("x {}.{:03}", milli / 1000, milli % 1000)
                .trim_end_matches('0')
                .trim_end_matches('.')
                .to_owned(),
        );
    }
    words.join(" ")
}

fn ends(ends: &[End], between: &str) -> String {
    let words: Vec<String> = ends
        .iter()
        .map(|end| {
            let address = end.address.as_deref().map(|address| format!("={address}")).unwrap_or_default();
            format!("{}:{}{address}", end.container, end.interface)
        })
        .collect();
    words.join(between)
}
