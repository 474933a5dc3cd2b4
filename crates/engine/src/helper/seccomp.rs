//! System calls that a container's processes are refused: those that act on the whole machine, or that have
//! been ways out. Everything else is allowed; a refused call fails with `EPERM`.
//!
//! The list guards against accidents, not against an attacker: see the crate's first page.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter,
};

use crate::capability::Capability;
use crate::error::{Context as _, EngineError};

/// Refused always: the kernel's code, its clock and its reboot, other processes' memory and keys, and interfaces
/// that are new and large.
const MACHINE: &[libc::c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_move_pages,
    libc::SYS_nfsservctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_perf_event_open,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

/// Refused without `SYS_ADMIN`: mounts and namespaces. The kernel asks for that capability as well, but a new
/// user namespace would give it.
const NAMESPACES: &[libc::c_long] = &[
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_pivot_root,
    libc::SYS_setns,
    libc::SYS_umount2,
    libc::SYS_unshare,
];

/// Puts the list in force for this process and what it becomes.
pub(super) fn install(keep: &BTreeSet<Capability>) -> Result<(), EngineError> {
    let this = Path::new("the container's process");
    let is_admin = keep.contains(&Capability::SYS_ADMIN);
    let refused = |error: String| std::io::Error::other(error);
    let programs = programs(is_admin).map_err(|error| refused(error.to_string()));
    for program in programs.context("make the list of system calls for", this)? {
        apply_filter(&program)
            .map_err(|error| refused(error.to_string()))
            .context("restrict the system calls of", this)?;
    }
    Ok(())
}

/// The list as programs of the kernel's filter: one for each answer.
fn programs(is_admin: bool) -> Result<Vec<BpfProgram>, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = MACHINE.iter().map(|call| (*call, Vec::new())).collect();
    let mut programs = Vec::new();
    if !is_admin {
        rules.extend(NAMESPACES.iter().map(|call| (*call, Vec::new())));
        let flag = u64::from(libc::CLONE_NEWUSER.unsigned_abs());
        let asks = SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(flag), flag)?;
        rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![asks])?]);
        // The filter cannot see the flags of clone3. Told that there is no such call, libraries use clone.
        let unknown = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
        programs.push(program(unknown, libc::ENOSYS)?);
    }
    programs.push(program(rules, libc::EPERM)?);
    Ok(programs)
}

fn program(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    errno: i32,
) -> Result<BpfProgram, seccompiler::BackendError> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let answer = SeccompAction::Errno(errno.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, answer, architecture)?.try_into()
}
