//! The lints of all members are the workspace's.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use crate::metadata::Member;

/// Members with a list of their own: the workspace's, but for one lint, which is set to another level; and why.
pub const EXCEPT: &[(&str, &str, &str, &str)] = &[
    (
        "llcm-pidfd",
        "unsafe_code",
        "deny",
        "an ioctl is unsafe, and what is forbidden cannot be taken back in one place (docs/adr/015)",
    ),
    (
        "llcm-tap",
        "unsafe_code",
        "deny",
        "ioctls are unsafe, and what is forbidden cannot be taken back in one place (docs/adr/018)",
    ),
];

/// What breaks the rule in the members' Cargo.toml.
///
/// # Errors
/// When files cannot be read.
pub fn check(root: &Path, members: &[Member]) -> anyhow::Result<Vec<String>> {
    let read =
        |path: &Path| fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()));
    let workspace = read(&root.join("Cargo.toml"))?;
    let mut findings = Vec::new();
    for member in members {
        findings.extend(check_manifest(&member.name, &read(&member.manifest)?, &workspace));
    }
    for (name, ..) in EXCEPT {
        if !members.iter().any(|member| member.name == *name) {
            findings.push(format!("lints: {name} is an exception and not in the workspace"));
        }
    }
    Ok(findings)
}

/// What breaks the rule in one; `workspace` is the text of the workspace's Cargo.toml.
#[must_use]
pub fn check_manifest(name: &str, text: &str, workspace: &str) -> Vec<String> {
    let Some((_, but, level, _)) = EXCEPT.iter().find(|(it, ..)| *it == name) else {
        let takes_over = section(text, "lints").iter().any(|line| line == "workspace=true");
        let missing = || format!("lints: {name} is without `[lints] workspace = true`");
        return if takes_over { Vec::new() } else { vec![missing()] };
    };
    let mut findings = Vec::new();
    for tool in ["rust", "clippy"] {
        let own = section(text, &format!("lints.{tool}"));
        for line in section(workspace, &format!("workspace.lints.{tool}")) {
            let lint = line.split('=').next().unwrap_or("");
            let wanted = if lint == *but { format!("{but}=\"{level}\"") } else { line };
            if !own.contains(&wanted) {
                findings.push(format!("lints: {name} is without `{wanted}` in [lints.{tool}]"));
            }
        }
    }
    findings
}

/// The lines of a section of a Cargo.toml, without blanks and comments.
fn section(text: &str, name: &str) -> Vec<String> {
    let header = format!("[{name}]");
    let lines = text.lines().skip_while(|line| line.trim() != header).skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    lines
        .map(|line| line.replace(' ', ""))
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKSPACE: &str = "[workspace.lints.rust]\nunsafe_code = \"forbid\"\nmissing_docs = \"warn\"\n\n\
                             [workspace.lints.clippy]\n# Why.\ntodo = \"warn\"\n";

    fn findings(name: &str, text: &str) -> Vec<String> {
        check_manifest(name, text, WORKSPACE)
    }

    #[test]
    fn members_take_over_the_lints() {
        assert!(findings("a", "[package]\n\n[lints]\nworkspace = true\n").is_empty());
        assert_eq!(findings("a", "[package]\nname = \"a\"\n").len(), 1);
        assert_eq!(findings("a", "[package]\n[lints]\n[dependencies]\nworkspace = true\n").len(), 1);
        let own = WORKSPACE.replace("workspace.", "").replace("forbid", "deny");
        assert_eq!(findings("a", &own).len(), 1);
    }

    #[test]
    fn an_exception_is_for_one_lint() {
        let own = WORKSPACE.replace("workspace.", "").replace("forbid", "deny");
        assert!(findings("llcm-pidfd", &own).is_empty());
        assert!(findings("llcm-pidfd", &own.replace("deny", "warn"))[0].contains("unsafe_code=\"deny\""));
        assert!(findings("llcm-pidfd", &own.replace("todo", "exit"))[0].contains("`todo=\"warn\"`"));
        assert_eq!(findings("llcm-pidfd", "[lints]\nworkspace = true\n").len(), 3);
    }
}
