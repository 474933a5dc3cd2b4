//! `llcm serve`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::config::file;
use crate::config::raw::RawConfig;
use crate::ground::Ground;
use crate::server::Server;
use crate::{logging, shutdown};

#[derive(Debug, clap::Args)]
#[command(
    mut_args(|argument| argument.hide_env_values(true)),
    after_help = "Every setting is also a key of the configuration file (`port_offset: 2000` for \
                  --port-offset 2000).\nPrecedence: flag, environment variable, configuration file, default."
)]
pub(crate) struct Args {
    /// The configuration file (YAML). [default: llcm/config.yml in the user's configuration directory, else
    /// /etc/llcm/config.yml, where there is one]
    #[arg(long, env = "LLCM_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten, next_help_heading = "Settings")]
    settings: RawConfig,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let below = file::read(args.config.as_deref())?;
    let config = args.settings.without_empty_words().over(below).resolve()?;
    logging::start(&config.log)?;
    config.notes.iter().for_each(|note| log::warn!("{note}"));
    let ground = Ground::enter(&config)?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let idle = runtime.block_on(async {
        let stop = shutdown::listen()?;
        let server = Server::open(&config, &ground).await?;
        server.run(stop).await
    })?;
    // The engine is closed with the last of its tasks; what hangs in the kernel is not waited for.
    runtime.shutdown_timeout(config.settings.drain);
    ground.leave(idle)?;
    log::info!("done");
    Ok(ExitCode::SUCCESS)
}
