//! What the simulated host is like: which images exist, how long things take, what fails.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::faults::{Fault, Operation, glob};
use super::latency::Latency;
use crate::{HostSide, NotEmulated};

/// A script of the simulation. The empty one, the default, is a host on which every image and device
/// exists, nothing takes time and nothing fails.
///
/// As YAML, every key optional, unknown keys refused:
///
/// ```
/// # let text = r#"
/// seed: 1
/// latency: {ensure-image: 2s, start: 150ms~50ms}
/// faults:
///   - {operation: start, target: mn.vnf1.*, call: 2, when: after, kind: unavailable}
///   - {operation: attach, action: hang}
/// missing-images: ["*:nightly"]
/// missing-devices: [/dev/kvm]
/// images:
///   - {reference: sonatanfv/*, environment: {SON_EMU_CMD: ./start.sh}}
/// commands:
///   - {container: mn.vnf0.*, argv: [sh, -c, ./start.sh], stdout: "started\n", takes: 1s}
/// output:
///   - {container: "*", stdout: "ready\n"}
/// # "#;
/// # let script = llcm_runtime::simulated::Script::parse(text).unwrap();
/// # assert_eq!((script.faults.len(), script.commands.len()), (2, 1));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Script {
    /// Seeds the jitter of latencies.
    pub seed: u64,
    /// How long operations take; those not named take no time.
    pub latency: BTreeMap<Operation, Latency>,
    /// What fails. The first fault that hits a call decides.
    pub faults: Vec<Fault>,
    /// References of images that nobody has; `*` stands for any text.
    pub missing_images: Vec<String>,
    /// Devices that the host does not have: containers with them do not start.
    pub missing_devices: Vec<PathBuf>,
    /// What images bring with them. The first that matches decides.
    pub images: Vec<ScriptedImage>,
    /// What commands in containers do. The first that matches decides; a command that none matches is
    /// recorded, writes nothing and ends with exit code 0.
    pub commands: Vec<ScriptedCommand>,
    /// Programs that no image has: running them is refused.
    pub missing_programs: Vec<String>,
    /// What containers' own processes write when they begin, which is when the interfaces of the container's
    /// spec are there.
    pub output: Vec<ScriptedOutput>,
    /// Link properties that `prepare` reports as not emulated.
    pub not_emulated: Vec<NotEmulated>,
    /// What the host says of interfaces of its own on emulated segments.
    pub host: HostSide,
    /// The CPUs of the host; empty: not known.
    pub cpus: Vec<u32>,
    /// Bytes of memory of the host; 0: not known.
    pub memory_bytes: u64,
    /// Limits that cannot be set (`cpu`, `cpuset`, `memory`), each with the reason.
    pub missing_limits: BTreeMap<String, String>,
    /// Seconds since 1970 at which the world begins; timestamps of output count from here.
    pub epoch_seconds: u64,
}

/// What an image brings with it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScriptedImage {
    /// Its reference; `*` stands for any text.
    pub reference: String,
    /// Its environment.
    pub environment: BTreeMap<String, String>,
    /// Its ENTRYPOINT.
    pub entrypoint: Vec<String>,
    /// Its CMD.
    pub command: Vec<String>,
}

/// What a command in a container does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptedCommand {
    /// The container's name in the engine; `*` stands for any text.
    #[serde(default = "anything")]
    pub container: String,
    /// Program and arguments, as many as the command has; in each `*` stands for any text.
    pub argv: Vec<String>,
    /// What it writes to standard output.
    #[serde(default)]
    pub stdout: String,
    /// What it writes to standard error, after that.
    #[serde(default)]
    pub stderr: String,
    /// Its exit code.
    #[serde(default)]
    pub exit_code: i64,
    /// How long it runs, after it has written.
    #[serde(default)]
    pub takes: Latency,
}

/// What a container's own process writes when it starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptedOutput {
    /// The container's name in the engine; `*` stands for any text.
    #[serde(default = "anything")]
    pub container: String,
    /// What it writes to standard output.
    #[serde(default)]
    pub stdout: String,
    /// What it writes to standard error, after that.
    #[serde(default)]
    pub stderr: String,
}

fn anything() -> String {
    "*".to_owned()
}

