//! `llcm demo`: the main job on the package in `examples/demo-chain`, told as a transcript.
//!
//! The commands of the transcript are run by the same code as those of the command line, against a server in
//! this process with a data directory of its own.

mod sources;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail, ensure};
use clap::Parser as _;
use llcm_engine::image::HOST_IMAGE;

use crate::cli::Connection;
use crate::cli::{Cli, Verb};
use crate::client::Client;
use crate::config::image_map::ImageMapping;
use crate::config::raw::{Engine, RawConfig};
use crate::config::{Config, Listen};
use crate::ground::Ground;
use crate::server::Server;
use crate::{commands, output};

/// How long the start scripts of the chain may take.
const SCRIPTS_TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Nothing needs to be installed: the containers run this machine's programs and tools that \
                        llcm brings. With Docker it needs root and an image llcm-demo:latest with those tools; \
                        `scripts/demo --docker` of the source tree brings an engine and the image."
)]
pub(crate) struct Args {
    /// What runs the containers; `simulated` carries no traffic.
    #[arg(long, value_enum, default_value = "embedded")]
    engine: Engine,
    /// Docker's socket (`unix:///run/docker.sock`). [default: DOCKER_HOST, else Docker's own default]
    #[arg(long, env = "LLCM_DOCKER_HOST", hide_env_values = true, value_name = "URL")]
    docker_host: Option<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    crate::logging::start("warn")?;
    let work = tempfile::Builder::new().prefix("llcm-demo-").tempdir().context("cannot make a directory")?;
    sources::write(&work.path().join("demo-chain"))?;
    // So that the transcript's commands name files as a person would.
    std::env::set_current_dir(work.path()).context("cannot use the directory made")?;
    let settings = RawConfig {
        listen: Some(vec!["127.0.0.1:0".parse::<Listen>().map_err(anyhow::Error::msg)?]),
        data_dir: Some(work.path().join("data")),
        engine: Some(args.engine),
        docker_host: args.docker_host.clone(),
        image_map: (args.engine == Engine::Embedded).then(|| vec![built_in_image()]),
        stop_instances: Some(true),
        // Nobody else has anything to do with the demo's web server.
        publish_address: Some(std::net::Ipv4Addr::LOCALHOST.into()),
        ..RawConfig::default()
    };
    let config = settings.resolve()?;
    let ground = Ground::enter(&config)?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let told = runtime.block_on(whole(&config, &ground));
    // The engine is closed with the last of its tasks.
    drop(runtime);
    let left = ground.leave(told.is_ok());
    told?;
    left?;
    Ok(ExitCode::SUCCESS)
}

/// The embedded engine runs the chain on this machine's programs, and its tools.
fn built_in_image() -> ImageMapping {
    ImageMapping { asked: "llcm-demo:latest".to_owned(), taken: HOST_IMAGE.to_owned() }
}

/// Starts the server, tells the story, and stops the server whatever came of it.
async fn whole(config: &Config, ground: &Ground) -> anyhow::Result<()> {
    let interrupted = crate::shutdown::listen()?;
    let server = Server::open(config, ground).await?;
    let stage = Stage { server: server.url(), engine: config.engine };
    let backend = server.backend().clone();
    let installation = server.installation().clone();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let story = async {
        let told = tokio::select! {
            told = stage.tell() => told,
            () = interrupted => Err(anyhow!("interrupted")),
        };
        // A server that has ended by itself tells why below.
        let _ = stop.send(());
        told
    };
    let running = server.run(async {
        // The story having ended without a word is as good a reason to stop.
        let _ = stopped.await;
    });
    let (served, told) = tokio::join!(running, story);
    told?;
    served?;

    let mut containers = Vec::new();
    for engine in backend.engines() {
        containers.extend(engine.list_owned(&installation).await?);
    }
    let network = backend.network().list_owned(&installation).await?;
    output::line(format_args!(
        "\nLeft of it all (installation {installation}): {} containers, {} ports and segments.",
        containers.len(),
        network.len()
    ))?;
    ensure!(containers.is_empty() && network.is_empty(), "something was left behind");
    Ok(())
}

/// Where the story takes place.
struct Stage {
    server: String,
    engine: Engine,
}

