//! Licences and bans of `deny.toml`, checked without a further tool.

use std::fs;
use std::path::Path;

use anyhow::Context;

use crate::metadata::{self, Package};

/// What `deny.toml` says, as far as it is checked here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Rules {
    licences: Vec<String>,
    banned: Vec<(String, String)>,
}

/// Packages with licences that are not allowed, banned ones, and those from elsewhere than a registry.
///
/// # Errors
/// When `deny.toml` cannot be read or `cargo metadata` fails.
pub fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let rules = read(root)?;
    Ok(metadata::graph(root)?.iter().flat_map(|package| check_package(&rules, package)).collect())
}

/// That `deny.toml` is there and says what [`check`] looks for; needs no network.
///
/// # Errors
/// When `deny.toml` cannot be read.
pub fn check_manifest(root: &Path) -> anyhow::Result<Vec<String>> {
    let rules = read(root)?;
    let mut findings = Vec::new();
    if rules.licences.is_empty() {
        findings.push("deny.toml: no `allow` list of licences was found".to_owned());
    }
    if rules.banned.is_empty() {
        findings.push("deny.toml: no banned crates were found".to_owned());
    }
    let lock = fs::read_to_string(root.join("Cargo.lock")).context("cannot read Cargo.lock")?;
    for (banned, why) in &rules.banned {
        if lock.contains(&format!("name = \"{banned}\"\n")) {
            findings.push(format!("Cargo.lock: {banned} is banned: {why}"));
        }
    }
    Ok(findings)
}

fn read(root: &Path) -> anyhow::Result<Rules> {
    let text = fs::read_to_string(root.join("deny.toml")).context("cannot read deny.toml")?;
    Ok(parse(&text))
}

/// Reads the two lists, which are written one entry a line.
fn parse(text: &str) -> Rules {
    let mut rules = Rules::default();
    let mut list = "";
    for line in text.lines().map(str::trim) {
        let quoted: Vec<_> = line.split('"').skip(1).step_by(2).collect();
        match line {
            "allow = [" | "deny = [" => list = line,
            "]" => list = "",
            _ if list == "allow = [" => rules.licences.extend(quoted.first().map(|&it| it.to_owned())),
            _ if list == "deny = [" => {
                if let [name, why] = quoted[..] {
                    rules.banned.push((name.to_owned(), why.to_owned()));
                }
            }
            _ => {}
        }
    }
    rules
}

fn check_package(rules: &Rules, package: &Package) -> Vec<String> {
    let Package { name, version, license, source } = package;
    let mut findings = Vec::new();
    let license = license.as_deref().unwrap_or("");
    if !allowed(&rules.licences, license) {
        findings.push(format!("{name} {version}: licence {license:?} is not allowed in deny.toml"));
    }
    if let Some((_, why)) = rules.banned.iter().find(|(banned, _)| banned == name) {
        findings.push(format!("{name} {version}: banned: {why}"));
    }
    if source
        .as_ref()
        .is_some_and(|source| !source.starts_with("registry+") && !source.starts_with("sparse+"))
    {
        findings.push(format!("{name} {version}: comes from no registry"));
    }
    findings
}

/// Whether an SPDX expression can be met with allowed licences. `/` is the old form of `OR`; parentheses
/// stand around alternatives only, as far as packages use them.
fn allowed(licences: &[String], expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    conjunction(&expression).iter().all(|part| {
        let part = part.trim().trim_start_matches('(').trim_end_matches(')');
        part.split(" OR ").any(|choice| {
            choice.split(" AND ").all(|licence| {
                let licence = licence.trim().trim_matches(['(', ')']).trim();
                licences.iter().any(|allowed| allowed == licence)
            })
        })
    })
}

/// The parts that stand between `AND`s outside of parentheses, where there are parentheses at all; else
/// `AND` binds more tightly than `OR`, and the whole is one part.
fn conjunction(expression: &str) -> Vec<&str> {
    if !expression.contains('(') {
        return vec![expression];
    }
    let (mut parts, mut depth, mut begin) = (Vec::new(), 0_i32, 0);
    for (at, c) in expression.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            'A' if depth == 0 && expression[at..].starts_with("AND ") => {
                parts.push(&expression[begin..at]);
                begin = at + 4;
            }
            _ => {}
        }
    }
    parts.push(&expression[begin..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_met_with_what_is_allowed() {
        let licences =
            ["MIT", "Apache-2.0", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
        for (expression, expected) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("GPL-3.0 OR MIT", true),
            ("MIT/Apache-2.0", true),
            ("MIT AND GPL-3.0", false),
            ("GPL-3.0 OR MIT AND Apache-2.0", true),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("(MIT OR GPL-3.0) AND GPL-2.0", false),
            ("(MIT OR Apache-2.0) AND (Unicode-3.0 OR GPL-3.0)", true),
            ("Apache-2.0 WITH LLVM-exception OR MIT", true),
            ("", false),
        ] {
            assert_eq!(allowed(&licences, expression), expected, "{expression}");
        }
    }

    #[test]
    fn rules_are_read() {
        let text = "[licenses]\nallow = [\n    \"MIT\",\n]\n[bans]\ndeny = [\n    { crate = \"x\", reason = \"y\" },\n]\n";
        let rules = parse(text);
        assert_eq!(rules.licences, ["MIT"]);
        assert_eq!(rules.banned, [("x".to_owned(), "y".to_owned())]);
        let package = Package {
            name: "x".to_owned(),
            version: "1.0.0".to_owned(),
            license: Some("GPL-3.0".to_owned()),
            source: Some("git+https://example.org/x".to_owned()),
        };
        assert_eq!(check_package(&rules, &package).len(), 3);
    }
}
