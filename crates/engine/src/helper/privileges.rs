//! Giving up what the container's processes may not have. The order matters: each step needs what later ones
//! take away.

use std::collections::BTreeSet;
use std::path::Path;

use rustix::thread::{
    CapabilitySet, CapabilitySets, capability_is_in_bounding_set, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};

use super::{seccomp, user::Identity};
use crate::capability::Capability;
use crate::error::{Context as _, EngineError};
use crate::ids::Ids;

/// Leaves this process with `keep`, as `identity`, unable to gain more, and with the system calls of the list
/// refused. It must have one thread.
///
/// Where groups cannot be set, those of the user outside stay; nobody inside has them by number.
pub(super) fn drop_to(
    keep: &BTreeSet<Capability>,
    identity: &Identity,
    ids: &Ids,
) -> Result<(), EngineError> {
    let this = Path::new("the container's process");
    let mut left = CapabilitySet::empty();
    for capability in Capability::all() {
        if keep.contains(&capability) {
            left |= capability.set();
        } else if capability_is_in_bounding_set(capability.set()).unwrap_or(false) {
            remove_capability_from_bounding_set(capability.set()).context("bound the powers of", this)?;
        }
    }
    clear_ambient_capability_set().context("bound the powers of", this)?;
    if ids.can_set_groups {
        set_thread_groups(&identity.groups).context("set the groups of", this)?;
    }
    let (uid, gid) = (identity.uid, identity.gid);
    set_thread_res_gid(gid, gid, gid).context("set the group of", this)?;
    // Installing the list needs no_new_privs or SYS_ADMIN; it must be in place before the last is gone, and
    // must let through what follows.
    set_no_new_privs(true).context("bound the powers of", this)?;
    set_thread_res_uid(uid, uid, uid).context("set the user of", this)?;
    if uid.is_root() {
        let sets = CapabilitySets { effective: left, permitted: left, inheritable: CapabilitySet::empty() };
        set_capabilities(None, sets).context("set the powers of", this)?;
    }
    seccomp::install(keep)
}
