//! Watching containers through the engine's own events.
//!
//! A connection that was lost means a gap, whatever the reason: the first thing told after each connection is that everything
//! is to be looked at. Docker answers before it begins to tell (moby, `getEvents` flushes the head first), so it is asked
//! for what has happened since before the request: what ends between its answer and its beginning is told, too.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use llcm_names::{EngineName, InstallationId, Owner};
use llcm_runtime::{ContainerChange, ContainerEvent, ContainerWatch, labels};
use serde_json::Value;
use tokio::time::Instant;

use crate::client::Client;
use crate::map_error::Attempt;
use crate::messages::Messages;
use crate::raw::encode;

/// How soon after a lost connection the next one is tried, and how long it takes at most between two tries.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A watch on the containers of an installation.
#[derive(Debug)]
pub(crate) struct DockerWatch {
    client: Client,
    installation: InstallationId,
    connection: Option<(Messages, Instant)>,
    pause: Duration,
    not_before: Instant,
}

impl DockerWatch {
    pub(crate) fn new(client: &Client, installation: &InstallationId) -> Self {
        Self {
            client: client.clone(),
            installation: installation.clone(),
            connection: None,
            pause: FIRST_PAUSE,
            not_before: Instant::now(),
        }
    }

    /// Connects, in the end.
    async fn connect(&mut self) {
        let installation = self.installation.clone();
        let attempt = Attempt::new("watch containers of", installation.as_str());
        loop {
            tokio::time::sleep_until(self.not_before).await;
            let path = events_since(SystemTime::now(), &self.installation);
            let asked = self.client.call(attempt, |_| self.client.get(&path)).await;
            match asked {
                Ok(output) => {
                    self.connection = Some((Messages::new(output), Instant::now()));
                    return;
                }
                Err(error) => {
                    // Once: it may take long.
                    if self.pause == FIRST_PAUSE {
                        log::warn!("{error}; trying again");
                    }
                    self.later();
                }
            }
        }
    }

    /// The next try is later than the one before.
    fn later(&mut self) {
        self.not_before = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

#[async_trait]
impl ContainerWatch for DockerWatch {
    async fn next(&mut self) -> Option<ContainerEvent> {
        loop {
            let Some((messages, since)) = &mut self.connection else {
                self.connect().await;
                return Some(ContainerEvent::Resync);
            };
            match messages.next().await {
                Ok(Some(message)) => {
                    if let Some(event) = event(message.value()) {
                        return Some(event);
                    }
                }
                ended => {
                    if let Err(error) = ended {
                        log::debug!("the engine's events of {}: {error}", self.installation);
                    }
                    if since.elapsed() > LONGEST_PAUSE {
                        self.pause = FIRST_PAUSE;
                    }
                    self.connection = None;
                    self.later();
                }
            }
        }
    }
}

/// The request for what happens to the containers of an installation from a time on: Unix time, seconds and nanoseconds.
fn events_since(since: SystemTime, installation: &InstallationId) -> String {
    let label = format!("{}={installation}", Owner::LABEL_INSTALLATION);
    let filters = serde_json::json!({ "type": ["container"], "label": [label] }).to_string();
    let since = since.duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("/events?since={}.{:09}&filters={}", since.as_secs(), since.subsec_nanos(), encode(&filters))
}

/// What a message of the engine's tells; `None`: nothing that matters here (commands, signals, other objects).
fn event(message: &Value) -> Option<ContainerEvent> {
    let attributes: BTreeMap<String, String> = message
        .pointer("/Actor/Attributes")?
        .as_object()?
        .iter()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect();
    let what = match message.get("Action").or_else(|| message.get("status"))?.as_str()? {
        "create" => ContainerChange::Created,
        "start" => ContainerChange::Started,
        // Podman's words are the second ones.
        "die" | "died" => {
            let code = attributes.get("exitCode").or_else(|| attributes.get("containerExitCode"));
            ContainerChange::Ended { code: code.and_then(|code| code.parse().ok()) }
        }
        "pause" => ContainerChange::Paused,
        "unpause" => ContainerChange::Unpaused,
        "destroy" | "remove" => ContainerChange::Removed,
        _ => return None,
    };
    let owner = labels::owner(|key| attributes.get(key))?;
    let container = EngineName::parse(attributes.get("name")?).ok()?;
    Some(ContainerEvent::Changed { owner, container, what })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(action: &str, more: &[(&str, &str)]) -> Option<ContainerEvent> {
        let spec = crate::create_body::tests::bare_spec();
        let mut attributes: BTreeMap<_, _> = labels::of(&spec).into_iter().collect();
        attributes.insert("name".to_owned(), spec.name.to_string());
        attributes.extend(more.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())));
        let actor = serde_json::json!({ "ID": "0abc", "Attributes": attributes });
        event(&serde_json::json!({ "Type": "container", "Action": action, "Actor": actor }))
    }

    #[test]
    fn nothing_between_the_request_and_its_answer_is_missed() {
        let since = UNIX_EPOCH + Duration::new(1_700_000_000, 5_000_000);
        let path = events_since(since, &InstallationId::from_bits(0xabc));
        assert!(path.starts_with("/events?since=1700000000.005000000&filters="), "{path}");
        assert!(path.contains("llcm.installation%3D00000abc"), "{path}");
    }

    #[test]
    fn what_matters_is_told_and_nothing_else() {
        let spec = crate::create_body::tests::bare_spec();
        let changed = |what| {
            let (owner, container) = (spec.owner.clone(), spec.name.clone());
            Some(ContainerEvent::Changed { owner, container, what })
        };
        for (action, what) in [
            ("create", ContainerChange::Created),
            ("start", ContainerChange::Started),
            ("die", ContainerChange::Ended { code: None }),
            ("pause", ContainerChange::Paused),
            ("unpause", ContainerChange::Unpaused),
            ("destroy", ContainerChange::Removed),
            ("remove", ContainerChange::Removed),
        ] {
            assert_eq!(told(action, &[]), changed(what), "{action}");
        }
        assert_eq!(told("die", &[("exitCode", "137")]), changed(ContainerChange::Ended { code: Some(137) }));
        for action in ["kill", "exec_create: sh", "exec_die", "top", "resize", "attach", "health_status"] {
            assert_eq!(told(action, &[]), None, "{action}");
        }
        assert_eq!(event(&serde_json::json!({ "Action": "start" })), None);
    }
}
