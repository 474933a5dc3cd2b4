//! Cases on what holds a VNF's own process back until its interfaces are there. An engine that cannot do that
//! excludes them.

use std::time::Duration;

use llcm_names::IfName;

use super::bed::{Bed, Vnf};
use super::commands::{logs, read_until};
use super::report::{Checked, ensure};
use super::seconds;
use crate::{ContainerSpec, LogOptions, Logs};

pub(super) async fn the_process_waits_for_its_interfaces(bed: &mut Bed<'_>) -> Checked {
    bed.network()?;
    let (logs, line) = logs(bed)?;
    let ifnames = ["eth1", "eth2"].map(|name| IfName::parse(name).expect("valid"));
    let spec = ContainerSpec { interfaces: ifnames.to_vec(), ..bed.container("a") };
    bed.fetch().await?;
    let early = bed.containers().create(&spec).await?;
    let started = match &early {
        Some(_) => None,
        None => Some(bed.containers().start(&spec.owner, &spec.name).await?),
    };
    let point =
        early.clone().or(started).ok_or("neither create nor start tells the attach point".to_owned())?;
    let mut vnf = Vnf { spec, point };
    let ports = [vnf.port(1, "eth1", "10.9.0.1/24", &[]), vnf.port(2, "eth2", "10.9.1.1/24", &[])];
    if early.is_some() {
        // Here nothing has to be held back: the process begins with `start`, when all is there.
        bed.plug(&vnf, &ports[0]).await?;
        bed.plug(&vnf, &ports[1]).await?;
        bed.containers().start(&vnf.spec.owner, &vnf.spec.name).await?;
        return read_until(logs, &vnf.spec, &line).await;
    }
    // The second start has a new network namespace and waits again.
    for lines in 1..=2 {
        silent(logs, &vnf.spec, lines - 1, "without any interface").await?;
        bed.plug(&vnf, &ports[0]).await?;
        silent(logs, &vnf.spec, lines - 1, "with one of two interfaces").await?;
        bed.plug(&vnf, &ports[1]).await?;
        super::bed::eventually("the process after its last interface", || async {
            Ok(count(logs, &vnf.spec).await? == lines)
        })
        .await?;
        if lines == 1 {
            bed.containers().stop(&vnf.spec.owner, &vnf.spec.name, seconds(1)).await?;
            vnf.point = bed.containers().start(&vnf.spec.owner, &vnf.spec.name).await?;
        }
    }
    Ok(())
}

/// A process that is not held back would have written by now.
async fn silent(logs: &dyn Logs, spec: &ContainerSpec, lines: usize, what: &str) -> Checked {
    tokio::time::sleep(Duration::from_millis(300)).await;
    let found = count(logs, spec).await?;
    ensure!(found == lines, "{what} the process runs already: {found} lines of output, not {lines}");
    Ok(())
}

async fn count(logs: &dyn Logs, spec: &ContainerSpec) -> Result<usize, super::report::Stop> {
    let mut all = Vec::new();
    logs.logs(&spec.owner, &spec.name, LogOptions::default(), &mut all).await?;
    Ok(String::from_utf8_lossy(&all).lines().count())
}
