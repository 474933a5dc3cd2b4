//! Many ports in one data center.

use anyhow::Result;
use llcm_names::DcName;
use llcm_runtime::{NetworkDriver, SegmentKind};
use llcm_testkit::zoo;

use super::bed::Bed;
use crate::stats::{Clock, float};

/// What so many ports took.
pub(crate) struct Row {
    /// How many.
    pub(crate) ports: u32,
    /// Milliseconds per port, on E-Lines; the last tenth of them alone; and on one E-LAN.
    pub(crate) line: f64,
    pub(crate) last: f64,
    pub(crate) lan: f64,
    /// Milliseconds per port to take them down again, of E-Lines and of the E-LAN.
    pub(crate) down: [f64; 2],
}

/// One data center with so many ports on E-Lines, and one E-LAN with as many.
pub(crate) async fn run(number: u32, ports: u32) -> Result<Row> {
    let mut bed = Bed::new(number)?;
    bed.network()?.prepare(&zoo(1)).await?;
    // Hundreds of interfaces in one container would be that container's cost.
    let containers: Vec<String> = (0..16).map(|number| format!("c{number}")).collect();
    containers.iter().try_for_each(|name| bed.container(name))?;
    let of = |port: u32| containers[port as usize % containers.len()].as_str();
    let dc = DcName::parse("d0")?;
    let clock = Clock::start();
    let mut before_last = 0.0;
    for line in 0..ports / 2 {
        if line == ports / 2 - ports / 20 {
            before_last = clock.ms();
        }
        let ends = [2 * line, 2 * line + 1].map(|port| (port, dc.clone()));
        bed.segment(0, line + 1, SegmentKind::ELine { bidirectional: true }, &ends).await?;
        for (port, dc) in &ends {
            bed.port(0, (*port, dc), line + 1, (of(*port), "", 1500)).await?;
        }
    }
    let lines = clock.ms();
    let clock = Clock::start();
    let ends: Vec<_> = (ports..2 * ports).map(|port| (port, dc.clone())).collect();
    bed.segment(1, ports, SegmentKind::ELan, &ends).await?;
    for (port, dc) in &ends {
        bed.port(1, (*port, dc), ports, (of(*port), "", 1500)).await?;
    }
    let lan = clock.ms();
    let mut down = [0.0; 2];
    for (instance, down) in (0..).zip(&mut down) {
        let clock = Clock::start();
        bed.remove(instance).await?;
        *down = clock.ms() / f64::from(ports);
    }
    bed.network()?.teardown().await?;
    let tenth = float(usize::try_from(ports / 20 * 2)?);
    Ok(Row {
        ports,
        line: lines / f64::from(ports),
        last: (lines - before_last) / tenth,
        lan: lan / f64::from(ports),
        down,
    })
}
