//! From the engine's account of a container to ours. Pure, but for one look at `/proc`.

use bollard::errors::Error;
use bollard::models::{ContainerInspectResponse, ContainerState as EngineState, ContainerStateStatusEnum};
use llcm_names::{EngineName, Owner};
use llcm_runtime::{AttachPoint, ContainerState, ContainerView, EngineId, labels};
use serde_json::Value;

/// What one look at a container tells.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// The engine's id, which no other container ever has.
    pub(crate) id: String,
    /// Whose it is; `None` for a foreign one.
    pub(crate) owner: Option<Owner>,
    /// The digest of the specification it was created from.
    pub(crate) spec: Option<String>,
    /// The first process, in the engine's numbering, while it runs.
    pub(crate) pid: Option<u32>,
    /// Whether it has a terminal.
    pub(crate) terminal: bool,
    /// What it does.
    pub(crate) state: ContainerState,
    response: Box<ContainerInspectResponse>,
}

impl Found {
    /// Reads the answer to a question for a container.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, Error> {
        let mut value: Value = serde_json::from_slice(json)?;
        if let Some(status) = value.pointer_mut("/State/Status") {
            // Podman's words for what Docker calls otherwise.
            match status.as_str() {
                Some("stopped") => *status = "exited".into(),
                Some("configured" | "initialized") => *status = "created".into(),
                _ => {}
            }
        }
        Ok(Self::new(serde_json::from_value(value)?))
    }

    fn new(response: ContainerInspectResponse) -> Self {
        let config = response.config.as_ref();
        let label = |key: &str| config.and_then(|config| config.labels.as_ref()).and_then(|map| map.get(key));
        let state = response.state.as_ref();
        let pid = state.and_then(|state| state.pid).and_then(|pid| u32::try_from(pid).ok());
        Self {
            id: response.id.clone().unwrap_or_default(),
            owner: labels::owner(label),
            spec: label(labels::SPEC).cloned(),
            pid: pid.filter(|&pid| pid != 0),
            terminal: config.and_then(|config| config.tty).unwrap_or_default(),
            state: state.map_or(ContainerState::Created, container_state),
            response: Box::new(response),
        }
    }

    /// Whether its first process is there.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.state, ContainerState::Running | ContainerState::Paused)
    }

    /// Whether the process that the engine names is the one this host shows under that number. It is not
    /// when the engine runs on another machine, or in another PID namespace than this program.
    pub(crate) fn process_is_visible(&self) -> bool {
        self.pid.is_some_and(|pid| {
            std::fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|text| text.contains(&self.id))
        })
    }

    /// How to reach the container by name, and by its network namespace while it has one that can be seen.
    pub(crate) fn attach_point(&self, engine: &EngineId, name: &EngineName) -> AttachPoint {
        let pid = self.pid.filter(|_| self.is_live() && self.process_is_visible());
        AttachPoint {
            netns: pid.map(|pid| format!("/proc/{pid}/ns/net").into()),
            engine: Some((engine.clone(), name.to_string())),
            // To the nanosecond, and kept over restarts of the engine.
            run: self.started_at().filter(|_| self.is_live()),
        }
    }

    fn started_at(&self) -> Option<String> {
        self.response.state.as_ref()?.started_at.as_ref().map(ToString::to_string)
    }

    /// The container as the contract wants it.
    pub(crate) fn view(&self, engine: &EngineId, name: &EngineName) -> ContainerView {
        let config = self.response.config.as_ref();
        let label = |key: &str| config.and_then(|config| config.labels.as_ref()).and_then(|map| map.get(key));
        ContainerView {
            name: name.clone(),
            id: self.id.clone(),
            owner: self.owner.clone(),
            datacenter: labels::datacenter(label),
            image: label(labels::IMAGE)
                .or_else(|| config.and_then(|config| config.image.as_ref()))
                .cloned()
                .unwrap_or_default(),
            state: self.state,
            attach: self.is_live().then(|| self.attach_point(engine, name)),
            management_address: self.management_address(),
        }
    }

    /// The name, without the `/` that the engine puts in front of it.
    pub(crate) fn name(&self) -> Option<EngineName> {
        let name = self.response.name.as_deref()?;
        EngineName::parse(name.strip_prefix('/').unwrap_or(name)).ok()
    }

    fn management_address(&self) -> Option<String> {
        let networks = self.response.network_settings.as_ref()?.networks.as_ref()?;
        let mut named: Vec<_> = networks.iter().collect();
        named.sort_by_key(|(name, _)| name.as_str());
        named
            .into_iter()
            .filter_map(|(_, endpoint)| endpoint.ip_address.clone())
            .find(|address| !address.is_empty())
    }
}

