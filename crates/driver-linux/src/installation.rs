//! Everything of one installation: its lock, its data centers, its records. Synchronous.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use llcm_names::{DcName, InstallationId, Owner};
use llcm_netlink::{Device, LinkInfo};
use llcm_runtime::{ChainSpec, DriverError, DriverResult, ErrorKind, PrepareReport};
use llcm_topology::Topology;
use rustix::fs::{FlockOperation, flock};

use crate::canary::Canary;
use crate::datacenter::{Datacenter, FreeAddresses};
use crate::delay_lines::DelayLines;
use crate::driver::Options;
use crate::error::Context;
use crate::host;
use crate::limits::check_descriptors;
use crate::names::{UNDERLAY, namespace_prefix, overlay_namespace, parse_mark, underlay_namespace};
use crate::netns::NetnsDir;
use crate::patch::Patches;
use crate::records::{PARTS, Records};
use crate::removal::{delete_where, in_each, is_unfinished};
use crate::routing::Routing;
use crate::segment;
use crate::shaping::Shaping;
use crate::trial::{Kernel, check_kernel};
use crate::underlay::{self, Applied, Datacenters};
use crate::wiring::{View, is_remote, sites};

/// The lock file's name in an installation's run directory.
const LOCK: &str = "lock";
/// The socket of the process that delays frames, beside it.
const DELAY_LINE: &str = "delay-line";
/// Data centers whose namespaces end together.
const ENDED_AT_ONCE: usize = 32;
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
    routing: Mutex<Option<Routing>>,
    /// The topology that was prepared last. Held by what makes or removes data centers.
    prepared: Mutex<Option<Topology>>,
    /// Set once the kernel was found to have what is needed, and what a crash left unmarked was removed.
    tried: OnceLock<()>,
    kernel: OnceLock<Kernel>,
    /// Who delays frames where the kernel does not.
    pub(crate) lines: DelayLines,
    /// The locked file; unlocked when the driver goes.
    lock: File,
}

/// What changes together.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) records: Records,
    pub(crate) patches: Patches,
    /// Instances that may have devices in data centers of which no record of theirs tells.
    pub(crate) scattered: BTreeSet<Owner>,
}

impl State {
    /// Segments, chains and ports, for the wiring.
    pub(crate) fn view(&self) -> View<'_> {
        View { segments: self.records.segments(), chains: self.records.chains(), ports: self.records.ports() }
    }
}

