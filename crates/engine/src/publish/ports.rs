//! What an engine publishes at the moment.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use llcm_netlink::Socket;
use llcm_netlink::forwarding::{self, Switch};
use llcm_netlink::nf_tables::{self, Batch};

use super::bind::bind;
use super::pair::{self, Names};
use super::proxy::{Proxy, Serve, Target};
use super::rules::{self, PORTS};
use super::{Publish, PublishVia, Publishing, forwarding as trial};
use crate::error::{Context as _, EngineError, chain};
use crate::host_sockets::HostSockets;
use crate::process::Process;
use crate::spec::Spec;

/// So long it is taken for granted that packets of other machines are passed on, or are not.
const VALID: Duration = Duration::from_secs(10);

/// The published ports of an engine.
#[derive(Debug)]
pub(crate) struct Ports {
    via: PublishVia,
    sockets: Arc<dyn HostSockets>,
    proxy: Proxy,
    names: Names,
    /// Why there are no rules, if so; found out when it is first asked for.
    obstacle: OnceLock<Option<String>>,
    ruled: Mutex<Ruled>,
    /// Where the proxy connects to, by container.
    targets: Mutex<BTreeMap<String, Target>>,
    /// What could not be published again, by container.
    problems: Mutex<BTreeMap<String, String>>,
}

/// What there are rules for. Who changes the host's network holds it.
#[derive(Debug, Default)]
struct Ruled {
    containers: BTreeMap<String, Vec<(Publish, Ipv4Addr)>>,
    /// Whether packets of other machines are passed on, and when that was tried.
    allowed: Option<(Instant, bool)>,
}

impl Ports {
    pub(crate) fn new(
        via: PublishVia,
        sockets: Arc<dyn HostSockets>,
        cgroup: &str,
        state_dir: &Path,
    ) -> Self {
        Self {
            via,
            sockets,
            proxy: Proxy::default(),
            names: Names::new(cgroup, state_dir),
            obstacle: OnceLock::new(),
            ruled: Mutex::default(),
            targets: Mutex::default(),
            problems: Mutex::default(),
        }
    }

    /// Gives a container that publishes something, and is not running, what rules need: an interface with an address,
    /// which is returned. In a network namespace of somebody else's nothing is changed; the proxy is for those.
    ///
    /// # Errors
    /// `Invalid` when only rules are wanted and do not work.
    pub(crate) fn prepare(&self, spec: &Spec, network: &Path) -> Result<Option<Ipv4Addr>, EngineError> {
        if !spec.publish.iter().any(Publish::has_rules) || spec.network.is_some() || !self.by_rules()? {
            return Ok(None);
        }
        let _one_at_a_time = self.ruled();
        pair::ensure(&self.names, &spec.name, network).map(Some)
    }

    /// Publishes the ports of a container that is about to run; [`Self::started`] lets the proxy in.
    ///
    /// # Errors
    /// `Conflict` when somebody else has one of the ports.
    pub(crate) fn publish(&self, spec: &Spec, address: Option<Ipv4Addr>) -> Result<(), EngineError> {
        self.problems().remove(&spec.name);
        self.hold(spec)?;
        let Some(address) = address else { return Ok(()) };
        let mut ruled = self.ruled();
        ruled.add(spec, address);
        let applied = self.apply(&mut ruled);
        drop(ruled);
        if applied.is_err() {
            self.withdraw(spec)?;
        }
        applied
    }

    /// Takes the ports for the proxy: it serves what rules leave out, and nobody else can have them.
    fn hold(&self, spec: &Spec) -> Result<(), EngineError> {
        if spec.publish.is_empty() {
            return Ok(());
        }
        let target = match &spec.network {
            Some(network) => Target::open(network)?,
            None => Target::default(),
        };
        let mut ports = Vec::new();
        for port in &spec.publish {
            let sockets = bind(&*self.sockets, port)?.into_iter();
            let serve =
                |socket| Serve { protocol: port.protocol, socket, container_port: port.container_port };
            ports.extend(sockets.map(serve));
        }
        self.proxy.add(&spec.name, target.clone(), ports)?;
        self.targets().insert(spec.name.clone(), target);
        Ok(())
    }