fn container_state(state: &EngineState) -> ContainerState {
    match state.status {
        Some(ContainerStateStatusEnum::CREATED) => ContainerState::Created,
        Some(ContainerStateStatusEnum::PAUSED) => ContainerState::Paused,
        Some(
            ContainerStateStatusEnum::RUNNING
            | ContainerStateStatusEnum::RESTARTING
            | ContainerStateStatusEnum::STOPPING,
        ) => ContainerState::Running,
        Some(
            ContainerStateStatusEnum::EXITED
            | ContainerStateStatusEnum::DEAD
            | ContainerStateStatusEnum::REMOVING,
        ) => ContainerState::Exited { code: state.exit_code },
        Some(ContainerStateStatusEnum::EMPTY) | None if state.running == Some(true) => {
            ContainerState::Running
        }
        Some(ContainerStateStatusEnum::EMPTY) | None => ContainerState::Exited { code: None },
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::{ContainerConfig, EndpointSettings, NetworkSettings};

    use super::*;

    fn response() -> ContainerInspectResponse {
        let labels = labels::of(&crate::create_body::tests::bare_spec());
        let endpoint = |address: &str| EndpointSettings {
            ip_address: Some(address.to_owned()),
            ..EndpointSettings::default()
        };
        ContainerInspectResponse {
            id: Some("0abc".to_owned()),
            name: Some("/mn.vnf0.vdu01.0".to_owned()),
            config: Some(ContainerConfig {
                image: Some("ubuntu:trusty".to_owned()),
                labels: Some(labels.into_iter().collect()),
                tty: Some(true),
                ..ContainerConfig::default()
            }),
            state: Some(EngineState {
                status: Some(ContainerStateStatusEnum::RUNNING),
                pid: Some(i64::from(std::process::id())),
                ..EngineState::default()
            }),
            network_settings: Some(NetworkSettings {
                networks: Some(
                    [("none".to_owned(), endpoint("")), ("bridge".to_owned(), endpoint("172.17.0.2"))].into(),
                ),
                ..NetworkSettings::default()
            }),
            ..ContainerInspectResponse::default()
        }
    }

    #[test]
    fn a_running_container_is_shown_with_what_identifies_it() {
        let spec = crate::create_body::tests::bare_spec();
        let found = Found::new(response());
        let view = found.view(&EngineId::new("docker"), &spec.name);
        assert_eq!(found.name(), Some(spec.name));
        assert_eq!(found.spec, Some(labels::digest(&crate::create_body::tests::bare_spec())));
        assert_eq!(view.owner, Some(spec.owner));
        assert_eq!(view.datacenter, Some(spec.datacenter));
        assert_eq!(view.state, ContainerState::Running);
        assert_eq!(view.management_address.as_deref(), Some("172.17.0.2"));
    }

    #[test]
    fn a_process_of_that_number_that_is_no_containers_is_not_attached_to() {
        // The test's own process exists, but its control groups do not name the container.
        let found = Found::new(response());
        let point = found.attach_point(&EngineId::new("docker"), &found.name().unwrap());
        assert_eq!(point.netns, None);
        assert_eq!(point.engine, Some((EngineId::new("docker"), "mn.vnf0.vdu01.0".to_owned())));
    }

    #[test]
    fn other_engines_words_for_states_are_understood() {
        let state = |status: &str| {
            let json = format!(r#"{{"Id":"1","State":{{"Status":"{status}","ExitCode":3}}}}"#);
            Found::parse(json.as_bytes()).unwrap().state
        };
        assert_eq!(state("stopped"), ContainerState::Exited { code: Some(3) });
        assert_eq!(state("initialized"), ContainerState::Created);
        assert_eq!(state("running"), ContainerState::Running);
        assert!(Found::parse(br#"{"State":{"Status":"odd"}}"#).is_err());
    }

    #[test]
    fn every_state_of_the_engine_has_one_of_ours() {
        for (status, state) in [
            (ContainerStateStatusEnum::CREATED, ContainerState::Created),
            (ContainerStateStatusEnum::RUNNING, ContainerState::Running),
            (ContainerStateStatusEnum::RESTARTING, ContainerState::Running),
            (ContainerStateStatusEnum::PAUSED, ContainerState::Paused),
            (ContainerStateStatusEnum::EXITED, ContainerState::Exited { code: Some(3) }),
            (ContainerStateStatusEnum::DEAD, ContainerState::Exited { code: Some(3) }),
        ] {
            let engine = EngineState { status: Some(status), exit_code: Some(3), ..EngineState::default() };
            assert_eq!(container_state(&engine), state, "{status}");
        }
    }
}
