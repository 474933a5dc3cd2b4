//! Leases subnets, addresses the members of a segment and computes published ports - with nothing else of the
//! workspace but the names.
//!
//! `cargo run -p llcm-netplan --example lease_and_publish`
#![expect(clippy::print_stdout, reason = "an example shows its results")]

use llcm_names::{Port, Protocol};
use llcm_netplan::{NetplanError, PoolConfig, PortBook, SubnetPool, address_members, published_port};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut elines = SubnetPool::new(PoolConfig::parse("20.0.0.0/24", 4)?);
    let line = elines.lease()?;
    let ends = address_members(line, &[None, Some("20.0.0.254/24".parse()?)])?;
    println!("E-Line {line}: {} - {}", ends[0], ends[1]);

    let mut elans = SubnetPool::new(PoolConfig::parse("30.0.0.0/24", 8)?);
    println!("E-LAN of 3: {}", elans.lease_for(3)?);
    println!("E-LAN of 300: {}", elans.lease_for(300)?);
    elines.free(line);
    println!("given back, so that it is the next: {}", elines.lease()?);
    println!("what is leased, to be stored: {:?}", elans.state());

    let mut book = PortBook::new();
    let declared = Port::try_from(8080)?;
    for instance in [0, 1, 58] {
        match published_port(declared, 1000, instance) {
            Ok(port) => {
                book.claim(Protocol::Tcp, port, &format!("instance {instance}"))?;
                println!("instance {instance} publishes {port}");
            }
            Err(error @ NetplanError::PortOverflow { .. }) => println!("instance {instance}: {error}"),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