impl Installation {
    /// Takes the installation's lock and reads its records.
    pub(crate) fn open(id: InstallationId, options: Options) -> DriverResult<Self> {
        let Options { netns_dir, run_dir, delay_line } = options;
        let dir = run_dir.join(id.as_str());
        let lock = lock(&dir, &id)?;
        let records = Records::load(&dir)?;
        Ok(Self {
            id,
            namespaces: NetnsDir(netns_dir),
            run_dir,
            datacenters: Mutex::default(),
            routing: Mutex::default(),
            tried: OnceLock::new(),
            kernel: OnceLock::new(),
            lines: DelayLines::new(delay_line, dir.join(DELAY_LINE)),
            prepared: Mutex::default(),
            state: Mutex::new(State { records, patches: Patches::default(), scattered: BTreeSet::new() }),
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
        self.open_all(datacenter_names(&self.namespaces, &self.id)?.iter())
    }

    /// Those data centers of some that exist.
    pub(crate) fn open_all<'a>(
        &self,
        names: impl IntoIterator<Item = &'a DcName>,
    ) -> DriverResult<Datacenters> {
        let mut found = BTreeMap::new();
        for name in names {
            if let Some(dc) = self.find_datacenter(name)? {
                found.insert(name.clone(), dc);
            }
        }
        Ok(found)
    }

    /// Makes data centers and links those of a topology, and routes those that its segments need.
    ///
    /// What is new is made first, then routes change, and only then goes what no route leads over any more.
    pub(crate) fn prepare(&self, topology: &Topology) -> DriverResult<PrepareReport> {
        self.prepare_as(&mut self.prepared(), topology)
    }

    fn prepared(&self) -> MutexGuard<'_, Option<Topology>> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn prepare_as(
        &self,
        prepared: &mut Option<Topology>,
        topology: &Topology,
    ) -> DriverResult<PrepareReport> {
        let first = self.tried.get().is_none();
        if first {
            let found = check_kernel()?;
            self.kernel.get_or_init(|| found);
        }
        let kernel = self
            .kernel
            .get()
            .ok_or_else(|| crate::failed("prepare network of", self.id.as_str(), "no trial"))?;
        let wanted: BTreeSet<&DcName> = topology.datacenters.iter().map(|dc| &dc.name).collect();
        let present: BTreeSet<DcName> = datacenter_names(&self.namespaces, &self.id)?.into_iter().collect();
        // What was opened may have been removed by somebody else in the meantime.
        self.cache().retain(|_, dc| dc.is_current(&self.namespaces));
        let opened = self.cache().len();
        check_descriptors(present.len().max(wanted.len()).saturating_sub(opened))?;
        let mut datacenters = self.open_all(present.iter())?;
        let taken = datacenters.values().map(|dc| dc.address).collect();
        datacenters.retain(|name, _| wanted.contains(name));
        let missing = topology.datacenters.iter().map(|dc| &dc.name);
        let missing: Vec<&DcName> = missing.filter(|name| !datacenters.contains_key(*name)).collect();
        let halves: Vec<&DcName> = missing.iter().copied().filter(|name| present.contains(*name)).collect();
        self.remove_datacenters(&halves)?;
        if !missing.is_empty() {
            self.namespaces.prepare()?;
        }
        let mut addresses = FreeAddresses::new(taken);
        for name in missing {
            self.state().records.put_incomplete(name)?;
            let made = Datacenter::create(&self.namespaces, &self.id, name, addresses.take(name)?)?;
            datacenters.insert(name.clone(), Arc::new(made));
        }
        if first {
            // Later, what is not marked may be just about to be.
            self.look_around(&datacenters)?;
        }
        let shaping = Shaping { kernel, lines: &self.lines };
        let cuts = topology.links.iter().any(|link| shaping.needs_packets(link));
        segment::cut_frames(&datacenters, cuts, first)?;
        let Applied { devices, not_emulated, has_lines } =
            underlay::apply(&self.id, topology, &datacenters, &shaping)?;
        let current = devices.clone();
        self.cache().extend(datacenters.iter().map(|(name, dc)| (name.clone(), dc.clone())));
        underlay::settle(&self.id, &datacenters)?;
        self.route(topology, devices, &datacenters)?;
        self.complete()?;
        underlay::remove_others(&self.id, topology, &datacenters, &current)?;
        self.remove_datacenters(&present.iter().filter(|name| !wanted.contains(name)).collect::<Vec<_>>())?;
        self.tried.get_or_init(|| ());
        self.lines.needed(has_lines);
        *prepared = Some(topology.clone());
        Ok(PrepareReport { not_emulated })
    }

    /// Brings everything to what it was prepared for last, if it was.
    pub(crate) fn prepare_again(&self) -> DriverResult<()> {
        // Nobody prepares for another one in between.
        let mut prepared = self.prepared();
        let Some(topology) = prepared.clone() else { return Ok(()) };
        self.prepare_as(&mut prepared, &topology).map(|_| ())
    }

    /// Removes what a crash left unmarked, and notes whose devices are where no record says.
    fn look_around(&self, datacenters: &Datacenters) -> DriverResult<()> {
        for dc in datacenters.values() {
            let owners = RefCell::new(BTreeSet::new());
            delete_where(dc, |info| {
                owners.borrow_mut().extend(parse_mark(&info.alias).map(|(owner, _)| owner));
                is_unfinished(info)
            })?;
            let mut state = self.state();
            let unknown = owners.into_inner().into_iter();
            let unknown: Vec<Owner> =
                unknown.filter(|owner| !state.records.sites_of(owner).contains(&dc.name)).collect();
            state.scattered.extend(unknown);
        }
        Ok(())
    }

    /// The data centers that devices of an instance can be in: those of its records, or all where these do not suffice.
    pub(crate) fn reach(&self, state: &State, owner: &Owner) -> DriverResult<Datacenters> {
        let sites = state.records.sites_of(owner);
        if sites.is_empty() || self.tried.get().is_none() || state.scattered.contains(owner) {
            self.all_datacenters()
        } else {
            self.open_all(&sites)
        }
    }

