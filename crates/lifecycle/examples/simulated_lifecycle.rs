//! A service's whole life on a simulated host: no privileges, no container engine, nothing left behind.
//!
//! `cargo run -p llcm-lifecycle --example simulated_lifecycle [PACKAGE.tgo]`
#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::error::Error;
use std::fs::File;
use std::io::{Read, Write};
use std::sync::Arc;

use llcm_lifecycle::installation::installation_id;
use llcm_lifecycle::request::{Event, ServiceRef, Upload};
use llcm_lifecycle::{Dialect, Orchestrator, Parts, Settings, SystemClock, SystemIds};
use llcm_packaging::Sha1Reader;
use llcm_runtime::simulated::{self, World};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let package = match std::env::args().nth(1) {
        Some(path) => {
            let mut bytes = Vec::new();
            File::open(path)?.read_to_end(&mut bytes)?;
            bytes
        }
        None => llcm_testkit::demo_chain().build(),
    };

    // 1. Drivers carry the installation's id in the marks of what they create.
    let data_dir = tempfile::tempdir()?;
    let installation = installation_id(data_dir.path(), &SystemIds)?;
    let world = World::new();
    let llcm = Orchestrator::open(Parts {
        data_dir: data_dir.path().to_owned(),
        settings: Settings::default(),
        topology: llcm_topology::default_topology(),
        backend: simulated::backend(&world, &installation),
        placement: None,
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
    })
    .await?;

    // 2. An upload becomes a service.
    let mut file = llcm.staging_file()?;
    file.write_all(&package)?;
    let (size, sha1) = Sha1Reader::new(package.as_slice()).finish()?;
    let service = llcm.onboard(Upload { file, size, sha1: sha1.parse()? }, Dialect::Tango).await?;
    println!("on-boarded {} ({} functions)", service.package.id, service.functions.len());

    // 3. A service becomes an instance; whoever likes watches.
    let mut events = llcm.events();
    let request = llcm.instantiate(&ServiceRef::Latest).await?;
    llcm.wait(request.id).await?;
    while let Ok(event) = events.try_recv() {
        match event {
            Event::Step { step, progress: (done, all), .. } => println!("  {done:>3}/{all} {step}"),
            Event::State { state, .. } => println!("  {state:?}"),
            Event::Container { container, state, .. } => println!("  {container}: {state:?}"),
            Event::Topology { change } => println!("  {change}"),
            Event::Image { progress } => println!("  {}: {}", progress.subject, progress.status),
        }
    }
    for container in llcm.instances(false).iter().flat_map(|instance| &instance.containers) {
        println!("{} in {}: {:?}", container.name, container.datacenter, container.interfaces);
    }

    // 4. And nothing is left.
    let request = llcm.terminate(request.instance_id).await?;
    llcm.wait(request.id).await?;
    llcm.remove_service(service.id).await?;
    llcm.shutdown(true).await?;
    assert!(world.is_empty());
    println!("nothing is left");
    Ok(())
}
