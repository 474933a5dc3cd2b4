//! What others hold: names in the engine, and ports of its host.
//!
//! Names and published ports come with one list of all containers. What else listens, the kernel says for this
//! program's own network namespace: an engine behind a local socket is on this host, and publishes there.

use bollard::errors::Error;
use llcm_names::{EngineName, InstallationId, Owner, Port};
use llcm_runtime::{DriverResult, ErrorKind, HeldPort, Taken, host, labels};
use serde_json::Value;

use crate::client::Client;
use crate::map_error::Attempt;

/// Asks the engine and the kernel.
///
/// # Errors
/// As `ContainerDriver::taken`.
pub(crate) async fn taken(client: &Client, installation: &InstallationId) -> DriverResult<Taken> {
    let attempt = Attempt::new("ask what is taken", client.product().0);
    let ask =
        async |_: &_| foreign(&client.get("/containers/json?all=true").await?.all().await?, installation);
    let mut taken = client.call(attempt, ask).await?;
    let listening = tokio::task::spawn_blocking(host::listening).await;
    let failed = |error: tokio::task::JoinError| attempt.error(ErrorKind::Failed, error.to_string());
    taken.ports.extend(listening.map_err(failed)??);
    Ok(taken)
}

/// What containers of others hold, from the engine's list of all containers.
fn foreign(json: &[u8], installation: &InstallationId) -> Result<Taken, Error> {
    let containers: Vec<Value> = serde_json::from_slice(json)?;
    let mut taken = Taken::default();
    for container in &containers {
        if owner(container).is_some_and(|owner| owner.installation == *installation) {
            continue;
        }
        let names = container.get("Names").and_then(Value::as_array).into_iter().flatten();
        // A name that cannot be read is none that this program gives.
        let names = names.filter_map(|name| {
            let name = name.as_str()?;
            EngineName::parse(name.strip_prefix('/').unwrap_or(name)).ok()
        });
        taken.names.extend(names);
        let ports = container.get("Ports").and_then(Value::as_array).into_iter().flatten();
        taken.ports.extend(ports.filter_map(published));
    }
    Ok(taken)
}

fn owner(container: &Value) -> Option<Owner> {
    let text = |key: &str| Some(container.pointer("/Labels")?.get(key)?.as_str()?.to_owned());
    let (installation, instance) = (text(Owner::LABEL_INSTALLATION), text(Owner::LABEL_INSTANCE));
    labels::owner(|key| match key {
        Owner::LABEL_INSTALLATION => installation.as_ref(),
        _ => instance.as_ref(),
    })
}

/// A port as the engine lists it; `None` for one that is not published, or of another protocol.
fn published(port: &Value) -> Option<HeldPort> {
    let protocol = port.get("Type")?.as_str()?.parse().ok()?;
    let number = Port::try_from(port.get("PublicPort")?.as_u64()?).ok()?;
    let address = port.get("IP").and_then(Value::as_str).and_then(|text| text.parse().ok());
    Some(HeldPort { protocol, port: number, address })
}

#[cfg(test)]
mod tests {
    use llcm_names::Protocol;

    use super::*;

    fn held(protocol: Protocol, port: u64, address: &str) -> HeldPort {
        let address = (!address.is_empty()).then(|| address.parse().unwrap());
        HeldPort { protocol, port: port.try_into().unwrap(), address }
    }

    #[test]
    fn containers_of_others_are_told_from_ours() {
        let json = br#"[
            {"Names": ["/mn.ours"], "Labels": {"llcm.installation": "00c0ffee",
              "llcm.instance": "0123abcd-0000-4000-8000-000000000000"},
             "Ports": [{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}]},
            {"Names": ["/mn.theirs"], "Labels": {"llcm.installation": "0badcafe",
              "llcm.instance": "0123abcd-0000-4000-8000-000000000000"},
             "Ports": [{"IP": "::", "PrivatePort": 80, "PublicPort": 8081, "Type": "tcp"},
                       {"PrivatePort": 81, "PublicPort": 81, "Type": "udp"},
                       {"PrivatePort": 82, "Type": "tcp"}, {"PublicPort": 83, "Type": "sctp"}]},
            {"Names": ["/mn.half"], "Labels": {"llcm.installation": "00c0ffee"}, "Ports": null},
            {"Names": ["/db", "/web/db"], "Labels": null, "State": "a word of its own"},
            {"Names": null}
        ]"#;
        let taken = foreign(json, &InstallationId::parse("00c0ffee").unwrap()).unwrap();
        let names: Vec<_> = taken.names.iter().map(EngineName::as_str).collect();
        assert_eq!(names, ["db", "mn.half", "mn.theirs"]);
        let expected = [held(Protocol::Tcp, 8081, "::"), held(Protocol::Udp, 81, "")];
        assert_eq!(taken.ports, expected.into());
        assert!(foreign(b"{}", &InstallationId::from_bits(1)).is_err());
    }
}
