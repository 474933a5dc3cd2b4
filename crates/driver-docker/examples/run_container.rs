//! Runs one container, shows what it says, and removes it. Needs a Docker engine on this host.
//!
//! ```text
//! cargo run -p llcm-driver-docker --example run_container -- busybox 'ip address'
//! ```
#![expect(clippy::print_stdout, reason = "it is a program")]

use llcm_driver_docker::{DockerContainers, DockerOptions};
use llcm_runtime::{ContainerDriver, ExecSpec, PullPolicy};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let image = arguments.next().unwrap_or_else(|| "busybox".to_owned());
    let script = arguments.next().unwrap_or_else(|| "uname -a; ip address".to_owned());
    let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| DockerOptions::DEFAULT_SOCKET.to_owned());
    let options = DockerOptions::new(DockerOptions::socket_of_host(&host)?, std::env::temp_dir());

    let docker = DockerContainers::connect(&options).await?;
    docker.ensure_image(&image, PullPolicy::IfMissing, &()).await?;
    let spec = serde_json::from_value::<llcm_runtime::ContainerSpec>(serde_json::json!({
        "owner": {"installation": "0000e8a1", "instance": "00000000-0000-4000-8000-000000000001"},
        "name": "mn.example", "logical_name": "example", "datacenter": "dc1", "image": image,
        "environment": {}, "cpu": {}, "exposed": [], "published": [], "binds": [], "devices": [],
        "cap_add": [], "interfaces": []
    }))?;
    docker.create(&spec).await?;
    docker.start(&spec.owner, &spec.name).await?;
    let command = ExecSpec { argv: ["sh", "-c", &script].map(str::to_owned).to_vec(), ..ExecSpec::default() };
    let mut output = Vec::new();
    if let Some(exec) = docker.exec() {
        exec.exec(&spec.owner, &spec.name, &command, &mut output).await?;
    }
    print!("{}", String::from_utf8_lossy(&output));
    docker.remove(&spec.owner, &spec.name).await?;
    Ok(())
}
