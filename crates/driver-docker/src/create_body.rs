//! From a container's specification to the engine's request. Pure.

use bollard::models::{
    ContainerCreateBody, DeviceMapping, HostConfig, HostConfigLogConfig, Mount, MountType, PortBinding,
    RestartPolicy, RestartPolicyNameEnum,
};
use llcm_names::Port;
use llcm_runtime::{Bind, ContainerSpec, DriverError, DriverResult, ErrorKind, ImageView, labels};

use crate::gate;

/// A container's output is kept in this many files of this size, so that a chatty VNF cannot fill the disk.
const LOG_FILES: (&str, &str) = ("3", "10m");

/// The process that a container runs at first, where it differs from what the image says by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held<'a> {
    /// The image, for its own command.
    pub(crate) image: &'a ImageView,
    /// The gate on the engine's host.
    pub(crate) gate: &'a str,
}

/// The request that creates a container; `held`: behind the gate.
///
/// # Errors
/// `Invalid` for values that the request has no form for.
pub(crate) fn create_body(
    spec: &ContainerSpec,
    held: Option<&Held<'_>>,
) -> DriverResult<ContainerCreateBody> {
    let mut body = ContainerCreateBody {
        hostname: Some(spec.hostname()),
        image: Some(spec.image.clone()),
        labels: Some(labels::of(spec).into_iter().collect()),
        env: Some(spec.environment.iter().map(|(key, value)| format!("{key}={value}")).collect()),
        // With a terminal and an open standard input an image whose command is a shell stays up.
        tty: Some(true),
        open_stdin: Some(true),
        exposed_ports: Some(exposed_ports(spec)),
        host_config: Some(host_config(spec)?),
        ..ContainerCreateBody::default()
    };
    if let Some(held) = held {
        // An entrypoint in the request makes the engine forget the image's command, too: name both.
        let own = held.image.entrypoint.iter().cloned();
        body.entrypoint = Some(
            gate::arguments(&spec.interfaces, spec.management.as_ref()).into_iter().chain(own).collect(),
        );
        body.cmd = Some(held.image.command.clone());
        // The long form of a bind: with the short one the engine makes a directory of what is missing.
        let mount = Mount {
            typ: Some(MountType::BIND),
            source: Some(held.gate.to_owned()),
            target: Some(gate::IN_CONTAINER.to_owned()),
            read_only: Some(true),
            ..Mount::default()
        };
        if let Some(config) = body.host_config.as_mut() {
            config.mounts = Some(vec![mount]);
        }
    }
    Ok(body)
}

/// Whether a container's own process has to be held back: it has interfaces to wait for, and the image says
/// what to run then. An image without a command is refused by the engine, in better words than the gate has.
pub(crate) fn needs_gate(spec: &ContainerSpec, image: &ImageView) -> bool {
    let runs_something = !image.entrypoint.is_empty() || !image.command.is_empty();
    !spec.interfaces.is_empty() && runs_something
}

fn port_key(port: Port, protocol: llcm_names::Protocol) -> String {
    format!("{port}/{protocol}")
}

/// What is published is exposed as well; the engine wants both said.
fn exposed_ports(spec: &ContainerSpec) -> Vec<String> {
    let exposed = spec.exposed.iter().map(|port| port_key(port.port, port.protocol));
    let published = spec.published.iter().map(|port| port_key(port.container, port.protocol));
    let mut keys: Vec<String> = exposed.chain(published).collect();
    keys.sort();
    keys.dedup();
    keys
}

fn host_config(spec: &ContainerSpec) -> DriverResult<HostConfig> {
    let number = |what: &str, value: Option<u64>| {
        let convert = |value| {
            i64::try_from(value).map_err(|_| invalid(spec, format!("the {what} {value} is out of range")))
        };
        value.map(convert).transpose()
    };
    Ok(HostConfig {
        cpu_period: number("CPU period", spec.cpu.period_us)?,
        cpu_quota: number("CPU quota", spec.cpu.quota_us)?,
        cpuset_cpus: spec.cpu.cpuset.clone(),
        memory: number("memory limit", spec.memory_bytes)?,
        ipc_mode: spec.ipc_mode.clone(),
        cap_add: (!spec.cap_add.is_empty()).then(|| spec.cap_add.clone()),
        devices: (!spec.devices.is_empty()).then(|| devices(spec)),
        binds: Some(spec.binds.iter().map(|one| bind(spec, one)).collect::<DriverResult<_>>()?),
        port_bindings: (!spec.published.is_empty()).then(|| port_bindings(spec)),
        // The engine's own interface is the management interface.
        network_mode: Some("bridge".to_owned()),
        // A restart is a decision of the life-cycle, which has to wire the container again.
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(
                [("max-file", LOG_FILES.0), ("max-size", LOG_FILES.1)]
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .into(),
            ),
        }),
        ..HostConfig::default()
    })
}

fn devices(spec: &ContainerSpec) -> Vec<DeviceMapping> {
    let mapping = |device: &llcm_runtime::Device| DeviceMapping {
        path_on_host: Some(device.host.display().to_string()),
        path_in_container: Some(device.container.display().to_string()),
        cgroup_permissions: Some(device.permissions.clone()),
    };
    spec.devices.iter().map(mapping).collect()
}

fn port_bindings(spec: &ContainerSpec) -> bollard::models::PortMap {
    let mut map = bollard::models::PortMap::new();
    for port in &spec.published {
        let binding = PortBinding {
            host_ip: port.host_ip.map(|address| address.to_string()),
            host_port: Some(port.host.to_string()),
        };
        let key = port_key(port.container, port.protocol);
        map.entry(key).or_default().get_or_insert_default().push(binding);
    }
    map
}

/// The engine's short form, because with it the engine makes a missing directory of the host.
fn bind(spec: &ContainerSpec, bind: &Bind) -> DriverResult<String> {
    for path in [&bind.host, &bind.container] {
        if !path.is_absolute() || path.display().to_string().contains(':') {
            let message =
                format!("the path {} cannot be bound: it must be absolute and hold no ':'", path.display());
            return Err(invalid(spec, message));
        }
    }
    let suffix = if bind.read_only { ":ro" } else { "" };
    Ok(format!("{}:{}{suffix}", bind.host.display(), bind.container.display()))
}

fn invalid(spec: &ContainerSpec, message: String) -> DriverError {
    DriverError::new(ErrorKind::Invalid, "create container", spec.name.as_str(), message)
}

#[cfg(test)]
pub(crate) mod tests;
