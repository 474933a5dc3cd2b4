//! Deployment units: what becomes a container.

use std::collections::BTreeMap;

use llcm_names::{ContainerName, Ssiid};

use crate::image::image;
use crate::interface::interfaces;
use crate::load::Context;
use crate::model::{DeploymentUnit, ImageSource};
use crate::ports::Ports;
use crate::quantity::{cpu, memory};
use crate::yaml::{Field, cut};

/// A virtual (VDU) or cloud-native (CDU) unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnitKind {
    Virtual,
    CloudNative,
}

/// Reads a unit. Whatever keeps it from being started is an error here, at onboarding, with its place.
pub(crate) fn unit(field: &Field<'_>, kind: UnitKind, context: &Context<'_>) -> Option<DeploymentUnit> {
    if !field.expect_map() {
        return None;
    }
    let id = id(field);
    let image = unit_image(field, kind, context);
    let resources = field.map("resource_requirements");
    let resource = |key| resources.as_ref().and_then(|field: &Field<'_>| field.map(key));
    let cpu = resource("cpu").map(|field| cpu(&field)).unwrap_or_default();
    let memory = resource("memory").and_then(|field| memory(&field));
    let mut ports = Ports::default();
    for point in field.list("connection_points") {
        ports.read(&point);
    }
    let environment = match kind {
        UnitKind::CloudNative => environment(field),
        UnitKind::Virtual => BTreeMap::new(),
    };
    Some(DeploymentUnit {
        path: field.path.clone(),
        interfaces: interfaces(field),
        exposed: ports.exposed,
        published: ports.published,
        cpu_list: cpu.list,
        vcpus: cpu.vcpus,
        cpu_bandwidth: cpu.bandwidth.unwrap_or(1.0),
        memory,
        environment,
        start_command: command(field, "vm_cmd_start"),
        stop_command: command(field, "vm_cmd_stop"),
        ipc_mode: field.text_of("ipc_mode").filter(|text| !text.is_empty()),
        devices: field.list_or_one("devices").iter().filter_map(device).collect(),
        cap_add: field.list_or_one("cap_add").iter().filter_map(capability).collect(),
        id: id?,
        image: image?,
    })
}

fn id(field: &Field<'_>) -> Option<String> {
    let Some(id) = field.text_of("id").filter(|id| !id.is_empty()) else {
        field.error(
            "missing-id",
            "the deployment unit has no `id`",
            "give it one: it is part of its container's name",
        );
        return None;
    };
    if let Err(error) = ContainerName::derive("vnf", &id, Ssiid::new(0)) {
        field.error("invalid-id", error.to_string(), "give the unit a shorter id");
        return None;
    }
    Some(id)
}

fn unit_image(field: &Field<'_>, kind: UnitKind, context: &Context<'_>) -> Option<ImageSource> {
    let key = match kind {
        UnitKind::Virtual => "vm_image",
        UnitKind::CloudNative => "image",
    };
    if kind == UnitKind::Virtual && !is_docker(field) {
        return None;
    }
    let Some(reference) = field.get(key) else {
        field.error(
            "missing-image",
            format!("the deployment unit has no `{key}` and cannot be started"),
            format!("name a container image: `{key}: name:tag`"),
        );
        return None;
    };
    image(&reference, context)
}

fn is_docker(field: &Field<'_>) -> bool {
    let Some(format) = field.get("vm_image_format") else {
        field.error(
            "missing-image-format",
            "the deployment unit has no `vm_image_format` and cannot be started",
            "write `vm_image_format: docker` if its image is a container image",
        );
        return false;
    };
    let Some(text) = format.text() else { return false };
    let is_docker = text.eq_ignore_ascii_case("docker");
    if !is_docker {
        format.error(
            "unstartable-image-format",
            format!("an image of format `{}` cannot be started as a container", cut(&text)),
            "provide a container image and write `vm_image_format: docker`",
        );
    }
    is_docker
}

/// `parameters.env`: every value as it is written.
fn environment(field: &Field<'_>) -> BTreeMap<String, String> {
    let Some(env) = field.map("parameters").and_then(|parameters| parameters.map("env")) else {
        return BTreeMap::new();
    };
    let mut environment = BTreeMap::new();
    for (name, value) in env.entries() {
        if value.node().is_null() {
            continue;
        }
        if name.is_empty() || name.contains(['=', '\0']) {
            value.error(
                "invalid-environment",
                format!("`{}` cannot be the name of an environment variable", cut(name)),
                "use a name without `=`",
            );
        } else if let Some(value) = value.text() {
            environment.insert(name.to_owned(), value);
        }
    }
    environment
}

/// A start or stop script; generators write "None" for none.
fn command(field: &Field<'_>, key: &str) -> Option<String> {
    field.text_of(key).filter(|text| !text.is_empty() && text != "None")
}

/// `/dev/x[:/dev/y[:rwm]]`; whether the host allows it is the plan's question.
fn device(field: &Field<'_>) -> Option<String> {
    let text = field.text()?;
    let parts: Vec<&str> = text.split(':').collect();
    let is_path =
        |path: &str| path.starts_with('/') && path.len() > 1 && !path.split('/').any(|part| part == "..");
    let is_mode =
        |mode: &str| (1..=3).contains(&mode.len()) && mode.bytes().all(|b| matches!(b, b'r' | b'w' | b'm'));
    let valid = match parts.as_slice() {
        [host] => is_path(host),
        [host, inside] => is_path(host) && (is_path(inside) || is_mode(inside)),
        [host, inside, mode] => is_path(host) && is_path(inside) && is_mode(mode),
        _ => false,
    };
    if !valid {
        field.error(
            "invalid-device",
            format!("`{}` is no device", cut(&text)),
            "write `/dev/name`, or `/dev/host:/dev/inside:rwm`",
        );
    }
    valid.then_some(text)
}

/// A capability, upper case, without `CAP_`.
fn capability(field: &Field<'_>) -> Option<String> {
    let text = field.text()?.to_ascii_uppercase();
    let name = text.strip_prefix("CAP_").unwrap_or(&text);
    let valid = !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    if !valid {
        field.error(
            "invalid-capability",
            format!("`{}` is no capability", cut(&text)),
            "write a name such as NET_ADMIN (see capabilities(7))",
        );
    }
    valid.then(|| name.to_owned())
}
