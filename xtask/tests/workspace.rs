//! The workspace keeps its own rules.

#[test]
fn the_workspace_keeps_its_rules() {
    let findings = xtask::check_all(&xtask::workspace_root()).unwrap();
    assert!(findings.is_empty(), "{} rules are broken:\n{}", findings.len(), findings.join("\n"));
}
