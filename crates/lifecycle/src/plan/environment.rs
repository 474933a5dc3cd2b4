//! Environment files, the names they are looked up by, and what a container's environment is made of.

use std::collections::BTreeMap;

use llcm_descriptors::{Descriptors, Diagnostic, Severity};
use llcm_names::{ContainerName, Ssiid};

use super::Script;
use super::findings::Findings;
use super::saps::{Saps, Without};
use super::service::{Service, UnitRef};
use crate::settings::{Dialect, Settings};

/// Keys of the start script, the first that is set counts.
const START_KEYS: [&str; 2] = ["SON_EMU_CMD", "VIM_EMU_CMD"];
/// Keys of the stop script, likewise.
const STOP_KEYS: [&str; 2] = ["SON_EMU_CMD_STOP", "VIM_EMU_CMD_STOP"];

/// The names of an instance's containers, in starting order: what environment files are called
/// (`<name>.env.yml`). Names that cannot be are left out; [`super::build`] reports them.
#[must_use]
pub fn container_names(
    descriptors: &Descriptors,
    settings: &Settings,
    dialect: Dialect,
    ssiid: Ssiid,
) -> Vec<ContainerName> {
    let mut findings = Findings::default();
    let saps = Saps::new(descriptors, settings, Without::default(), &mut findings);
    let service = Service::new(&saps.descriptors, dialect, &mut findings);
    service.units.iter().filter_map(|unit| unit.container_name(dialect, ssiid).ok()).collect()
}

/// Reads an environment file: a YAML mapping of names to scalars.
///
/// # Errors
/// A finding about `document` when it is anything else.
///
/// ```
/// let file = b"---\nMACHINE_NAME: \"WIMMS0\"\nPORT: 8080\n";
/// let variables = llcm_lifecycle::plan::parse_env_file("vnf0.vdu01.0.env.yml", file).unwrap();
/// assert_eq!(variables["PORT"], "8080");
/// ```
#[expect(clippy::result_large_err, reason = "read once per container; a finding is what the caller collects")]
pub fn parse_env_file(document: &str, bytes: &[u8]) -> Result<BTreeMap<String, String>, Diagnostic> {
    let finding = |message: String| {
        Diagnostic::new(Severity::Error, "bad-env-file", document, "", message)
            .hint("an environment file is a YAML mapping of names to texts and numbers")
    };
    let text = std::str::from_utf8(bytes).map_err(|_| finding("it is not UTF-8".to_owned()))?;
    // Texts are wanted as they are written (`1.10`, `007`), so the reader is asked for texts only.
    let values: Option<BTreeMap<String, Option<String>>> = serde_saphyr::from_str(text).map_err(|error| {
        let finding = finding(error.without_snippet().to_string());
        match error.location() {
            Some(at) => finding.at(number(at.line()), number(at.column())),
            None => finding,
        }
    })?;
    let mut variables = BTreeMap::new();
    for (name, value) in values.unwrap_or_default() {
        let value = value.unwrap_or_default();
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(finding(format!("{name:?} cannot be a variable")));
        }
        variables.insert(name, value);
    }
    Ok(variables)
}

fn number(from: u64) -> u32 {
    u32::try_from(from).unwrap_or(u32::MAX)
}

/// A container's environment: its name, what the unit sets, its start and stop commands, and above all that
/// the environment file.
pub(super) fn environment(
    unit: &UnitRef<'_>,
    name: &ContainerName,
    file: Option<&BTreeMap<String, String>>,
) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::from([("VNF_NAME".to_owned(), name.to_string())]);
    environment.extend(unit.unit.environment.clone());
    let commands = [(START_KEYS[0], &unit.unit.start_command), (STOP_KEYS[0], &unit.unit.stop_command)];
    for (key, command) in commands {
        if let Some(command) = command {
            environment.insert(key.to_owned(), command.clone());
        }
    }
    environment.extend(file.cloned().unwrap_or_default());
    environment
}

/// The start and stop scripts for an environment.
pub(super) fn scripts(environment: &BTreeMap<String, String>) -> (Script, Script) {
    let script = |keys: [&str; 2]| match keys.iter().find_map(|&key| environment.get(key)) {
        Some(command) => Script::Given { command: command.clone() },
        None => Script::FromImage { keys: keys.map(str::to_owned).to_vec() },
    };
    (script(START_KEYS), script(STOP_KEYS))
}