    /// The container runs: the proxy can reach it.
    pub(crate) fn started(&self, name: &str, process: &Arc<Process>) {
        if let Some(target) = self.targets().get(name) {
            target.set(process);
        }
    }

    /// Publishes again what a program before this one had published, for a container whose process runs; gives the
    /// address as [`Self::prepare`] does.
    /// Rules are those of before until [`Self::settle`]. What goes wrong is kept for [`Self::publishing`].
    pub(crate) fn adopt(&self, spec: &Spec, process: Option<&Arc<Process>>) -> Option<Ipv4Addr> {
        let process = process.filter(|_| !spec.publish.is_empty())?;
        let work = || -> Result<Option<Ipv4Addr>, EngineError> {
            self.hold(spec)?;
            self.started(&spec.name, process);
            // One that runs is not given a new interface: it was published by the proxy before, too.
            let found = pair::find(&self.names, &spec.name)?;
            Ok(if self.by_rules()? { found } else { None })
        };
        let address = work().unwrap_or_else(|error| {
            self.problem(spec, &error);
            None
        });
        if let Some(address) = address {
            self.ruled().add(spec, address);
        }
        address
    }

    /// Makes the rules those of the containers that are there, and removes what others have left. `containers` tells
    /// which there are, and is asked while nobody can be given an interface: one that came after would lose it.
    pub(crate) fn settle(&self, containers: impl FnOnce() -> BTreeSet<String>) -> Result<(), EngineError> {
        let mut ruled = self.ruled();
        pair::delete_others(&self.names, &containers())?;
        self.apply(&mut ruled)
    }

    /// Takes a container's ports back; none is fine.
    pub(crate) fn withdraw(&self, spec: &Spec) -> Result<(), EngineError> {
        if spec.publish.is_empty() {
            return Ok(());
        }
        self.problems().remove(&spec.name);
        let mut ruled = self.ruled();
        let had = ruled.containers.remove(&spec.name);
        let applied = if had.is_some() { self.apply(&mut ruled) } else { Ok(()) };
        if applied.is_err() {
            // They are still there: a further call goes on.
            ruled.containers.extend(had.map(|ports| (spec.name.clone(), ports)));
        }
        drop(ruled);
        self.targets().remove(&spec.name);
        self.proxy.remove(&spec.name)?;
        applied
    }

    /// Removes what [`Self::prepare`] made.
    pub(crate) fn release(&self, spec: &Spec) -> Result<(), EngineError> {
        if spec.publish.is_empty() || spec.network.is_some() {
            return Ok(());
        }
        let _one_at_a_time = self.ruled();
        pair::delete(&self.names, &spec.name)
    }

    pub(crate) fn publishing(&self) -> Publishing {
        let problems = self.problems().values().cloned().collect();
        let obstacle = self.obstacle.get_or_init(rules::obstacle);
        let (via, reason) = match (self.via, obstacle) {
            (PublishVia::Proxy, _) => (PublishVia::Proxy, "it was asked for".to_owned()),
            (PublishVia::Auto, Some(obstacle)) => (PublishVia::Proxy, format!("no rules: {obstacle}")),
            (PublishVia::Nft, Some(obstacle)) => (PublishVia::Nft, format!("they do not work: {obstacle}")),
            (PublishVia::Auto | PublishVia::Nft, None) => {
                let reason = match self.ruled().is_allowed(&self.names) {
                    Ok(true) => "the kernel has all that rules need".to_owned(),
                    Ok(false) => {
                        "the kernel has all that rules need; clients on other machines are served by the \
                                  proxy, for rules of somebody else (Docker's, say) drop what is forwarded"
                            .to_owned()
                    }
                    Err(error) => format!("whether packets are forwarded cannot be tried: {}", chain(&error)),
                };
                (PublishVia::Nft, reason)
            }
        };
        Publishing { via, reason, problems }
    }

