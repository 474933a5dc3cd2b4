//! The contract suite. The cases that need a network driver are run with the two real drivers together,
//! elsewhere.

use std::sync::Arc;

use async_trait::async_trait;
use llcm_driver_docker::{DockerContainers, DockerOptions};
use llcm_names::InstallationId;
use llcm_runtime::contract::{Drivers, Factory, Host, Probe, run_matching};

use crate::bed::{Bed, IMAGE};
use crate::probe::HostProbe;

struct DockerFactory {
    options: DockerOptions,
    host: Host,
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
}

#[tokio::test]
async fn the_driver_keeps_the_contract() {
    let Some(bed) = Bed::make().await else { return };
    let socket = crate::bed::socket().unwrap();
    let mut host = Host::with_image(IMAGE);
    host.first_line = Some("ready".to_owned());
    let factory = DockerFactory { options: DockerOptions::new(socket, bed.home.path().join("helper")), host };
    for part in ["containers::", "commands::"] {
        let report = run_matching(&factory, part).await;
        println!("{report}");
        report.verdict(&[]).unwrap();
    }
    assert!(bed.home.path().join("helper").read_dir().is_ok_and(|mut files| files.next().is_none()));
}
