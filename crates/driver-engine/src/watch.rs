//! Watching containers: the engine in this program tells their ends. Nobody else starts, pauses or removes them.

use std::sync::mpsc::Receiver;

use async_trait::async_trait;
use llcm_engine::Ended;
use llcm_names::{EngineName, InstallationId};
use llcm_runtime::{ContainerChange, ContainerEvent, ContainerWatch};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::driver::{EngineContainers, owner_of};
use crate::map_error::Attempt;

/// A watch on the containers of an installation.
pub(crate) struct EngineWatch {
    driver: EngineContainers,
    installation: InstallationId,
    begun: bool,
    /// What was told and is not yet looked at, so that a look that is dropped half-way loses nothing.
    told: Option<Ended>,
    ends: UnboundedReceiver<Ended>,
}

impl EngineWatch {
    pub(crate) fn new(driver: &EngineContainers, installation: &InstallationId) -> Self {
        let (sender, ends) = unbounded_channel();
        let subscribed = driver.engine.subscribe();
        // A thread of its own: it waits as long as the engine lives, which no pool of threads is for.
        let thread = std::thread::Builder::new().name("engine-watch".to_owned());
        let started = thread.spawn(move || pass_on(&subscribed, |ended| sender.send(ended).is_ok()));
        if let Err(error) = started {
            log::error!("containers are not watched: {error}");
        }
        let (driver, installation) = (driver.clone(), installation.clone());
        Self { driver, installation, begun: false, told: None, ends }
    }
}

/// Until the engine is gone, or nobody takes what it tells.
fn pass_on(subscribed: &Receiver<Ended>, to: impl Fn(Ended) -> bool) {
    while let Ok(ended) = subscribed.recv() {
        if !to(ended) {
            return;
        }
    }
}

#[async_trait]
impl ContainerWatch for EngineWatch {
    async fn next(&mut self) -> Option<ContainerEvent> {
        if !self.begun {
            self.begun = true;
            return Some(ContainerEvent::Resync);
        }
        loop {
            let ended = match &self.told {
                Some(ended) => ended.clone(),
                None => self.told.insert(self.ends.recv().await?).clone(),
            };
            let found = match EngineName::parse(&ended.name) {
                Ok(container) => {
                    let attempt = Attempt::new("look at the end of container", container.as_str());
                    let found = self.driver.look(attempt, &container).await;
                    // One that is gone already was removed by this program.
                    found.ok().flatten().map(|found| (container, found))
                }
                // No driver gives such names.
                Err(_) => None,
            };
            self.told = None;
            let Some((container, found)) = found else { continue };
            let Some(owner) = owner_of(&found).filter(|it| it.installation == self.installation) else {
                continue;
            };
            let what = ContainerChange::Ended { code: ended.exit.code.map(i64::from) };
            return Some(ContainerEvent::Changed { owner, container, what });
        }
    }
}
