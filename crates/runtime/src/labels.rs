//! The ownership mark as labels of containers: what drivers of engines with labels share.

use std::collections::BTreeMap;

use llcm_names::{DcName, InstallationId, Owner};
use sha2::{Digest, Sha256};

use crate::ContainerSpec;

/// The label with the data center's name.
pub const DATACENTER: &str = "llcm.datacenter";
/// The label with the image's name as it was asked for. Some engines tell a longer one.
pub const IMAGE: &str = "llcm.image";
/// The label with the digest of the specification, by which "same name, same spec" is told from a conflict.
pub const SPEC: &str = "llcm.spec";

/// The labels of a container.
#[must_use]
pub fn of(spec: &ContainerSpec) -> BTreeMap<String, String> {
    BTreeMap::from([
        (Owner::LABEL_INSTALLATION.to_owned(), spec.owner.installation.to_string()),
        (Owner::LABEL_INSTANCE.to_owned(), spec.owner.instance.to_string()),
        (DATACENTER.to_owned(), spec.datacenter.to_string()),
        (IMAGE.to_owned(), spec.image.clone()),
        (SPEC.to_owned(), digest(spec)),
    ])
}

/// The SHA-256 of a specification's JSON, in hexadecimal. The same specification has the same digest in
/// every run of the same version of the program.
#[must_use]
pub fn digest(spec: &ContainerSpec) -> String {
    // Every field is plain data with text keys, which always has a JSON form; should that change, the
    // debug form tells two specifications apart as well.
    let text = serde_json::to_string(spec).unwrap_or_else(|_| format!("{spec:?}"));
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whose a container with these labels is; `None` for a foreign one, also when only some of the labels are
/// there or hold something else than ids.
#[must_use]
pub fn owner<'a>(get: impl Fn(&str) -> Option<&'a String>) -> Option<Owner> {
    let installation = InstallationId::parse(get(Owner::LABEL_INSTALLATION)?).ok()?;
    let instance = get(Owner::LABEL_INSTANCE)?.parse().ok()?;
    Some(Owner { installation, instance })
}

/// The data center in these labels.
#[must_use]
pub fn datacenter<'a>(get: impl Fn(&str) -> Option<&'a String>) -> Option<DcName> {
    DcName::parse(get(DATACENTER)?).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use llcm_names::{EngineName, Owner, Port, Protocol};

    use super::*;
    use crate::{CpuLimit, PortBinding};

    fn spec() -> ContainerSpec {
        let port = |number: u64| Port::try_from(number).unwrap();
        ContainerSpec {
            owner: Owner {
                installation: InstallationId::from_bits(0xc0ffee),
                instance: "0123abcd-0000-4000-8000-000000000000".parse().unwrap(),
            },
            name: EngineName::parse("mn.vnf0.vdu01.0").unwrap(),
            logical_name: "vnf0.vdu01.0".to_owned(),
            datacenter: DcName::parse("dc1").unwrap(),
            image: "ubuntu:trusty".to_owned(),
            environment: BTreeMap::from([("VNF_NAME".to_owned(), "vnf0.vdu01.0".to_owned())]),
            cpu: CpuLimit::default(),
            memory_bytes: None,
            exposed: Vec::new(),
            published: vec![PortBinding {
                container: port(80),
                protocol: Protocol::Tcp,
                host: port(8080),
                host_ip: None,
            }],
            binds: Vec::new(),
            devices: Vec::new(),
            cap_add: Vec::new(),
            ipc_mode: None,
            interfaces: Vec::new(),
            management: None,
        }
    }

    #[test]
    fn an_owner_is_read_back_from_the_labels() {
        let spec = spec();
        let labels = of(&spec);
        assert_eq!(owner(|key| labels.get(key)), Some(spec.owner.clone()));
        assert_eq!(datacenter(|key| labels.get(key)), Some(spec.datacenter.clone()));
    }

    #[test]
    fn half_a_mark_is_no_mark() {
        for missing in [Owner::LABEL_INSTALLATION, Owner::LABEL_INSTANCE] {
            let mut labels = of(&spec());
            labels.insert(missing.to_owned(), "something else".to_owned());
            assert_eq!(owner(|key| labels.get(key)), None);
            labels.remove(missing);
            assert_eq!(owner(|key| labels.get(key)), None);
        }
    }

    #[test]
    fn every_change_of_a_spec_changes_the_digest() {
        let spec = spec();
        assert_eq!(digest(&spec), digest(&spec.clone()));
        let mut other = spec.clone();
        other.environment.insert("A".to_owned(), "changed".to_owned());
        assert_ne!(digest(&spec), digest(&other));
        let mut other = spec.clone();
        other.published.pop();
        assert_ne!(digest(&spec), digest(&other));
    }
}
