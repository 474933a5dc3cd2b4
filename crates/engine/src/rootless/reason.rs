//! Why the kernel refuses namespaces, in words that help.

use std::io;
use std::path::Path;

use rustix::io::Errno;

use crate::error::EngineError;

/// The error for a refused `step`, which reads after "cannot".
pub(super) fn refused(step: &str, error: io::Error) -> EngineError {
    let setting = |path: &str| {
        let text = std::fs::read_to_string(Path::new("/proc/sys").join(path)).ok()?;
        text.trim().parse().ok()
    };
    EngineError::Invalid(explain(step, &error, &setting))
}

/// The settings that are known to forbid it, by what the kernel answers; `setting` gives one's value.
fn explain(step: &str, error: &io::Error, setting: &dyn Fn(&str) -> Option<u64>) -> String {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    let is_denied = matches!(errno, Some(Errno::PERM | Errno::ACCESS));
    let counts = ["user", "net", "mnt", "ipc", "uts", "pid"];
    let full = counts.map(|it| format!("user/max_{it}_namespaces"));
    let advice = match errno {
        Some(Errno::NOSPC) => match full.iter().find(|path| setting(path) == Some(0)) {
            Some(path) => format!("{} is 0: raise it with sysctl", path.replace('/', ".")),
            None => "there are as many as the settings user.max_*_namespaces allow: raise them".to_owned(),
        },
        Some(Errno::USERS) => "user namespaces are nested too deep".to_owned(),
        Some(Errno::INVAL | Errno::NOSYS) => "the kernel has no user namespaces (CONFIG_USER_NS)".to_owned(),
        _ if is_denied && setting("kernel/unprivileged_userns_clone") == Some(0) => {
            "kernel.unprivileged_userns_clone is 0: set it to 1 with sysctl".to_owned()
        }
        _ if is_denied && setting("kernel/apparmor_restrict_unprivileged_userns") == Some(1) => {
            "kernel.apparmor_restrict_unprivileged_userns is 1: set it to 0 with sysctl, or give the program an \
             AppArmor profile with `userns`"
                .to_owned()
        }
        _ if is_denied => "something forbids it: a container around this program, a filter of system calls, or a \
             changed root directory"
            .to_owned(),
        _ => return format!("cannot {step}: {error}"),
    };
    format!("cannot {step}: {error}; {advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_in_the_way_is_named() {
        let says = |errno: Errno, settings: &[(&str, u64)]| {
            let setting =
                |path: &str| settings.iter().find(|(name, _)| *name == path).map(|(_, value)| *value);
            explain("take namespaces", &errno.into(), &setting)
        };
        let text = says(Errno::NOSPC, &[("user/max_user_namespaces", 0)]);
        assert!(text.contains("user.max_user_namespaces is 0"), "{text}");
        let text = says(Errno::NOSPC, &[("user/max_user_namespaces", 9), ("user/max_net_namespaces", 0)]);
        assert!(text.contains("user.max_net_namespaces is 0"), "{text}");
        assert!(says(Errno::NOSPC, &[]).contains("user.max_*_namespaces"));
        let text = says(Errno::PERM, &[("kernel/unprivileged_userns_clone", 0)]);
        assert!(text.contains("kernel.unprivileged_userns_clone is 0"), "{text}");
        let text = says(Errno::ACCESS, &[("kernel/apparmor_restrict_unprivileged_userns", 1)]);
        assert!(text.contains("apparmor_restrict_unprivileged_userns is 1"), "{text}");
        assert!(
            says(Errno::PERM, &[("kernel/unprivileged_userns_clone", 1)]).contains("something forbids it")
        );
        assert!(says(Errno::INVAL, &[]).contains("CONFIG_USER_NS"));
        assert_eq!(
            says(Errno::NOMEM, &[]),
            format!("cannot take namespaces: {}", io::Error::from(Errno::NOMEM))
        );
    }
}
