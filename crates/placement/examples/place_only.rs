//! Places units on data centers - with nothing else of the workspace but the names.
//!
//! `cargo run -p llcm-placement --example place_only`
#![expect(clippy::print_stdout, reason = "an example shows its results")]

use std::collections::BTreeMap;

use llcm_placement::{Choice, Demand, Placement, PlacementError, Site, Unit, View, place_all, select};

/// An algorithm of one's own: the first data center whose memory still suffices.
#[derive(Debug)]
struct FirstFit;

impl Placement for FirstFit {
    fn place(&self, view: &View<'_>, unit: &Unit) -> Result<Choice, PlacementError> {
        let used = |site: &Site| {
            let here = view.placed.iter().filter(|p| p.datacenter == site.datacenter.name);
            site.load.memory_bytes + here.map(|p| p.unit.demand.memory_bytes).sum::<u64>()
        };
        let fits = |site: &&Site| {
            let wanted = used(site) + unit.demand.memory_bytes;
            site.datacenter.memory_bytes.is_none_or(|limit| wanted <= limit)
        };
        view.sites.iter().find(fits).map(Choice::new).ok_or_else(|| PlacementError::NoPlace {
            unit: unit.name.clone(),
            reason: "all memory is taken".to_owned(),
        })
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut sites = vec![Site::named("edge")?, Site::named("core")?];
    sites[0].datacenter.memory_bytes = Some(2 << 30);
    let unit =
        |name: &str| Unit { demand: Demand { cpu_milli: 1000, memory_bytes: 1 << 30 }, ..Unit::named(name) };
    let units = [unit("fw.vdu01.0"), unit("ids.vdu01.0"), unit("lb.vdu01.0")];

    let table = BTreeMap::from([("fw.vdu01.0".to_owned(), "core".to_owned())]);
    for name in llcm_placement::ALGORITHMS {
        println!("{name}");
        show(select(name, &table, 0)?.as_ref(), &sites, &units)?;
    }
    println!("first-fit");
    show(&FirstFit, &sites, &units)?;
    Ok(())
}

fn show(algorithm: &dyn Placement, sites: &[Site], units: &[Unit]) -> Result<(), PlacementError> {
    for placed in place_all(algorithm, sites, units, 0)? {
        let warning = placed.warning.map(|text| format!("  ({text})")).unwrap_or_default();
        println!("  {} -> {}{warning}", placed.unit.name, placed.datacenter);
    }
    Ok(())
}