    /// Brings the routes to what the topology and the segments that there are say.
    fn route(
        &self,
        topology: &Topology,
        devices: Vec<[Device; 2]>,
        datacenters: &Datacenters,
    ) -> DriverResult<()> {
        // A segment that is made meanwhile waits, and then joins by the new paths.
        let state = self.state();
        let mut current = self.routing();
        let chains = state.records.chains().values().map(ChainSpec::segment);
        let segments = state.records.segments().values().cloned().chain(chains);
        let segments: Vec<Vec<DcName>> =
            segments.filter(is_remote).map(|it| sites(&it).into_iter().cloned().collect()).collect();
        drop(state);
        let segments: Vec<Vec<&DcName>> = segments.iter().map(|sites| sites.iter().collect()).collect();
        let routing = current.insert(Routing::new(topology, devices));
        let open = |name: &DcName| match datacenters.get(name) {
            Some(found) => Ok(found.clone()),
            None => self.datacenter(name),
        };
        routing.replace(&segments, &open)
    }

    /// The paths of the topology that was prepared last; locked after [`Installation::state`], never before.
    pub(crate) fn routing(&self) -> MutexGuard<'_, Option<Routing>> {
        self.routing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes data centers, whole or half, with the ports in them, a few at a time: the kernel ends all namespaces
    /// that wait for it together, and holds its network lock while it does.
    fn remove_datacenters(&self, names: &[&DcName]) -> DriverResult<()> {
        for (number, names) in names.chunks(ENDED_AT_ONCE).enumerate() {
            let canary = (number > 0).then(Canary::make).transpose()?;
            self.remove_some(names, canary.as_ref())?;
            if let Some(canary) = canary {
                canary.wait()?;
            }
        }
        Ok(())
    }

    fn remove_some(&self, names: &[&DcName], canary: Option<&Canary>) -> DriverResult<()> {
        let mut opened = Vec::new();
        for name in names {
            opened.extend(self.find_datacenter(name)?);
            self.cache().remove(*name);
        }
        // Before the namespaces: the kernel ends those some time later, but the containers' sides of ports are to be
        // gone when this returns.
        let ours = |info: &LinkInfo| parse_mark(&info.alias).is_some() || is_unfinished(info);
        if let Some(error) = in_each(&opened, |dc| delete_where(dc, ours)).into_iter().next() {
            return Err(error);
        }
        if let (Some(canary), Some(last)) = (canary, opened.last()) {
            canary.place(&last.underlay)?;
        }
        drop(opened);
        for name in names {
            self.namespaces.remove(&overlay_namespace(&self.id, name))?;
            self.namespaces.remove(&underlay_namespace(&self.id, name))?;
        }
        let mut state = self.state();
        let gone = state.records.ports().values().filter(|port| names.contains(&&port.datacenter));
        for port in gone.filter(|port| port.host.is_some()) {
            host::close(&self.id, port.id)?;
        }
        state.patches.forget(|dc, _| names.contains(&dc));
        state.records.remove_where(|_| false, |port| names.contains(&&port.datacenter))
    }

    /// Removes all data centers and records.
    pub(crate) fn teardown(&self) -> DriverResult<()> {
        let mut prepared = self.prepared();
        *prepared = None;
        self.lines.needed(false);
        let names = datacenter_names(&self.namespaces, &self.id)?;
        self.remove_datacenters(&names.iter().collect::<Vec<_>>())?;
        *self.routing() = None;
        host::close_all(&self.id)?;
        self.state().records.clear()
    }
}

impl Drop for Installation {
    /// Removes the run directory of an installation that has nothing left. The lock is held until after.
    fn drop(&mut self) {
        let dir = self.run_dir.join(self.id.as_str());
        let unused = matches!(datacenter_names(&self.namespaces, &self.id), Ok(names) if names.is_empty());
        // A directory that is not empty stays, which is what keeps records.
        if unused && PARTS.iter().all(|part| fs::remove_dir(dir.join(part)).is_ok()) {
            let removed = self.lines.forget().and_then(|()| fs::remove_file(dir.join(LOCK)));
            let removed = removed.and_then(|()| fs::remove_dir(&dir));
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
