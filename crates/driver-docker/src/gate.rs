//! The gate on the host: the program that holds a VNF's own process back until its interfaces are there.
//!
//! The program itself is `gate/main.rs`; `build.rs` compiles it, and this module writes it to where the
//! engine can bind-mount it into containers.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use llcm_names::{IfName, InstallationId};
use llcm_runtime::{DriverError, DriverResult, ErrorKind};
use sha2::{Digest, Sha256};

/// The program, linked statically.
const PROGRAM: &[u8] = include_bytes!(env!("LLCM_GATE"));
/// Where containers see it.
pub(crate) const IN_CONTAINER: &str = "/.llcm-gate";
/// What the engine calls its own interface in a container.
const ENGINE_INTERFACE: &str = "eth0";

/// An installation's gate in the helper directory. Each has its own: that of the others is still needed when one
/// is cleaned up after.
#[derive(Debug)]
pub(crate) struct Gate {
    path: PathBuf,
}

impl Gate {
    /// The gate in a directory; nothing is written yet. The name holds the digest of the program, so that
    /// containers of an older version keep theirs.
    pub(crate) fn new(directory: &Path, installation: &InstallationId) -> Self {
        let digest = Sha256::digest(PROGRAM);
        let digest = format!("{:02x}{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2], digest[3]);
        Self { path: directory.join(format!("gate-{digest}-{installation}")) }
    }

    /// The file's name, which stands in the engine's errors about it.
    pub(crate) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Makes sure that the program is there, whole and executable, and returns its path.
    ///
    /// # Errors
    /// `Failed` when the directory cannot be written to.
    pub(crate) fn ensure(&self) -> DriverResult<&Path> {
        let complete = std::fs::metadata(&self.path).is_ok_and(|found| {
            usize::try_from(found.len()).is_ok_and(|length| length == PROGRAM.len())
                && found.permissions().mode() & 0o777 == 0o755
        });
        if !complete {
            self.write().map_err(|error| {
                DriverError::new(
                    ErrorKind::Failed,
                    "write helper program",
                    self.path.display().to_string(),
                    error.to_string(),
                )
            })?;
        }
        Ok(&self.path)
    }

    fn write(&self) -> std::io::Result<()> {
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(directory)?;
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(PROGRAM)?;
        // Readable and executable by all: images may run as any user.
        file.as_file().set_permissions(PermissionsExt::from_mode(0o755))?;
        file.persist(&self.path)?;
        Ok(())
    }

    /// Removes the program. Absent is fine.
    ///
    /// # Errors
    /// `Failed` when the file system refuses.
    pub(crate) fn remove(&self) -> DriverResult<()> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(DriverError::new(
                ErrorKind::Failed,
                "remove helper program",
                self.path.display().to_string(),
                error.to_string(),
            )),
            _ => Ok(()),
        }
    }
}

/// The gate's part of a container's entrypoint; the image's own follows. `management`: the one of the interfaces
/// that is the engine's own, which has its name before any other comes.
pub(crate) fn arguments(interfaces: &[IfName], management: Option<&IfName>) -> Vec<String> {
    let names: Vec<&str> = interfaces.iter().map(IfName::as_str).collect();
    let mut arguments = vec![IN_CONTAINER.to_owned(), format!("--interfaces={}", names.join("/"))];
    if management.is_none() && names.contains(&ENGINE_INTERFACE) {
        arguments.push("--beside-management".to_owned());
    }
    arguments.push("--".to_owned());
    arguments
}

/// Whether a process of this host is still the gate, that is to say: waits. A process that cannot be looked
/// at does not.
pub(crate) fn still_waits(pid: u32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline"))
        .is_ok_and(|line| line.split(|&byte| byte == 0).next() == Some(IN_CONTAINER.as_bytes()))
}

/// The gate's own tests; the program is no part of this library.
#[cfg(test)]
#[path = "../gate/main.rs"]
#[expect(dead_code, reason = "it is a program of its own, compiled by build.rs")]
mod program;

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &[&str]) -> Vec<IfName> {
        text.iter().map(|name| IfName::parse(name).unwrap()).collect()
    }

    #[test]
    fn a_vnf_with_an_eth0_of_its_own_waits_for_the_engines_to_be_moved() {
        assert_eq!(arguments(&names(&["mgmt", "in"]), None), ["/.llcm-gate", "--interfaces=mgmt/in", "--"]);
        assert_eq!(
            arguments(&names(&["eth0"]), None),
            ["/.llcm-gate", "--interfaces=eth0", "--beside-management", "--"]
        );
    }

    #[test]
    fn where_the_engines_interface_is_one_of_the_vnfs_there_is_no_further_one_to_wait_for() {
        for (all, management) in [(["eth0", "in"], "eth0"), (["mgmt", "eth0"], "mgmt")] {
            let management = IfName::parse(management).unwrap();
            let expected = format!("--interfaces={}", all.join("/"));
            assert_eq!(arguments(&names(&all), Some(&management)), ["/.llcm-gate", expected.as_str(), "--"]);
        }
    }

    #[test]
    fn the_program_is_written_once_and_repaired_when_it_is_damaged() {
        let home = tempfile::tempdir().unwrap();
        let gate = Gate::new(&home.path().join("helper"), &InstallationId::from_bits(1));
        let other = Gate::new(&home.path().join("helper"), &InstallationId::from_bits(2));
        other.ensure().unwrap();
        let path = gate.ensure().unwrap().to_owned();
        let written = std::fs::metadata(&path).unwrap().modified().unwrap();
        gate.ensure().unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), written);
        std::fs::write(&path, "half").unwrap();
        gate.ensure().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), PROGRAM);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o755);
        gate.remove().unwrap();
        gate.remove().unwrap();
        assert!(!path.exists());
        assert!(other.path.exists(), "that of another installation");
    }

    #[test]
    fn the_program_becomes_what_it_is_told_to() {
        let home = tempfile::tempdir().unwrap();
        let gate = Gate::new(home.path(), &InstallationId::from_bits(1));
        let run = |arguments: &[&str]| {
            std::process::Command::new(gate.ensure().unwrap()).args(arguments).output().unwrap()
        };
        assert_eq!(run(&["sh"]).status.code(), Some(125));
        // Every network namespace has a loopback; in the ones that tests run in it is up.
        if std::fs::read_to_string("/sys/class/net/lo/flags").is_ok_and(|flags| flags.trim() == "0x9") {
            let output = run(&["--interfaces=lo", "--", "sh", "-c", "echo $0 $1", "a b", "c"]);
            assert_eq!(output.stdout, b"a b c\n");
            assert_eq!(run(&["--interfaces=lo", "--", "no-such-program"]).status.code(), Some(127));
            assert_eq!(run(&["--interfaces=lo", "--", "/etc/passwd"]).status.code(), Some(126));
        } else {
            println!("skipped in part: the loopback interface is down here");
        }
    }
}