    fn by_rules(&self) -> Result<bool, EngineError> {
        match (self.via, self.obstacle.get_or_init(rules::obstacle)) {
            (PublishVia::Proxy, _) | (PublishVia::Auto, Some(_)) => Ok(false),
            (PublishVia::Auto | PublishVia::Nft, None) => Ok(true),
            (PublishVia::Nft, Some(obstacle)) => Err(EngineError::Invalid(format!(
                "ports cannot be published by rules: {obstacle}; publish them by the proxy"
            ))),
        }
    }

    /// Makes the kernel's rules those of `ruled`. Without any, nothing of them is left.
    fn apply(&self, ruled: &mut Ruled) -> Result<(), EngineError> {
        let ports: Vec<_> = ruled.containers.values().flatten().copied().collect();
        let wanted = ports.iter().any(|(port, _)| port.is_for_others());
        let others = wanted && ruled.is_allowed(&self.names)?;
        let shown = Path::new(&self.names.table);
        self.write(&ports, wanted, others).context("write rules", shown)
    }

    /// `wanted`: there are ports for other machines; `others`: rules can serve them.
    fn write(&self, ports: &[(Publish, Ipv4Addr)], wanted: bool, others: bool) -> io::Result<()> {
        let table = &self.names.table;
        let has = |chains: &[(String, String)], wanted: &str| {
            chains.iter().any(|(owner, chain)| owner == table && chain == wanted)
        };
        if ports.is_empty() {
            let read = || nf_tables::chains(&mut Socket::open_netfilter()?);
            // Nobody waits for others who has nothing to remove: on a kernel without nf_tables, or as a program that may
            // not see the rules, for example.
            let chains = match read() {
                Err(error) if error.is_out_of_reach() => return Ok(()),
                read => read?,
            };
            if !has(&chains, PORTS) {
                return Ok(());
            }
        }
        forwarding::change(|_, chains| {
            let mut batch = match ports {
                [] if !has(chains, PORTS) => return Ok(None),
                [] => Batch::default(),
                ports => rules::batch(table, &self.names.prefix, ports, others),
            };
            // Forwarding is switched back by the last engine that needs it; the empty chain goes from one to the next.
            let mut switch = Switch::Stays;
            if others && !forwarding::is_on()? {
                batch.add_chain(table, forwarding::WAS_OFF, None);
                switch = Switch::On;
            } else if !wanted && has(chains, forwarding::WAS_OFF) {
                switch = forwarding::hand_over(&mut batch, table, chains);
                if !ports.is_empty() {
                    batch.delete_chain(table, forwarding::WAS_OFF);
                }
            }
            if ports.is_empty() {
                batch.delete_table(table);
            }
            Ok(Some((batch, switch)))
        })
    }

    fn problem(&self, spec: &Spec, error: &EngineError) {
        self.problems().insert(spec.name.clone(), format!("{}: {}", spec.name, chain(error)));
    }

    /// Changed by single calls only, so a panic elsewhere leaves it whole.
    fn problems(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As above.
    fn targets(&self) -> MutexGuard<'_, BTreeMap<String, Target>> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As above.
    fn ruled(&self) -> MutexGuard<'_, Ruled> {
        self.ruled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ruled {
    fn add(&mut self, spec: &Spec, address: Ipv4Addr) {
        let ports =
            spec.publish.iter().filter(|port| port.has_rules()).map(|port| (*port, address)).collect();
        self.containers.insert(spec.name.clone(), ports);
    }

    /// Whether rules of others let packets of other machines pass.
    fn is_allowed(&mut self, names: &Names) -> Result<bool, EngineError> {
        if let Some((when, allowed)) = self.allowed
            && when.elapsed() < VALID
        {
            return Ok(allowed);
        }
        let allowed =
            trial::is_allowed(names.engine()).context("try to forward by", Path::new("nf_tables"))?;
        self.allowed = Some((Instant::now(), allowed));
        Ok(allowed)
    }
}

#[cfg(test)]
mod tests;