/// A text that is no script.
#[derive(Debug, Error)]
#[error("the script of the simulation cannot be read: {0}")]
pub struct ScriptError(String);

impl Script {
    /// Reads a script from YAML.
    ///
    /// # Errors
    /// When the text is not YAML or says what no script says; with line and column.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_saphyr::from_str(text).map_err(|error| ScriptError(error.to_string()))
    }

    /// Adds a fault.
    #[must_use]
    pub fn with(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// Sets the time an operation takes.
    #[must_use]
    pub fn taking(mut self, operation: Operation, latency: Latency) -> Self {
        self.latency.insert(operation, latency);
        self
    }

    /// Says what a command does.
    #[must_use]
    pub fn command(mut self, command: ScriptedCommand) -> Self {
        self.commands.push(command);
        self
    }

    pub(super) fn image(&self, reference: &str) -> Option<&ScriptedImage> {
        self.images.iter().find(|image| glob(&image.reference, reference))
    }

    pub(super) fn lacks_image(&self, reference: &str) -> bool {
        self.missing_images.iter().any(|pattern| glob(pattern, reference))
    }

    pub(super) fn find_command(&self, container: &str, argv: &[String]) -> Option<&ScriptedCommand> {
        self.commands.iter().find(|command| {
            glob(&command.container, container)
                && command.argv.len() == argv.len()
                && command.argv.iter().zip(argv).all(|(pattern, word)| glob(pattern, word))
        })
    }

    pub(super) fn output_of(&self, container: &str) -> impl Iterator<Item = &ScriptedOutput> {
        self.output.iter().filter(move |output| glob(&output.container, container))
    }
}

impl ScriptedCommand {
    /// A command in any container that writes `stdout` and ends with `exit_code`.
    #[must_use]
    pub fn new(argv: &[&str], stdout: &str, exit_code: i64) -> Self {
        Self {
            container: anything(),
            argv: argv.iter().map(|&word| word.to_owned()).collect(),
            stdout: stdout.to_owned(),
            stderr: String::new(),
            exit_code,
            takes: Latency::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_written_and_read_back() {
        let script = Script {
            seed: 3,
            latency: BTreeMap::from([(Operation::EnsureImage, "2s~1s".parse().unwrap())]),
            faults: vec![Fault::hang(Operation::Attach).target("mn.*").on_call(2).after()],
            missing_images: vec!["*:nightly".to_owned()],
            commands: vec![ScriptedCommand::new(&["true"], "", 0)],
            cpus: vec![0, 1],
            ..Script::default()
        };
        let json = serde_json::to_string(&script).unwrap();
        assert_eq!(Script::parse(&json).unwrap(), script);
        assert_eq!(Script::parse(" \n").unwrap(), Script::default());
    }

    #[test]
    fn what_is_no_script_is_refused_with_its_place() {
        for (text, expected) in [
            ("latencies: {}", "latencies"),
            ("latency: {start: soon}", "expected a time"),
            ("latency: {run: 1s}", "run"),
            ("faults: [{operation: start, target: x, kind: bad}]", "bad"),
            ("faults: [", "line 1"),
        ] {
            let error = Script::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn the_page_for_readers_tells_the_truth() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/adding-a-driver.md");
        let page = std::fs::read_to_string(page).unwrap();
        let example = page.split("```yaml").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let script = Script::parse(example).unwrap();
        assert_eq!((script.faults.len(), script.commands.len(), script.cpus.len()), (2, 1, 2));
        let operations = page.split("Operations:").nth(1).unwrap();
        let names: Vec<_> = operations.split('`').skip(1).step_by(2).collect();
        // What is read lists all that it knows when it is given something else.
        let known = serde_json::from_str::<Operation>("\"?\"").unwrap_err().to_string();
        let known = known.split_once("expected one of ").unwrap().1.to_owned();
        let known: Vec<_> = known.split('`').skip(1).step_by(2).collect();
        let sorted = |mut names: Vec<_>| {
            names.sort_unstable();
            names
        };
        assert_eq!(sorted(names), sorted(known));
        let keys = serde_json::to_value(Script::default()).unwrap();
        for key in keys.as_object().unwrap().keys() {
            assert!(page.contains(&format!("\n{key}:")) || page.contains(&format!("\n`{key}:")), "{key}");
        }
    }
}
