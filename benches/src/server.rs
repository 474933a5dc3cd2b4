//! The program under measurement, as a user starts it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

const ADDRESS: &str = "127.0.0.1:5055";

/// `llcm serve`, ended when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) client: reqwest::Client,
    pub(crate) started_in: Duration,
}

/// The release binary beside this one.
pub(crate) fn binary() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("llcm");
    ensure!(path.exists(), "{} is missing: run `cargo build --release`", path.display());
    Ok(path)
}

/// The URL of a path of the server.
pub(crate) fn url(path: &str) -> String {
    format!("http://{ADDRESS}{path}")
}

impl Server {
    /// Starts a server and waits for its first answer, looking without pause.
    pub(crate) async fn start(engine: &str, data: &Path) -> Result<Self> {
        let mut command = Command::new(binary()?);
        command
            .args(["serve", "--listen", ADDRESS, "--engine", engine, "--log", "warn", "--data-dir"])
            .arg(data);
        command.stdout(Stdio::null());
        let begin = Instant::now();
        let child = command.spawn()?;
        let mut server = Self { child, client: reqwest::Client::new(), started_in: Duration::ZERO };
        loop {
            // A connection of its own each time: nothing is kept from failed attempts.
            if std::net::TcpStream::connect(ADDRESS).is_ok()
                && server
                    .client
                    .get(url("/api/llcm/v1/health"))
                    .send()
                    .await
                    .is_ok_and(|reply| reply.status().is_success())
            {
                break;
            }
            ensure!(begin.elapsed() < Duration::from_secs(20), "the server does not answer");
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        server.started_in = begin.elapsed();
        Ok(server)
    }

    /// The server's process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Uploads a package; the service's id.
    pub(crate) async fn upload(&self, package: Vec<u8>) -> Result<String> {
        let reply = self.client.post(url("/packages")).body(package).send().await?;
        let body: Value = reply.json().await?;
        body["service_uuid"].as_str().map(str::to_owned).with_context(|| format!("upload: {body}"))
    }

    /// Instantiates a service and waits; the instance's id.
    pub(crate) async fn instantiate(&self, service: &str) -> Result<String> {
        let request = self.client.post(url("/instantiations")).json(&json!({ "service_uuid": service }));
        let body: Value = request.send().await?.json().await?;
        body["service_instance_uuid"]
            .as_str()
            .map(str::to_owned)
            .with_context(|| format!("instantiate: {body}"))
    }

    /// Terminates an instance and waits.
    pub(crate) async fn terminate(&self, instance: &str) -> Result<()> {
        let request =
            self.client.delete(url("/instantiations")).json(&json!({ "service_instance_uuid": instance }));
        let reply = request.send().await?;
        ensure!(reply.status().is_success(), "terminate: {}", reply.text().await?);
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let stopped = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        if !stopped.is_ok_and(|status| status.success()) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}
