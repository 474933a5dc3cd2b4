//! Which instance, container or service is meant by what a person typed.

use anyhow::{anyhow, bail};

use super::Client;
use super::model::{Container, Instance, Service};

/// An instance by id, unique prefix of an id, or name; without anything: the only one.
///
/// # Errors
/// When none or several are meant; they are listed.
pub(crate) fn instance(all: Vec<Instance>, given: Option<&str>) -> anyhow::Result<Instance> {
    let Some(given) = given else {
        return match <[Instance; 1]>::try_from(all) {
            Ok([only]) => Ok(only),
            Err(all) if all.is_empty() => Err(anyhow!("nothing is running: start it with `llcm up PACKAGE`")),
            Err(all) => Err(anyhow!("several instances are running, name one of them:{}", listed(&all))),
        };
    };
    if let Some(exact) = all.iter().find(|instance| instance.id == given || instance.name == given) {
        return Ok(exact.clone());
    }
    let matching: Vec<Instance> =
        all.iter().filter(|instance| !given.is_empty() && instance.id.starts_with(given)).cloned().collect();
    match <[Instance; 1]>::try_from(matching) {
        Ok([only]) => Ok(only),
        Err(several) if several.is_empty() => {
            Err(anyhow!("no instance `{given}`: `llcm ps` lists what there is{}", listed(&all)))
        }
        Err(several) => Err(anyhow!("`{given}` may be one of several instances:{}", listed(&several))),
    }
}

/// The instance that is meant, as [`instance()`] says; without anything: all.
///
/// # Errors
/// Likewise.
pub(crate) fn instances(all: Vec<Instance>, given: Option<&str>) -> anyhow::Result<Vec<Instance>> {
    match given {
        Some(given) => instance(all, Some(given)).map(|only| vec![only]),
        None => Ok(all),
    }
}

fn listed(instances: &[Instance]) -> String {
    instances.iter().map(|instance| format!("\n  {}  {}", instance.id, instance.name)).collect()
}

/// A container by its name, its name in the engine, or its function, where that has only one; without
/// anything: the only one.
///
/// # Errors
/// When none or several are meant; they are listed.
pub(crate) fn container(instance: &Instance, given: Option<&str>) -> anyhow::Result<Container> {
    let all = &instance.containers;
    let names = || all.iter().map(|container| format!("\n  {}", container.name)).collect::<String>();
    let Some(given) = given else {
        return match all.as_slice() {
            [only] => Ok(only.clone()),
            [] => Err(anyhow!("{} has no containers", instance.name)),
            _ => Err(anyhow!("name a container of {}:{}", instance.name, names())),
        };
    };
    if let Some(exact) = all.iter().find(|one| one.name == given || one.engine_name == given) {
        return Ok(exact.clone());
    }
    let matching: Vec<&Container> = all.iter().filter(|one| one.vnf_id == given).collect();
    match matching.as_slice() {
        [only] => Ok((*only).clone()),
        [] if all.is_empty() => {
            Err(anyhow!("no container `{given}` in {}: it has no containers", instance.name))
        }
        [] => Err(anyhow!("no container `{given}` in {}; there are:{}", instance.name, names())),
        _ => Err(anyhow!("{given} has several containers, name one of them:{}", names())),
    }
}

/// A service by id, unique prefix of an id, or package name (several with that name: the newest).
///
/// # Errors
/// When none or several are meant.
pub(crate) fn service(all: &[Service], given: &str) -> anyhow::Result<Service> {
    if let Some(exact) = all.iter().find(|service| service.id == given) {
        return Ok(exact.clone());
    }
    if let Some(newest) = all.iter().rfind(|service| service.package.id.name == given) {
        return Ok(newest.clone());
    }
    let matching: Vec<&Service> =
        all.iter().filter(|service| !given.is_empty() && service.id.starts_with(given)).collect();
    match matching.as_slice() {
        [only] => Ok((*only).clone()),
        [] => bail!("no service `{given}`: `llcm services` lists what there is"),
        _ => bail!("`{given}` may be one of several services: write more of the id"),
    }
}

impl Client {
    /// The instance meant, its containers asked from the engine now.
    pub(crate) async fn find_instance(&self, given: Option<&str>) -> anyhow::Result<Instance> {
        let found = instance(self.instances(false).await?, given)?;
        self.typed(&format!("/instances/{}", found.id)).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn instances() -> Vec<Instance> {
        let one = |id: &str, name: &str| {
            json!({"id": id, "name": name, "state": "running", "created_at": "2026-01-01T00:00:00Z", "containers": [
                {"name": "a.du.0", "engine_name": "mn.a.du.0", "vnf_id": "a", "datacenter": "dc1", "image": "i"},
                {"name": "b.x.0", "engine_name": "mn.b.x.0", "vnf_id": "b", "datacenter": "dc1", "image": "i"},
                {"name": "b.y.0", "engine_name": "mn.b.y.0", "vnf_id": "b", "datacenter": "dc2", "image": "i"},
            ]})
        };
        serde_json::from_value(json!([one("1234", "v.n.1-inst.0"), one("1299", "v.n.1-inst.1")])).unwrap()
    }

    #[test]
    fn an_instance_is_found_by_id_prefix_or_name() {
        assert_eq!(instance(instances(), Some("1234")).unwrap().id, "1234");
        assert_eq!(instance(instances(), Some("129")).unwrap().id, "1299");
        assert_eq!(instance(instances(), Some("v.n.1-inst.1")).unwrap().id, "1299");
        for (given, told) in [
            (Some("12"), "several"),
            (Some("9"), "no instance"),
            (None, "several"),
            (Some(""), "no instance"),
        ] {
            let error = instance(instances(), given).unwrap_err().to_string();
            assert!(error.contains(told) && error.contains("v.n.1-inst.0"), "{error}");
        }
        assert!(instance(Vec::new(), None).unwrap_err().to_string().contains("llcm up"));
        assert_eq!(instance(instances()[..1].to_vec(), None).unwrap().id, "1234");
    }

    #[test]
    fn a_container_is_found_by_name_or_function() {
        let instance = &instances()[0];
        assert_eq!(container(instance, Some("a")).unwrap().name, "a.du.0");
        assert_eq!(container(instance, Some("mn.b.x.0")).unwrap().name, "b.x.0");
        for (given, told) in [(Some("b"), "several"), (Some("c"), "no container"), (None, "name a container")]
        {
            let error = container(instance, given).unwrap_err().to_string();
            assert!(error.contains(told) && error.contains("b.y.0"), "{error}");
        }
    }
}
