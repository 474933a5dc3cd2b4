//! The embedded engine as a library, in this program: on a directory of its own, with the image that Docker has.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use llcm_engine::image::ImageConfig;
use llcm_engine::{Engine, ExecSpec, Helper, Limits, Options, Spec, Status};

use crate::services::IMAGE;
use crate::stats::Clock;

/// The files of the image that every benchmark uses, as `scripts/bench` has made them: a tar file.
pub(crate) fn image_tree() -> Result<PathBuf> {
    std::env::var_os("LLCM_BENCH_TREE")
        .map(PathBuf::from)
        .context("LLCM_BENCH_TREE is not set: use scripts/bench")
}

/// An engine whose containers go when it is dropped.
pub(crate) struct Embedded {
    engine: Engine,
    _directory: tempfile::TempDir,
}

impl Embedded {
    /// An engine with the image. `helper` is another program to be used as the engine's helper.
    pub(crate) fn open(helper: Option<&Path>) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let mut options = Options::new(directory.path().join("state"));
        options.cgroup = format!("llcm-bench-{}", std::process::id());
        if let Some(program) = helper {
            options.helper = Helper { program: program.to_path_buf(), ..Helper::default() };
        }
        let engine = Engine::open(options)?;
        let config = ImageConfig { cmd: vec!["/bin/sh".to_owned()], ..ImageConfig::default() };
        engine.images().import(&image_tree()?, IMAGE, config)?;
        Ok(Self { engine, _directory: directory })
    }

    /// Creates and starts `count` containers, `at_once` at a time; milliseconds for all.
    pub(crate) fn up(
        &self,
        command: &[String],
        limits: &Limits,
        count: usize,
        at_once: usize,
    ) -> Result<f64> {
        each(count, at_once, |name| {
            let spec = Spec { command: command.to_vec(), limits: limits.clone(), ..Spec::new(name, IMAGE) };
            self.engine.create(spec)?;
            Ok(self.engine.start(name)?)
        })
    }

    /// Runs `true` in each and waits for its end and exit code; milliseconds for all.
    pub(crate) fn exec(&self, count: usize, at_once: usize) -> Result<f64> {
        each(count, at_once, |name| {
            let output = self.engine.exec(name, &ExecSpec::new(["true"]))?;
            ensure!(output.code == Some(0), "`true` in {name} ended with {:?}", output.code);
            Ok(())
        })
    }

    /// Kills and removes them; milliseconds for all.
    pub(crate) fn down(&self, count: usize, at_once: usize) -> Result<f64> {
        each(count, at_once, |name| Ok(self.engine.remove(name)?))
    }

    /// The containers' first processes.
    pub(crate) fn pids(&self) -> Result<Vec<u32>> {
        let running = self.engine.list()?.into_iter().filter_map(|found| match found.status {
            Status::Running { pid } => u32::try_from(pid).ok(),
            Status::Created | Status::Ended(_) => None,
        });
        Ok(running.collect())
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        for container in self.engine.list().unwrap_or_default() {
            // What cannot be removed is in the way of the directory's removal, which tells.
            let _ = self.engine.remove(&container.spec.name);
        }
        self.engine.remove_leftovers();
    }
}

/// Does something for `count` names on `at_once` threads; milliseconds for all.
fn each(count: usize, at_once: usize, work: impl Fn(&str) -> Result<()> + Sync) -> Result<f64> {
    let clock = Clock::start();
    let next = AtomicUsize::new(0);
    let turn = || -> Result<()> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(());
            }
            work(&format!("c{number}"))?;
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..at_once).map(|_| scope.spawn(turn)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|_| anyhow::bail!("a thread panicked")))
    })?;
    Ok(clock.ms())
}
