//! The engine's own interface in a container: found, and given another name.

use llcm_netlink::{LinkInfo, NetlinkError, Socket, link, route};
use llcm_runtime::{AttachPoint, DriverError, DriverResult, ErrorKind, ManagementSpec};

use crate::installation::Installation;
use crate::names::parse_mark;
use crate::operations::open_container;

/// Address families whose routes are kept while an interface is renamed (`AF_INET`, `AF_INET6`).
const FAMILIES: [u8; 2] = [2, 10];
/// What engines call their interface in a container.
const USUAL: &str = "eth0";

impl Installation {
    /// Gives the engine's own interface in a container the name wanted.
    pub(crate) fn name_management(&self, spec: &ManagementSpec, point: &AttachPoint) -> DriverResult<()> {
        let target = format!("{} of {}", spec.ifname, spec.container);
        self.check_owner("name interface", &spec.owner)?;
        let container = open_container("name interface", &spec.container, point)?;
        let links = container.call("find interface", &target, link::list)?;
        let error =
            |kind, message: &str| Err(DriverError::new(kind, "name interface", target.as_str(), message));
        let wanted = spec.ifname.as_str();
        let theirs: Vec<&LinkInfo> = links.iter().filter(|info| is_engines(info)).collect();
        let named = |name: &str| theirs.iter().find(|info| info.name == name).copied();
        if named(wanted).is_some() {
            return Ok(());
        }
        if links.iter().any(|info| info.name == wanted) {
            return error(ErrorKind::Conflict, "the container has another interface of that name");
        }
        let found = match (named(USUAL), theirs.as_slice()) {
            (Some(usual), _) => usual,
            (None, [only]) => only,
            (None, []) => {
                return error(ErrorKind::NotFound, "the engine gave the container no interface of its own");
            }
            (None, _) => {
                let message = "the engine gave the container several interfaces, none of them called eth0";
                return error(ErrorKind::Conflict, message);
            }
        };
        container.call("name interface", &target, |socket| rename(socket, found, wanted))
    }
}

/// Whether an interface is one end of a pair that the engine made: not the kernel's own ones, which every namespace
/// has, and not this program's ports.
fn is_engines(info: &LinkInfo) -> bool {
    info.kind == "veth" && parse_mark(&info.alias).is_none()
}

/// Renames an interface that is up; its addresses and routes stay.
pub(crate) fn rename(socket: &mut Socket, interface: &LinkInfo, name: &str) -> Result<(), NetlinkError> {
    let device = interface.device();
    let rename = link::Change { name: Some(name), ..Default::default() };
    match link::change(socket, device, &rename) {
        // Kernels before 6.2 rename only what is down, and routes do not outlive that.
        Err(error) if error.errno() == Some(rustix::io::Errno::BUSY) => {}
        other => return other,
    }
    let mut routes = Vec::new();
    for family in FAMILIES {
        routes.extend(route::save(socket, device, family)?);
    }
    link::change(socket, device, &link::Change { up: Some(false), ..Default::default() })?;
    link::change(socket, device, &rename)?;
    link::change(socket, device, &link::Change { up: Some(true), ..Default::default() })?;
    route::restore(socket, &routes)
}
