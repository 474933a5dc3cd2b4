//! Everything of one installation: its lock, its data centers, its records. Synchronous.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use llcm_names::{DcName, InstallationId};
use llcm_runtime::{DriverError, DriverResult, ErrorKind, PrepareReport};
use llcm_topology::Topology;
use rustix::fs::{FlockOperation, flock};

use crate::datacenter::Datacenter;
use crate::error::Context;
use crate::host;
use crate::names::{UNDERLAY, namespace_prefix, overlay_namespace, parse_mark, underlay_namespace};
use crate::netns::NetnsDir;
use crate::patch::Patches;
use crate::records::Records;
use crate::removal::{delete_where, is_unfinished};
use crate::trial::check_kernel;
use crate::underlay::{self, Datacenters};
use crate::wiring::View;

/// The lock file's name in an installation's run directory.
const LOCK: &str = "lock";
/// How often a lock file is made anew that its last holder removed meanwhile.
const LOCK_ATTEMPTS: usize = 100;

/// The driver's synchronous half.
#[derive(Debug)]
pub(crate) struct Installation {
    pub(crate) id: InstallationId,
    pub(crate) namespaces: NetnsDir,
    pub(crate) run_dir: PathBuf,
    datacenters: Mutex<Datacenters>,
    state: Mutex<State>,
    /// Set once the kernel was found to have what is needed, and what a crash left unmarked was removed.
    tried: OnceLock<()>,
    /// The locked file; unlocked when the driver goes.
    lock: File,
}

/// What changes together.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) records: Records,
    pub(crate) patches: Patches,
}

impl State {
    /// Segments and ports, for the wiring.
    pub(crate) fn view(&self) -> View<'_> {
        View { segments: self.records.segments(), ports: self.records.ports() }
    }
}

impl Installation {
    /// Takes the installation's lock and reads its records.
    pub(crate) fn open(id: InstallationId, run_dir: PathBuf, netns_dir: PathBuf) -> DriverResult<Self> {
        let dir = run_dir.join(id.as_str());
        let lock = lock(&dir, &id)?;
        let records = Records::load(&dir)?;
        Ok(Self {
            id,
            namespaces: NetnsDir(netns_dir),
            run_dir,
            datacenters: Mutex::default(),
            tried: OnceLock::new(),
            state: Mutex::new(State { records, patches: Patches::default() }),
            lock,
        })
    }

    /// Records and patches, for as long as the guard lives.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cache(&self) -> MutexGuard<'_, Datacenters> {
        self.datacenters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A data center, opened when this program has not used it yet.
    pub(crate) fn datacenter(&self, name: &DcName) -> DriverResult<Arc<Datacenter>> {
        if let Some(found) = self.cache().get(name) {
            return Ok(found.clone());
        }
        let opened = Arc::new(Datacenter::open(&self.namespaces, &self.id, name)?);
        Ok(self.cache().entry(name.clone()).or_insert(opened).clone())
    }

    /// As [`Installation::datacenter`]; `None` for one that is not there.
    pub(crate) fn find_datacenter(&self, name: &DcName) -> DriverResult<Option<Arc<Datacenter>>> {
        match self.datacenter(name) {
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        }
    }

    /// All data centers that exist, whether this program has used them or not.
    pub(crate) fn all_datacenters(&self) -> DriverResult<Datacenters> {
        let mut found = BTreeMap::new();
        for name in datacenter_names(&self.namespaces, &self.id)? {
            if let Some(dc) = self.find_datacenter(&name)? {
                found.insert(name, dc);
            }
        }
        Ok(found)
    }

    /// Makes data centers and links those of a topology.
    pub(crate) fn prepare(&self, topology: &Topology) -> DriverResult<PrepareReport> {
        let first = self.tried.get().is_none();
        if first {
            check_kernel()?;
        }
        let named = |dc: &DcName| topology.datacenters.iter().any(|named| named.name == *dc);
        for name in datacenter_names(&self.namespaces, &self.id)?.iter().filter(|name| !named(name)) {
            self.remove_datacenter(name)?;
        }
        // What was opened may have been removed by somebody else in the meantime.
        self.cache().clear();
        let mut datacenters = self.all_datacenters()?;
        for dc in &topology.datacenters {
            if !datacenters.contains_key(&dc.name) {
                self.remove_datacenter(&dc.name)?;
                let taken: Vec<_> = datacenters.values().map(|dc| dc.address).collect();
                let made = Datacenter::create(&self.namespaces, &self.id, &dc.name, &taken)?;
                datacenters.insert(dc.name.clone(), Arc::new(made));
            }
        }
        if first {
            // Later, what is not marked may be just about to be.
            datacenters.values().try_for_each(|dc| delete_where(dc, is_unfinished))?;
        }
        let not_emulated = underlay::apply(&self.id, topology, &datacenters)?;
        *self.cache() = datacenters;
        self.tried.get_or_init(|| ());
        Ok(PrepareReport { not_emulated })
    }

