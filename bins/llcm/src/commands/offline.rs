//! Reads a package without a server: what `plan` and `validate` have in common.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use llcm_descriptors::{Diagnostic, Severity};
use llcm_lifecycle::plan::{PackageInput, container_names};
use llcm_lifecycle::{Dialect, Settings, package};
use llcm_names::{PackageHash, Ssiid};
use llcm_packaging::{ErrorKind, Sha1Reader, unpack};

use crate::config::file;
use crate::config::raw::RawConfig;

/// Settings for commands without a server, by their keys in the configuration file.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Sets {
    /// A setting of the server, by its key in the configuration file; repeatable.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pairs: Vec<String>,
    /// A configuration file of the server. Without it, defaults.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Sets {
    /// What was given. No file is read and no variable is looked at that is not named: the answer depends on
    /// the command line only.
    ///
    /// # Errors
    /// When a key or value is wrong, or a file that is named cannot be read.
    pub(super) fn read(&self) -> anyhow::Result<RawConfig> {
        let below = match &self.config {
            Some(path) => file::read(Some(path))?,
            None => RawConfig::default(),
        };
        Ok(file::from_settings(&self.pairs)?.over(below))
    }
}

/// Reads a package as onboarding would. What is wrong with the package is a finding, not an error.
///
/// # Errors
/// When the file cannot be read, or there is no room to unpack it.
pub(super) fn read(path: &Path, settings: &Settings) -> anyhow::Result<PackageInput> {
    let name = path.display();
    let open = || File::open(path).with_context(|| format!("cannot open {name}"));
    let (_, sha1) =
        Sha1Reader::new(BufReader::new(open()?)).finish().with_context(|| format!("cannot read {name}"))?;
    let sha1 = PackageHash::parse(&sha1).map_err(|error| anyhow!(error))?;
    let mut input = PackageInput {
        sha1,
        package: None,
        nsd: None,
        descriptors: None,
        diagnostics: Vec::new(),
        env_files: BTreeMap::new(),
    };
    let staging = tempfile::tempdir().context("cannot make a temporary directory")?;
    let unpacked = match unpack(open()?, staging.path(), &settings.limits) {
        Ok(unpacked) => unpacked,
        Err(error) if error.kind() == ErrorKind::Io => {
            return Err(anyhow::Error::new(error).context(format!("cannot unpack {name}")));
        }
        Err(error) => {
            let finding = Diagnostic::new(Severity::Error, error.code(), "", "", error.to_string());
            input.diagnostics.push(finding);
            return Ok(input);
        }
    };
    let loaded = package::load(&unpacked.content(&settings.limits)?, settings);
    input.package = loaded.package;
    input.nsd = loaded.nsd;
    input.descriptors = loaded.descriptors;
    input.diagnostics = loaded.diagnostics;
    Ok(input)
}

/// Adds the environment files that instances 0 to `instances` - 1 have; what is wrong with one is a finding.
pub(super) fn add_env_files(input: &mut PackageInput, settings: &Settings, dialect: Dialect, instances: u16) {
    let (Some(directory), Some(descriptors)) = (&settings.env_dir, &input.descriptors) else { return };
    let names =
        (0..instances).flat_map(|ssiid| container_names(descriptors, settings, dialect, Ssiid::new(ssiid)));
    let mut findings = Vec::new();
    for name in names {
        match package::read_env_file(directory, name.as_str()) {
            Ok(None) => {}
            Ok(Some(variables)) => drop(input.env_files.insert(name.as_str().to_owned(), variables)),
            Err(finding) => findings.push(finding),
        }
    }
    if !findings.is_empty() {
        input.diagnostics.extend(findings);
        input.descriptors = None;
    }
}

/// How many findings are errors, and how many are warnings.
pub(super) fn counts(findings: &[Diagnostic]) -> (usize, usize) {
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    (errors, findings.len() - errors)
}
