//! From a container's specification to the engine's. Pure.

use llcm_engine::capability::Capability;
use llcm_engine::{Bind, Device, Limits, Publish, Spec};
use llcm_names::Protocol;
use llcm_runtime::{ContainerSpec, DriverError, DriverResult, ErrorKind, labels};

/// Modes of inter-process communication that mean the container's own, which is what it gets here. Docker's
/// difference between the first two is whether others may join it, and nobody can here.
const OWN_IPC: [&str; 3] = ["private", "shareable", "none"];

/// The engine's specification of a container of `image`, which is what the specification's own image name stands
/// for here.
///
/// # Errors
/// `Invalid` for an unknown capability; `Unsupported` for what this engine has not.
pub(crate) fn engine_spec(spec: &ContainerSpec, image: &str) -> DriverResult<Spec> {
    let error =
        |kind, message: String| Err(DriverError::new(kind, "create container", spec.name.as_str(), message));
    if let Some(mode) = spec.ipc_mode.as_deref().filter(|mode| !OWN_IPC.contains(mode)) {
        let message = format!(
            "the embedded engine has no IPC mode `{mode}`: leave it out, or run this data center with Docker"
        );
        return error(ErrorKind::Unsupported, message);
    }
    if let Some(name) = &spec.management {
        let message = format!(
            "the embedded engine has no interface of its own that could be called {name}: set `docker_management` to false, or run this data center with Docker"
        );
        return error(ErrorKind::Unsupported, message);
    }
    let mut cap_add = Vec::new();
    for name in &spec.cap_add {
        match name.parse::<Capability>() {
            Ok(capability) => cap_add.push(capability),
            Err(cause) => return error(ErrorKind::Invalid, cause.to_string()),
        }
    }
    let bind = |bind: &llcm_runtime::Bind| Bind {
        host: bind.host.clone(),
        container: bind.container.clone(),
        read_only: bind.read_only,
    };
    let device = |device: &llcm_runtime::Device| Device {
        host: device.host.clone(),
        container: device.container.clone(),
    };
    let publish = |port: &llcm_runtime::PortBinding| Publish {
        protocol: match port.protocol {
            Protocol::Tcp => llcm_engine::Protocol::Tcp,
            Protocol::Udp => llcm_engine::Protocol::Udp,
        },
        host_ip: port.host_ip,
        host_port: port.host.get(),
        container_port: port.container.get(),
    };
    Ok(Spec {
        environment: spec.environment.clone(),
        hostname: Some(spec.hostname()),
        limits: Limits {
            cpu_quota_us: spec.cpu.quota_us,
            cpu_period_us: spec.cpu.period_us,
            cpuset: spec.cpu.cpuset.clone(),
            memory_bytes: spec.memory_bytes,
            pids: None,
        },
        cap_add,
        binds: spec.binds.iter().map(bind).collect(),
        devices: spec.devices.iter().map(device).collect(),
        publish: spec.published.iter().map(publish).collect(),
        labels: labels::of(spec),
        ..Spec::new(spec.name.as_str(), image)
    })
}
