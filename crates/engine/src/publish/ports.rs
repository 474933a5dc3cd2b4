//! What an engine publishes at the moment.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use rustix::net::sockopt;

use super::proxy::{Proxy, Serve, Target};
use super::{Protocol, Publish, PublishVia, Publishing};
use crate::error::{Context as _, EngineError};
use crate::host_sockets::HostSockets;
use crate::spec::Spec;

/// Clients that may wait for the proxy to accept them: the kernel's own bound (`net.core.somaxconn`) is lower.
const BACKLOG: i32 = 4096;

/// The published ports of an engine.
#[derive(Debug)]
pub(crate) struct Ports {
    via: PublishVia,
    sockets: Arc<dyn HostSockets>,
    proxy: Proxy,
    /// What could not be published again, by container.
    problems: Mutex<BTreeMap<String, String>>,
}

impl Ports {
    pub(crate) fn new(via: PublishVia, sockets: Arc<dyn HostSockets>) -> Self {
        Self { via, sockets, proxy: Proxy::default(), problems: Mutex::default() }
    }

    /// Publishes the ports of a container that is about to run.
    ///
    /// # Errors
    /// `Conflict` when somebody else has one of the ports.
    pub(crate) fn publish(&self, spec: &Spec, network: &Path) -> Result<(), EngineError> {
        self.problems().remove(&spec.name);
        if spec.publish.is_empty() {
            return Ok(());
        }
        let mut ports = Vec::new();
        for port in &spec.publish {
            let sockets = self.bind(port)?.into_iter();
            let serve =
                |socket| Serve { protocol: port.protocol, socket, container_port: port.container_port };
            ports.extend(sockets.map(serve));
        }
        self.proxy.add(&spec.name, Target::open(network)?, ports)
    }

    /// Publishes again what a program before this one had published; what is wrong is kept for [`Self::publishing`].
    pub(crate) fn adopt(&self, spec: &Spec, network: &Path) {
        if let Err(error) = self.publish(spec, network) {
            let text = format!("{}: {}", spec.name, crate::error::chain(&error));
            self.problems().insert(spec.name.clone(), text);
        }
    }

    /// Takes a container's ports back; none is fine.
    pub(crate) fn withdraw(&self, spec: &Spec) -> Result<(), EngineError> {
        self.problems().remove(&spec.name);
        if spec.publish.is_empty() { Ok(()) } else { self.proxy.remove(&spec.name) }
    }

    pub(crate) fn publishing(&self) -> Publishing {
        let reason = "it was asked for".to_owned();
        Publishing { via: self.via, reason, problems: self.problems().values().cloned().collect() }
    }

    /// Sockets for a port, listening: one, or one for each family.
    fn bind(&self, port: &Publish) -> Result<Vec<OwnedFd>, EngineError> {
        let bind = |address: IpAddr| -> io::Result<OwnedFd> {
            let socket = self.sockets.bind(port.protocol, SocketAddr::new(address, port.host_port))?;
            if port.protocol == Protocol::Tcp {
                rustix::net::listen(&socket, BACKLOG)?;
            }
            Ok(socket)
        };
        let bound = match port.address() {
            Some(address) => bind(address).map(|socket| vec![socket]),
            None => match bind(Ipv6Addr::UNSPECIFIED.into()) {
                Ok(both) if !sockopt::ipv6_v6only(&both).unwrap_or(true) => Ok(vec![both]),
                Ok(sixth) => bind(Ipv4Addr::UNSPECIFIED.into()).map(|fourth| vec![sixth, fourth]),
                // A host without IPv6.
                Err(error) if is(&error, &[Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL]) => {
                    bind(Ipv4Addr::UNSPECIFIED.into()).map(|fourth| vec![fourth])
                }
                Err(error) => Err(error),
            },
        };
        match bound {
            Err(error) if is(&error, &[Errno::ADDRINUSE]) => Err(EngineError::Conflict {
                kind: "port",
                name: port.to_string(),
                problem: "is in use: choose another one, or end the program or container that has it",
            }),
            Err(error) if is(&error, &[Errno::ADDRNOTAVAIL]) => {
                Err(EngineError::Invalid(format!("port {port}: this machine has no such address")))
            }
            bound => bound.context("publish port", Path::new(&port.to_string())),
        }
    }

    fn problems(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is(error: &io::Error, which: &[Errno]) -> bool {
    which.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}
