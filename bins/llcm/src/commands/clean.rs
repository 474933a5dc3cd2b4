//! `llcm clean`: removes what a server has left on this machine. It goes by the marks on the things themselves, so that
//! it needs no store.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use llcm_driver_linux::LinuxNetwork;
use llcm_engine::Lost;
use llcm_lifecycle::clean::{self, Drivers, Marked};
use llcm_lifecycle::installation::{find_installation_id, hold};
use llcm_lifecycle::store::file::FILE;
use llcm_names::InstallationId;
use llcm_runtime::NetworkObject;

use crate::compose::{engine_of, told};
use crate::config::raw::{Engine, RawConfig};
use crate::config::{Config, engine_dir, file};
use crate::ground::Ground;
use crate::open_files;
use crate::{engines, output};

#[derive(Debug, clap::Args)]
#[command(
    mut_args(|argument| argument.hide_env_values(true)),
    after_help = "Only what carries the mark of the data directory's installation is removed. It is refused while a \
                  server runs on the data directory.\nExit code: 0 when nothing is left, 1 when something is."
)]
pub(crate) struct Args {
    /// Say what would be removed, and remove nothing.
    #[arg(long)]
    dry_run: bool,
    /// Remove the data directory, too, when nothing else is left: packages, images and records.
    #[arg(long)]
    data: bool,
    /// The installation's id, where the data directory is lost: what `ip netns` shows behind `llcm-`, and Docker in
    /// the label `llcm.installation`.
    #[arg(long, value_name = "ID", value_parser = InstallationId::parse)]
    installation: Option<InstallationId>,
    /// The configuration file (YAML). [default: as for `llcm serve`]
    #[arg(long, env = "LLCM_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten, next_help_heading = "Settings of the server")]
    settings: RawConfig,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let below = file::read(args.config.as_deref())?;
    let config = args.settings.without_empty_words().over(below).resolve()?;
    config.notes.iter().try_for_each(output::note)?;
    let data_dir = &config.data_dir;
    let found = find_installation_id(data_dir).map_err(|error| anyhow!(told(&error)))?;
    if let (Some(found), Some(given)) = (&found, &args.installation)
        && found != given
    {
        bail!("{} is of installation {found}, not {given}: --data-dir names another one", data_dir.display());
    }
    // Without the directory, what is running keeps a lock of the network's.
    let held = match found {
        Some(_) => Some(hold(data_dir).map_err(|error| anyhow!(told(&error)))?),
        None => None,
    };
    let Some(id) = found.clone().or(args.installation) else {
        output::line(format_args!(
            "{}: no server has ever run here, nothing is to be removed",
            data_dir.display()
        ))?;
        return Ok(ExitCode::SUCCESS);
    };
    let missing = Missing::look(data_dir);
    let ground = Ground::enter(&config)?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let is_clean = runtime.block_on(clean_up(&config, &id, &ground, args.dry_run))?;
    // The engine is closed with the last of its tasks.
    drop(runtime);
    // An ordinary user's namespaces that were made just now are as empty as they were, whatever is elsewhere.
    let is_idle = is_clean || (args.dry_run && missing.is_any());
    if ground.is_rootless() && missing.is_any() {
        // A file of the engine's tells which process holds them.
        output::note(
            "without the engine's directory nobody can tell which namespaces were this server's: a process \
             `engine-init paused` of this user may hold them still",
        )?;
    }
    let stays = ground.is_rootless() && !is_idle;
    ground.leave(is_idle)?;
    // Those that stay are known by a file in there.
    if !stays {
        missing.remove()?;
    }
    if is_clean && args.data && found.is_some() {
        remove_data(data_dir, args.dry_run)?;
    } else if is_clean && !args.dry_run && data_dir.join(FILE).exists() {
        output::line("the records are kept: the next server shows instances that ran as degraded")?;
    }
    drop(held);
    Ok(if is_clean || args.dry_run { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Removes what is marked; whether nothing is left, or there is none.
async fn clean_up(
    config: &Config,
    id: &InstallationId,
    ground: &Ground,
    dry_run: bool,
) -> anyhow::Result<bool> {
    let what = if dry_run { "would remove" } else { "remove" };
    let lost = lost(config, id, what).await?;
    let drivers = drivers(config, id, ground, dry_run).await?;
    let marked = clean::look(&drivers, id).await?;
    show(&marked, what)?;
    if dry_run {
        return Ok(marked.is_empty() && lost.is_empty());
    }
    for lost in lost {
        if let Err(error) = engines::end_lost(lost).await {
            output::note(format_args!("{error:#}"))?;
        }
    }
    for error in clean::remove(&drivers, id, &marked).await {
        output::note(error)?;
    }
    let left = clean::look(&drivers, id).await?;
    show(&left, "still there:")?;
    // Both are shown.
    let is_clean = left.is_empty() & self::lost(config, id, "still there:").await?.is_empty();
    if is_clean {
        output::line(format_args!("nothing of installation {id} is left"))?;
    }
    Ok(is_clean)
}

/// Finds containers of the embedded engine that it does not know of, and shows them.
async fn lost(config: &Config, id: &InstallationId, what: &str) -> anyhow::Result<Vec<Lost>> {
    if config.engine == Engine::Simulated {
        return Ok(Vec::new());
    }
    let lost = engines::lost(&config.data_dir, id).await?;
    for it in &lost {
        output::line(format_args!(
            "{what} container {} in engine embedded, whose directory is gone",
            it.name()
        ))?;
    }
    Ok(lost)
}

fn show(marked: &Marked, what: &str) -> anyhow::Result<()> {
    for (engine, view) in &marked.containers {
        let instance = view.owner.as_ref().map(|owner| owner.instance.to_string()).unwrap_or_default();
        output::line(format_args!(
            "{what} container {} of instance {instance} in engine {engine}",
            view.name
        ))?;
    }
    for owner in marked.owners() {
        let its = |object: &&NetworkObject| *object.owner() == owner;
        let ports = |object: &&NetworkObject| matches!(object, NetworkObject::Port { .. });
        let all = marked.objects.iter().filter(its).count();
        let ports = marked.objects.iter().filter(its).filter(ports).count();
        if all > 0 {
            let segments = all - ports;
            output::line(format_args!(
                "{what} {ports} ports and {segments} segments of instance {}",
                owner.instance
            ))?;
        }
    }
    Ok(())
}

/// The drivers of all engines that the server may have had: those it is configured with, which have to answer, and
/// others that are here.
async fn drivers(
    config: &Config,
    id: &InstallationId,
    ground: &Ground,
    dry_run: bool,
) -> anyhow::Result<Drivers> {
    if config.engine == Engine::Simulated {
        return Ok(Drivers { engines: Vec::new(), network: None });
    }
    let mut wanted = BTreeSet::from([config.engine]);
    for datacenter in &config.topology.datacenters {
        wanted.insert(engine_of(datacenter, config.engine)?);
    }
    let mut engines = Vec::new();
    for engine in [Engine::Embedded, Engine::Docker] {
        let there = match engine {
            // Without its directory it knows of no containers, but it has rules for ports and control groups.
            Engine::Embedded => !dry_run || engine_dir(&config.data_dir).exists(),
            _ => !ground.is_rootless() && engines::docker_options(config).is_ok_and(|it| it.socket.exists()),
        };
        // One that is not there has no containers.
        if !there && (engine == Engine::Embedded || !wanted.contains(&engine)) {
            continue;
        }
        match engines::named(engine, config, id, ground).await {
            Ok(driver) => engines.push(driver),
            Err(error) if wanted.contains(&engine) => return Err(error),
            Err(error) => output::note(format_args!("engine {} was not asked: {error:#}", engine.word()))?,
        }
    }
    open_files::raise_limit();
    let network = LinuxNetwork::new(id.clone(), ground.network())?;
    Ok(Drivers { engines, network: Some(Arc::new(network)) })
}

/// Directories that are not there, and are made for looking and removing.
struct Missing(Vec<PathBuf>);

impl Missing {
    fn look(data_dir: &Path) -> Self {
        let engine = engine_dir(data_dir);
        Self([engine.as_path(), data_dir].into_iter().filter(|it| !it.exists()).map(Path::to_owned).collect())
    }

    fn is_any(&self) -> bool {
        !self.0.is_empty()
    }

    /// Removes them again. What is in them now, is nobody's.
    fn remove(self) -> anyhow::Result<()> {
        for directory in self.0.iter().filter(|directory| directory.exists()) {
            std::fs::remove_dir_all(directory)
                .with_context(|| format!("cannot remove {}", directory.display()))?;
        }
        Ok(())
    }
}

fn remove_data(data_dir: &Path, dry_run: bool) -> anyhow::Result<()> {
    if dry_run {
        return output::line(format_args!("would remove {}", data_dir.display()));
    }
    std::fs::remove_dir_all(data_dir).with_context(|| format!("cannot remove {}", data_dir.display()))?;
    output::line(format_args!("removed {}", data_dir.display()))
}
