//! A plan as text for people: one line per decision, in the order of doing.

use std::fmt::{Display, Formatter, Result};

use llcm_placement::Quality;

use super::{
    ContainerPlan, InstancePlan, InterfacePlan, LinkPlan, PlacementPlan, SapPlace, SapPlan, Script,
    limits::PERIOD_US,
};

impl Display for InstancePlan {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "instance {} (mark {}, link group {})", self.name, self.owner.mark(), self.group.get())?;
        for warning in &self.warnings {
            writeln!(f, "{warning}")?;
        }
        if let Some(placement) = &self.placement {
            writeln!(f, "placement {placement}")?;
        }
        for link in &self.links {
            write!(f, "{link}")?;
        }
        for container in &self.containers {
            write!(f, "{container}")?;
        }
        for sap in &self.saps {
            write!(f, "{sap}")?;
        }
        Ok(())
    }
}

impl Display for PlacementPlan {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}", self.algorithm.as_deref().unwrap_or("of the embedding program"))?;
        match self.round_trips_us {
            Some(us) => write!(f, ", round trips along the links {}.{:03} ms", us / 1000, us % 1000)?,
            None => write!(f, ", not all ends of links reach one another")?,
        }
        match self.quality {
            Some(Quality::Optimal) => write!(f, ", the best there is"),
            Some(Quality::Heuristic) => write!(f, ", there may be better ones"),
            None => Ok(()),
        }
    }
}

impl Display for LinkPlan {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(
            f,
            "{} {}: segment {}, {}",
            self.connectivity.as_str(),
            self.id,
            self.segment.id,
            self.subnet
        )?;
        if let Some(chain) = &self.chain {
            let arrow = if chain.bidirectional { "both ways" } else { "one way" };
            write!(f, ", {arrow}, cookie {}, priority {}", chain.cookie, chain.priority)?;
        }
        writeln!(f)?;
        for (end, on) in self.ends.iter().zip(&self.segment.ends) {
            write!(
                f,
                "  {}:{} {} (port {} in {}",
                end.container, end.interface, end.address, end.port, on.datacenter
            )?;
            let tree = self.segment.kind == llcm_runtime::SegmentKind::ETree;
            match on.role {
                llcm_runtime::TreeRole::Root if tree => writeln!(f, ", root)")?,
                llcm_runtime::TreeRole::Leaf if tree => writeln!(f, ", leaf)")?,
                _ => writeln!(f, ")")?,
            }
        }
        Ok(())
    }
}

impl Display for SapPlan {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} access point {} in {}: ", self.kind.as_str(), self.id, self.datacenter)?;
        match &self.place {
            SapPlace::Container => writeln!(f, "container {}", self.name),
            SapPlace::Host { port } => {
                write!(
                    f,
                    "interface {} of the host, port {}, {}, MTU {}",
                    port.ifname, port.id, port.mac, port.mtu
                )?;
                for address in &port.addresses {
                    write!(f, ", {address}")?;
                }
                let nat = port.host.is_some_and(|host| host.nat);
                writeln!(f, "{}", if nat { ", may leave the host" } else { "" })
            }
        }
    }
}

impl Display for ContainerPlan {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let spec = &self.spec;
        writeln!(f, "container {} in {}: {} of {}", self.name, spec.datacenter, spec.name, spec.image)?;
        write!(f, "  cpu {}", share(spec.cpu.quota_us))?;
        if let Some(cpus) = &spec.cpu.cpuset {
            write!(f, " on {cpus}")?;
        }
        match spec.memory_bytes {
            Some(bytes) => writeln!(f, ", memory {bytes} bytes")?,
            None => writeln!(f, ", memory not limited")?,
        }
        for (key, value) in &spec.environment {
            writeln!(f, "  env {key}={value}")?;
        }
        for port in &spec.exposed {
            writeln!(f, "  listens on {}/{}", port.port, port.protocol)?;
        }
        for binding in &spec.published {
            write!(f, "  publishes {}/{} as ", binding.container, binding.protocol)?;
            if let Some(ip) = binding.host_ip {
                write!(f, "{ip} ")?;
            }
            writeln!(f, "{}", binding.host)?;
        }
        for bind in &spec.binds {
            writeln!(f, "  mounts {} at {}", bind.host.display(), bind.container.display())?;
        }
        for device in &spec.devices {
            let (host, container) = (device.host.display(), device.container.display());
            writeln!(f, "  device {host} at {container} ({})", device.permissions)?;
        }
        for capability in &spec.cap_add {
            writeln!(f, "  capability {capability}")?;
        }
        if let Some(mode) = &spec.ipc_mode {
            writeln!(f, "  ipc {mode}")?;
        }
        if let Some(management) = &self.management {
            writeln!(f, "  interface {} ({}): the engine's own", management.name, management.id)?;
        }
        for interface in &self.interfaces {
            write!(f, "{interface}")?;
        }
        for (phase, script) in [("start", &self.start), ("stop", &self.stop)] {
            match script {
                Script::Given { command } => writeln!(f, "  {phase} script: {command}")?,
                Script::FromImage { keys } => writeln!(f, "  {phase} script: image's {}", keys.join(" or "))?,
            }
        }
        Ok(())
    }
}

/// A quota as CPUs, exactly.
fn share(quota_us: Option<u64>) -> String {
    let Some(quota) = quota_us else { return "not limited".to_owned() };
    let text = format!("{}.{:06}", quota / PERIOD_US, quota % PERIOD_US);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl Display for InterfacePlan {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let port = &self.port;
        write!(
            f,
            "  interface {} ({}): port {}, {}, MTU {}",
            port.ifname, self.id, port.id, port.mac, port.mtu
        )?;
        for address in &port.addresses {
            write!(f, ", {address}")?;
        }
        match port.segments.as_slice() {
            [] => writeln!(f, ", on no link"),
            segments => {
                let ids: Vec<_> = segments.iter().map(ToString::to_string).collect();
                writeln!(f, ", segments {}", ids.join(" "))
            }
        }
    }
}
