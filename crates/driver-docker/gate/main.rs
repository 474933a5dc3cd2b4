//! The gate: holds a VNF's own process back until its interfaces are there.
//!
//! ```text
//! gate --interfaces=eth1/eth2 [--beside-management] -- PROGRAM ARGUMENT...
//! ```
//! Waits until every named interface exists and is up, then becomes the program: same process, working
//! directory, user, environment and terminal. The names stand in one argument, parted by `/`, the one
//! character no interface name may hold, so that no name can be taken for an option.
//!
//! With `--beside-management` one of the names is what the engine called its own interface before that was
//! moved aside: then an interface of the name alone proves nothing, and the gate also waits until there is
//! one more that is up and is neither named nor the loopback.
//!
//! It is linked statically, because it runs in images that may hold no library at all, and it uses nothing
//! but the standard library, because it stands between a VNF and the engine and should be readable in one
//! go. It waits without limit: how long a VNF may take to be wired is not its business. As process 1 of a
//! container it gets no SIGTERM that it has no handler for; whoever stops a container that still waits here
//! has to kill it.
//!
//! Exit status 127: the program was not found; 126: it cannot be executed; 125: wrong arguments.

use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

/// Where the kernel shows the network interfaces of the container.
const INTERFACES: &str = "/sys/class/net";
/// The kernel's `IFF_UP` (include/uapi/linux/if.h).
const IFF_UP: u32 = 1;
/// The first pause between two looks, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));

struct Arguments {
    interfaces: Vec<String>,
    beside_management: bool,
    command: Vec<String>,
}

fn main() -> ExitCode {
    let Some(arguments) = parse(std::env::args().skip(1)) else {
        eprintln!("usage: gate --interfaces=NAME/NAME... [--beside-management] -- PROGRAM ARGUMENT...");
        return ExitCode::from(125);
    };
    let mut pause = PAUSE.0;
    while !ready(Path::new(INTERFACES), &arguments) {
        std::thread::sleep(pause);
        pause = (pause * 2).min(PAUSE.1);
    }
    let program = &arguments.command[0];
    // Returns only when it fails. A program without a `/` is looked for along the container's PATH.
    let error = Command::new(program).args(&arguments.command[1..]).exec();
    eprintln!("{program}: {error}");
    ExitCode::from(if error.kind() == ErrorKind::NotFound { 127 } else { 126 })
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Arguments> {
    let names = arguments.next()?;
    let interfaces = names.strip_prefix("--interfaces=")?.split('/').map(str::to_owned).collect();
    let mut beside_management = false;
    loop {
        match arguments.next()?.as_str() {
            "--beside-management" => beside_management = true,
            "--" => break,
            _ => return None,
        }
    }
    let command: Vec<String> = arguments.collect();
    (!command.is_empty()).then_some(Arguments { interfaces, beside_management, command })
}

fn ready(directory: &Path, arguments: &Arguments) -> bool {
    arguments.interfaces.iter().all(|name| is_up(directory, name))
        && (!arguments.beside_management || other_is_up(directory, &arguments.interfaces))
}

/// Whether an interface exists and is set up. What cannot be read does not exist yet.
fn is_up(directory: &Path, name: &str) -> bool {
    let Ok(text) = std::fs::read_to_string(directory.join(name).join("flags")) else { return false };
    let digits = text.trim().trim_start_matches("0x");
    u32::from_str_radix(digits, 16).is_ok_and(|flags| flags & IFF_UP != 0)
}

fn other_is_up(directory: &Path, named: &[String]) -> bool {
    let Ok(entries) = std::fs::read_dir(directory) else { return false };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .any(|name| name != "lo" && !named.contains(&name) && is_up(directory, &name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(text: &[&str]) -> Option<Arguments> {
        parse(text.iter().map(|&word| word.to_owned()))
    }

    #[test]
    fn a_name_or_a_program_may_look_like_an_option() {
        let parsed = arguments(&["--interfaces=--/eth1", "--", "--beside-management", "--"]).unwrap();
        assert_eq!(parsed.interfaces, ["--", "eth1"]);
        assert!(!parsed.beside_management);
        assert_eq!(parsed.command, ["--beside-management", "--"]);
        assert!(
            arguments(&["--interfaces=eth0", "--beside-management", "--", "sh"]).unwrap().beside_management
        );
    }

    #[test]
    fn what_is_incomplete_is_refused() {
        for text in
            [&[][..], &["eth0", "--", "sh"], &["--interfaces=eth0", "sh"], &["--interfaces=eth0", "--"]]
        {
            assert!(arguments(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn an_interface_counts_when_it_is_up() {
        let net = tempfile::tempdir().unwrap();
        let set = |name: &str, flags: &str| {
            std::fs::create_dir_all(net.path().join(name)).unwrap();
            std::fs::write(net.path().join(name).join("flags"), flags).unwrap();
        };
        let wanted = arguments(&["--interfaces=eth0/in", "--beside-management", "--", "sh"]).unwrap();
        set("lo", "0x9\n");
        set("eth0", "0x1003\n");
        assert!(!ready(net.path(), &wanted), "one is missing");
        set("in", "0x1002\n");
        assert!(!ready(net.path(), &wanted), "it is down");
        set("in", "0x1003\n");
        assert!(!ready(net.path(), &wanted), "the management interface was not moved yet");
        set("tunl0", "0x80\n");
        assert!(!ready(net.path(), &wanted), "a fallback device that is down is none");
        set("mgmt0", "0x1003\n");
        assert!(ready(net.path(), &wanted));
    }
}
