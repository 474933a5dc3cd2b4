//! What cargo knows about the workspace.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::Value;

/// A member of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The package's name.
    pub name: String,
    /// Its Cargo.toml.
    pub manifest: PathBuf,
    /// Its dependencies by name, build dependencies included, without those for development.
    pub dependencies: Vec<String>,
    /// Its development dependencies by name.
    pub dev_dependencies: Vec<String>,
}

/// A package of the dependency graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence expression (SPDX); `None` when it names none.
    pub license: Option<String>,
    /// Where it comes from; `None` for members of the workspace.
    pub source: Option<String>,
}

/// All members, without looking at third-party packages: works without network.
///
/// # Errors
/// When `cargo metadata` fails.
pub fn members(root: &Path) -> anyhow::Result<Vec<Member>> {
    let metadata = run(root, &["--no-deps", "--offline"])?;
    packages(&metadata)?.iter().map(member).collect()
}

/// All packages that a build for this host uses.
///
/// # Errors
/// When `cargo metadata` fails: packages have to be downloaded already, or the network be there.
pub fn graph(root: &Path) -> anyhow::Result<Vec<Package>> {
    let host = host()?;
    let metadata = run(root, &["--locked", "--filter-platform", &host])?;
    let used: Vec<_> = metadata["resolve"]["nodes"]
        .as_array()
        .context("cargo metadata has no resolve.nodes")?
        .iter()
        .filter_map(|node| node["id"].as_str())
        .collect();
    let used = |package: &&Value| package["id"].as_str().is_some_and(|id| used.contains(&id));
    packages(&metadata)?.iter().filter(used).map(package).collect()
}

fn run(root: &Path, arguments: &[&str]) -> anyhow::Result<Value> {
    let output = Command::new(cargo())
        .current_dir(root)
        .args(["metadata", "--format-version", "1"])
        .args(arguments)
        .output()
        .context("cannot run cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    serde_json::from_slice(&output.stdout).context("cargo metadata does not print JSON")
}

/// The cargo that runs us, or the one on the path.
pub(crate) fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

fn host() -> anyhow::Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("cannot run rustc -vV")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV names no host")?.to_owned())
}

fn packages(metadata: &Value) -> anyhow::Result<&Vec<Value>> {
    metadata["packages"].as_array().context("cargo metadata has no packages")
}

fn text(value: &Value, key: &str) -> anyhow::Result<String> {
    Ok(value[key].as_str().with_context(|| format!("cargo metadata has no text in {key}"))?.to_owned())
}

fn member(package: &Value) -> anyhow::Result<Member> {
    let dependencies = package["dependencies"].as_array().context("a package has no dependencies")?;
    let of_kind = |dev: bool| {
        let kind = move |dependency: &&Value| (dependency["kind"].as_str() == Some("dev")) == dev;
        let names = dependencies.iter().filter(kind).filter_map(|dependency| dependency["name"].as_str());
        names.map(str::to_owned).collect()
    };
    Ok(Member {
        name: text(package, "name")?,
        manifest: PathBuf::from(text(package, "manifest_path")?),
        dependencies: of_kind(false),
        dev_dependencies: of_kind(true),
    })
}

fn package(package: &Value) -> anyhow::Result<Package> {
    Ok(Package {
        name: text(package, "name")?,
        version: text(package, "version")?,
        license: package["license"].as_str().map(str::to_owned),
        source: package["source"].as_str().map(str::to_owned),
    })
}
