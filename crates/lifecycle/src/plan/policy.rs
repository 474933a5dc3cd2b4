//! What a unit asks of the host beyond CPU and memory, and whether it may have it.

use std::path::{Component, Path, PathBuf};

use llcm_runtime::Device;

use super::findings::Findings;
use super::service::UnitRef;
use crate::settings::HostPolicy;

/// What the policy lets a unit have.
#[derive(Debug, Default)]
pub(super) struct Privileges {
    pub(super) devices: Vec<Device>,
    pub(super) cap_add: Vec<String>,
    pub(super) ipc_mode: Option<String>,
}

/// Checks what a unit asks for. What is refused is an error that names the setting which would allow it.
pub(super) fn privileges(unit: &UnitRef<'_>, policy: &HostPolicy, findings: &mut Findings) -> Privileges {
    let du = unit.unit;
    let mut error = |code: &str, key: &str, message: String, hint: &str| {
        let message = format!("{}.{} asks for the {message}", unit.vnf_id, du.id);
        findings.error(code, (&unit.vnfd.document, &format!("{}.{key}", du.path)), message, hint);
    };
    let mut granted = Privileges::default();
    for text in &du.devices {
        match parse_device(text) {
            Some(device) if policy.devices.contains(&device.host) => granted.devices.push(device),
            Some(device) => error(
                "device-refused",
                "devices",
                format!("device {}, which is refused", device.host.display()),
                "allow it with the setting `allowed_devices`",
            ),
            None => error(
                "bad-device",
                "devices",
                format!("device {text:?}, which is none"),
                "write /dev/x, /dev/x:/dev/y or /dev/x:/dev/y:rwm",
            ),
        }
    }
    for capability in &du.cap_add {
        if policy.capabilities.contains(capability) {
            granted.cap_add.push(capability.clone());
        } else {
            error(
                "capability-refused",
                "cap_add",
                format!("capability {capability}, which is refused"),
                "allow it with the setting `allowed_capabilities`",
            );
        }
    }
    if let Some(mode) = &du.ipc_mode {
        if policy.ipc_modes.contains(mode) {
            granted.ipc_mode = Some(mode.clone());
        } else {
            error(
                "ipc-mode-refused",
                "ipc_mode",
                format!("IPC mode {mode}, which is refused"),
                "allow it with the setting `allowed_ipc_modes`",
            );
        }
    }
    granted
}

/// `/dev/x[:/dev/y[:rwm]]`, both paths absolute and without `..`.
fn parse_device(text: &str) -> Option<Device> {
    let mut parts = text.split(':');
    let host = plain(parts.next()?)?;
    let container = parts.next().map_or(Some(host.clone()), plain)?;
    let permissions = parts.next().unwrap_or("rwm");
    let valid = !permissions.is_empty() && permissions.chars().all(|c| matches!(c, 'r' | 'w' | 'm'));
    (valid && parts.next().is_none()).then(|| Device { host, container, permissions: permissions.to_owned() })
}

fn plain(text: &str) -> Option<PathBuf> {
    let path = Path::new(text);
    let mut components = path.components();
    let absolute = components.next() == Some(Component::RootDir);
    let names: Vec<_> = components.collect();
    (absolute && !names.is_empty() && names.iter().all(|part| matches!(part, Component::Normal(_))))
        .then(|| path.components().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices() {
        let parsed = |text| {
            parse_device(text)
                .map(|d| format!("{} {} {}", d.host.display(), d.container.display(), d.permissions))
        };
        assert_eq!(parsed("/dev/net/tun").as_deref(), Some("/dev/net/tun /dev/net/tun rwm"));
        assert_eq!(parsed("/dev/a:/dev/b:r").as_deref(), Some("/dev/a /dev/b r"));
        assert_eq!(parsed("/dev//null/").as_deref(), Some("/dev/null /dev/null rwm"));
        for bad in ["", "dev/x", "/", "/dev/null/../sda", "/dev/a:b", "/dev/a:/dev/b:x", "/dev/a:/dev/b:r:w"]
        {
            assert_eq!(parsed(bad), None, "{bad}");
        }
    }
}
