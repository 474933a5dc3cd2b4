//! Loads a topology file and prints what there is to say about it, and the paths - with nothing else of the
//! workspace but the names.
//!
//! `cargo run -p llcm-topology --example show_topology -- examples/topology.yml`
#![expect(clippy::print_stdout, reason = "an example shows its results")]

use llcm_topology::{Paths, default_topology, load};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let topology = match std::env::args().nth(1) {
        None => default_topology(),
        Some(file) => {
            let (topology, findings) = load(&std::fs::read(&file)?);
            for finding in findings {
                println!("{file}: {finding}");
            }
            topology.ok_or("the file has errors")?
        }
    };
    let paths = Paths::new(&topology);
    for from in &topology.datacenters {
        for to in topology.datacenters.iter().filter(|to| to.name != from.name) {
            match paths.between(&from.name, &to.name) {
                None => println!("{} -> {}: no path", from.name, to.name),
                Some(path) => {
                    let links: Vec<_> = path.hops.iter().map(|hop| hop.link.name.as_str()).collect();
                    println!(
                        "{} -> {}: {} ({} us, MTU {})",
                        from.name,
                        to.name,
                        links.join(", "),
                        path.delay_us(),
                        path.mtu()
                    );
                }
            }
        }
    }
    Ok(())
}
