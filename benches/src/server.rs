//! The program under measurement, as a user starts it.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::embedded::image_tree;
use crate::services::IMAGE;

/// An ordinary user: a number that nobody has.
const USER: u32 = 23459;

/// How a server is started.
#[derive(Debug, Clone)]
pub(crate) struct Serve {
    engine: &'static str,
    data: PathBuf,
    port: u16,
    as_user: bool,
}

impl Serve {
    /// By this user, on the benchmarks' usual port.
    pub(crate) fn new(engine: &'static str, data: &Path) -> Self {
        Self { engine, data: data.to_path_buf(), port: 5055, as_user: false }
    }

    /// On another port, for several side by side.
    pub(crate) fn on(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// By an ordinary user, who is given the data directory.
    pub(crate) fn for_user(self) -> Result<Self> {
        std::fs::create_dir_all(&self.data)?;
        chown(&self.data, Some(USER), Some(USER))?;
        // The directory above is a temporary one, which others may not enter.
        if let Some(above) = self.data.parent() {
            chown(above, Some(USER), Some(USER))?;
        }
        Ok(Self { as_user: true, ..self })
    }

    /// Gives the embedded engine the image that Docker has.
    pub(crate) fn with_image(self) -> Result<Self> {
        let mut command = self.llcm()?;
        command.args(["image", "import", "--name", IMAGE, "--data-dir"]).arg(&self.data);
        command.arg("/dev/stdin").stdin(std::fs::File::open(image_tree()?)?).stdout(Stdio::null());
        ensure!(command.status()?.success(), "the image is not imported");
        Ok(self)
    }

    fn llcm(&self) -> Result<Command> {
        let program = binary()?;
        let mut command = if self.as_user {
            let mut command = Command::new("setpriv");
            let user = USER.to_string();
            command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        if self.engine == "embedded" {
            // It would look for images there.
            command.env_remove("DOCKER_HOST");
        }
        Ok(command)
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// `llcm serve`, ended with all its instances when dropped.
pub(crate) struct Server {
    child: Child,
    serve: Serve,
    pub(crate) client: reqwest::Client,
    pub(crate) started_in: Duration,
}

/// The release binary beside this one.
pub(crate) fn binary() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("llcm");
    ensure!(path.exists(), "{} is missing: run `cargo build --release`", path.display());
    Ok(path)
}

impl Server {
    /// Starts a server and waits for its first answer, looking without pause.
    pub(crate) async fn start(serve: Serve) -> Result<Self> {
        let mut command = serve.llcm()?;
        let address = serve.address();
        command.args(["serve", "--listen", &address, "--engine", serve.engine, "--log", "warn"]);
        // One E-LAN of 256 VNFs, and an E-Line between each two of them.
        command.args(["--elan-pool", "30.0.0.0/22x16", "--eline-pool", "20.0.0.0/24x512"]);
        command.args(["--stop-instances", "--data-dir"]).arg(&serve.data).stdout(Stdio::null());
        let begin = Instant::now();
        let child = command.spawn()?;
        let mut server = Self { child, serve, client: reqwest::Client::new(), started_in: Duration::ZERO };
        loop {
            // A connection of its own each time: nothing is kept from failed attempts.
            if std::net::TcpStream::connect(&address).is_ok()
                && server
                    .client
                    .get(server.url("/api/llcm/v1/health"))
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

    /// The URL of a path of the server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.serve.address())
    }

    /// The server's process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills the server as `kill -9` does and starts the next one on the same directory.
    pub(crate) async fn restart(mut self) -> Result<Self> {
        let serve = self.serve.clone();
        self.child.kill()?;
        self.child.wait()?;
        drop(self);
        Self::start(serve).await
    }

    /// Uploads a package; the service's id.
    pub(crate) async fn upload(&self, package: Vec<u8>) -> Result<String> {
        let reply = self.client.post(self.url("/packages")).body(package).send().await?;
        let body: Value = reply.json().await?;
        body["service_uuid"].as_str().map(str::to_owned).with_context(|| format!("upload: {body}"))
    }

    /// Instantiates a service and waits; the instance's id.
    pub(crate) async fn instantiate(&self, service: &str) -> Result<String> {
        let request = self.client.post(self.url("/instantiations")).json(&json!({ "service_uuid": service }));
        let body: Value = request.send().await?.json().await?;
        body["service_instance_uuid"]
            .as_str()
            .map(str::to_owned)
            .with_context(|| format!("instantiate: {body}"))
    }

    /// How many containers of an instance run, asked from the engine.
    pub(crate) async fn running(&self, instance: &str) -> Result<usize> {
        let reply = self.client.get(self.url(&format!("/api/llcm/v1/instances/{instance}"))).send().await?;
        let body: Value = reply.error_for_status()?.json().await?;
        let all = body["containers"].as_array().with_context(|| format!("instance: {body}"))?;
        Ok(all.iter().filter(|it| it["state"].to_string().contains("running")).count())
    }

    /// Terminates an instance and waits.
    pub(crate) async fn terminate(&self, instance: &str) -> Result<()> {
        let request = self
            .client
            .delete(self.url("/instantiations"))
            .json(&json!({ "service_instance_uuid": instance }));
        let reply = request.send().await?;
        ensure!(reply.status().is_success(), "terminate: {}", reply.text().await?);
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        let stopped = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        if !stopped.is_ok_and(|status| status.success()) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}