    /// Removes a data center, whole or half, with the ports in it.
    fn remove_datacenter(&self, name: &DcName) -> DriverResult<()> {
        let opened = self.find_datacenter(name)?;
        self.cache().remove(name);
        if let Some(dc) = opened {
            // Before the namespace: the kernel ends namespaces some time later, but the containers' sides
            // of ports are to be gone when this returns.
            delete_where(&dc, |info| parse_mark(&info.alias).is_some() || is_unfinished(info))?;
        }
        self.namespaces.remove(&overlay_namespace(&self.id, name))?;
        self.namespaces.remove(&underlay_namespace(&self.id, name))?;
        let mut state = self.state();
        let gone = state.records.ports().values().filter(|port| port.datacenter == *name);
        for port in gone.filter(|port| port.host.is_some()) {
            host::close(&self.id, port.id)?;
        }
        state.patches.forget(|dc, _| dc == name);
        state.records.remove_where(|_| false, |port| port.datacenter == *name)
    }

    /// Removes all data centers and records.
    pub(crate) fn teardown(&self) -> DriverResult<()> {
        for name in datacenter_names(&self.namespaces, &self.id)? {
            self.remove_datacenter(&name)?;
        }
        host::close_all(&self.id)?;
        self.state().records.remove_where(|_| true, |_| true)
    }
}

impl Drop for Installation {
    /// Removes the run directory of an installation that has nothing left. The lock is held until after.
    fn drop(&mut self) {
        let dir = self.run_dir.join(self.id.as_str());
        let unused = matches!(datacenter_names(&self.namespaces, &self.id), Ok(names) if names.is_empty());
        // A directory that is not empty stays, which is what keeps records.
        if unused && ["segments", "ports"].iter().all(|part| fs::remove_dir(dir.join(part)).is_ok()) {
            let removed = fs::remove_file(dir.join(LOCK)).and_then(|()| fs::remove_dir(&dir));
            if let Err(error) = removed {
                log::warn!("run directory {} stays: {error}", dir.display());
            }
        }
        // Closing the file would not do: a program that another thread is just starting has it, too, until it
        // executes, and with it the lock.
        if let Err(error) = flock(&self.lock, FlockOperation::Unlock) {
            log::warn!("unlock installation {}: {error}", self.id);
        }
    }
}

/// Takes the lock of an installation, whose directory is made when it is missing.
fn lock(dir: &Path, id: &InstallationId) -> DriverResult<File> {
    let path = dir.join(LOCK);
    let shown = path.display().to_string();
    for _ in 0..LOCK_ATTEMPTS {
        fs::create_dir_all(dir).during("make run directory", &dir.display().to_string())?;
        let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = match opened {
            // Removed in between by the holder before us.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            other => other.during("open lock file", &shown)?,
        };
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let message = "another program drives this installation; stop it first";
                return Err(DriverError::new(ErrorKind::Conflict, "lock installation", id.as_str(), message));
            }
            other => other.during("lock", &shown)?,
        }
        // The holder before us may have removed the file that we locked: then it locks nobody out.
        let locked = file.metadata().during("read lock file", &shown)?.ino();
        if fs::metadata(&path).is_ok_and(|current| current.ino() == locked) {
            return Ok(file);
        }
    }
    Err(crate::failed("lock installation", id.as_str(), "its lock file keeps vanishing"))
}

/// The names of the data centers that an installation has namespaces of.
pub(crate) fn datacenter_names(
    namespaces: &NetnsDir,
    installation: &InstallationId,
) -> DriverResult<Vec<DcName>> {
    let prefix = namespace_prefix(installation);
    let mut names: Vec<DcName> = namespaces
        .names(&prefix)?
        .iter()
        .filter_map(|name| name.strip_prefix(&prefix))
        .filter_map(|name| DcName::parse(name.strip_suffix(UNDERLAY).unwrap_or(name)).ok())
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}
