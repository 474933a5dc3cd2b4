//! The contract suite. The cases that need a network driver are run with the two real drivers together,
//! elsewhere.

use std::sync::Arc;

use async_trait::async_trait;
use llcm_driver_docker::{DockerContainers, DockerOptions};
use llcm_names::InstallationId;
use llcm_runtime::ContainerDriver;
use llcm_runtime::contract::{Drivers, Factory, Host, Probe, run_matching};

use crate::bed::{Bed, IMAGE};
use crate::probe::HostProbe;

struct DockerFactory {
    options: DockerOptions,
    host: Host,
    excluded: Vec<(&'static str, &'static str)>,
}

#[async_trait]
impl Factory for DockerFactory {
    async fn drivers(&self, _installation: &InstallationId) -> Result<Drivers, String> {
        let driver = DockerContainers::connect(&self.options).await.map_err(|error| error.to_string())?;
        Ok(Drivers { containers: Arc::new(driver), network: None })
    }

    fn host(&self) -> &Host {
        &self.host
    }

    fn probe(&self) -> &dyn Probe {
        &HostProbe
    }

    fn excluded(&self) -> Vec<(&'static str, &'static str)> {
        self.excluded.clone()
    }
}

#[tokio::test]
async fn the_driver_keeps_the_contract() {
    let Some(bed) = Bed::make().await else { return };
    let socket = crate::bed::socket().unwrap();
    let mut host = Host::with_image(IMAGE);
    host.first_line = Some("ready".to_owned());
    let excluded = match bed.driver.info().await.unwrap().name.as_str() {
        "podman" => vec![(
            "commands::a_command_that_does_not_exist_is_invalid",
            "Podman 4.3 tells a missing program by exit code 127 only, which a command may have of its own",
        )],
        _ => Vec::new(),
    };
    let options = DockerOptions::new(socket, bed.home.path().join("helper"));
    let factory = DockerFactory { options, host, excluded };
    let not_seen: Vec<_> = factory.excluded.iter().map(|(name, _)| *name).collect();
    for part in ["containers::", "commands::", "watch::"] {
        let report = run_matching(&factory, part).await;
        println!("{report}");
        report.verdict(&not_seen).unwrap();
    }
    let left = bed.home.path().join("helper").read_dir().map_or(0, Iterator::count);
    assert_eq!(left, 0, "helper files after the clean-up");
}