impl Stage {
    async fn tell(&self) -> anyhow::Result<()> {
        output::line("== A package: a client, a relay and a web server in a chain ==")?;
        self.run(&["pack", "demo-chain"], 0).await?;
        self.run(&["validate", PACKAGE], 0).await?;

        output::line(
            "\n== It runs: three containers on two data centers, joined by two E-Lines and an E-LAN ==",
        )?;
        let up = self.run(&["up", PACKAGE], 0).await;
        if self.engine == Engine::Docker {
            up.context(
                "`scripts/demo --docker` of the source tree brings an engine with the image llcm-demo:latest",
            )?;
        } else {
            up?;
        }
        self.scripts_ended().await?;

        if self.engine == Engine::Simulated {
            output::line(
                "\n== Traffic: none, for the simulated engine records commands and runs nothing ==",
            )?;
            self.run(&["exec", "client", "--", "ping", "-c", "3", "20.0.0.2"], 0).await?;
        } else {
            self.traffic().await?;
            self.published().await?;
        }

        output::line("\n== It is taken down ==")?;
        self.run(&["down"], 0).await?;
        self.run(&["ps"], 0).await
    }

    async fn traffic(&self) -> anyhow::Result<()> {
        output::line("\n== Traffic: each link of the chain carries it, from data center to data center ==")?;
        self.run(&["exec", "client", "--", "ping", "-c", "3", "-W", "2", "20.0.0.2"], 0).await?;
        self.run(&["exec", "relay", "--", "ping", "-c", "3", "-W", "2", "20.0.1.2"], 0).await?;

        output::line("\n== Through the chain: client -> relay -> server ==")?;
        self.run(&["exec", "client", "--", "fetch", "http://20.0.0.2/"], 0).await?;
        self.run(&["exec", "relay", "--", "interfaces", "output"], 0).await?;

        output::line(
            "\n== The links are apart: bound to its end of the first, the client hears nothing of the second ==",
        )?;
        self.run(&["exec", "client", "--", "ping", "-c", "1", "-W", "2", "-I", "output", "20.0.1.2"], 1).await
    }

    /// The server's page, from outside of the emulation.
    async fn published(&self) -> anyhow::Result<()> {
        output::line("\n== Published: port 8088 of this machine is port 80 of the server ==")?;
        output::line(format_args!("\n$ fetch {PUBLISHED}"))?;
        let page = tokio::task::spawn_blocking(|| crate::tools::fetch::get(PUBLISHED)).await?;
        output::bytes(&page?)
    }

    /// Runs a command as the command line would, and checks its exit code.
    async fn run(&self, words: &[&str], expected: u8) -> anyhow::Result<()> {
        output::line(format_args!("\n$ llcm {}", words.join(" ")))?;
        let cli = Cli::try_parse_from(std::iter::once("llcm").chain(words.iter().copied()))?;
        let client = Client::new(&Connection::to(&self.server))?;
        let code = match cli.verb {
            Verb::Pack(args) => commands::pack::run(&args),
            Verb::Validate(args) => commands::validate::run(&args),
            Verb::Up(args) => commands::up::run(&client, &args).await,
            Verb::Exec(args) => commands::exec::run(&client, &args).await,
            Verb::Down(args) => commands::down::run(&client, &args).await,
            Verb::Ps(args) => commands::ps::run(&client, &args).await,
            other => bail!("{other:?} is no part of the demo"),
        }?;
        ensure!(code == ExitCode::from(expected), "the command ended with {code:?}, expected {expected}");
        Ok(())
    }

    /// Start scripts run in the background: waits until they are done.
    async fn scripts_ended(&self) -> anyhow::Result<()> {
        let client = Client::new(&Connection::to(&self.server))?;
        let end = Instant::now() + SCRIPTS_TIMEOUT;
        loop {
            let instance = client.find_instance(None).await?;
            let scripts: Vec<_> = instance.containers.iter().flat_map(|one| &one.scripts).collect();
            if let Some(failed) = scripts.iter().find(|script| script.exit_code.is_some_and(|code| code != 0))
            {
                bail!("the start script `{}` failed: {}", failed.command, failed.output);
            }
            if scripts.len() == SCRIPTS && scripts.iter().all(|script| script.ended_at.is_some()) {
                return Ok(());
            }
            ensure!(
                Instant::now() < end,
                "the start scripts take longer than {} s",
                SCRIPTS_TIMEOUT.as_secs()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Where the server's page is on this machine.
const PUBLISHED: &str = "http://127.0.0.1:8088/";
/// The package file that `llcm pack` makes.
const PACKAGE: &str = "llcm.examples.demo-chain.1.0.tgo";
/// How many containers of the chain have a start script.
const SCRIPTS: usize = 2;
