//! Starting containers and waiting for them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{BufReader, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode};
use rustix::process::Signal;

use super::container::{Container, Live, Removal};
use super::{Engine, not_found};
use crate::capability::Capability;
use crate::error::{Context as _, EngineError};
use crate::files::write_json;
pub(super) use crate::helper::PATIENCE;
use crate::helper::launch::{LAUNCH_FILE, Launch, Root, Run};
use crate::helper::{FIRST, Report, read_line};
use crate::process::Process;
use crate::program::start_helper;
use crate::record::{Exit, State};
use crate::spec::Bind;

/// A report is short; its text may quote paths.
const LONGEST_REPORT: u64 = 64 << 10;

impl Engine {
    /// Starts a container that was created or has ended. On return its program is executed. What it had
    /// written to its file system is there again, and its log goes on.
    ///
    /// # Errors
    /// `Start` with what failed inside, a program that is not there, say; `Conflict` when it runs, when another container has a
    /// port that it publishes, and when somebody else on this machine has one and does not give it up within a second.
    pub fn start(&self, name: &str) -> Result<(), EngineError> {
        let container = self.container(name)?;
        if !container.kept.spec.publish.is_empty() {
            self.notice_ends();
            self.check_ports(&container)?;
        }
        let mut live = container.live();
        if live.removal != Removal::No {
            return Err(not_found(name));
        }
        self.notice_end(&container, &mut live)?;
        if live.process.is_some() {
            let problem = "runs already: stop it first";
            return Err(EngineError::Conflict { kind: "container", name: name.to_owned(), problem });
        }
        self.make_ready(&container, &mut live)?;
        let spec = &container.kept.spec;
        self.ports.publish(spec, live.management)?;
        let started = self.launch(&container, &mut live);
        if started.is_err() {
            self.ports.withdraw(spec)?;
            self.cgroups.remove(name)?;
        }
        started
    }

    fn launch(&self, container: &Arc<Container>, live: &mut Live) -> Result<(), EngineError> {
        let spec = &container.kept.spec;
        let cgroups = self.cgroups.make(&spec.name, &spec.limits)?;
        let launch = self.plan(container, cgroups);
        make_fifo(&launch.stdin)?;
        write_json(&container.directory.join(LAUNCH_FILE), &launch)?;
        let log = container.log();
        let output =
            OpenOptions::new().append(true).create(true).mode(0o600).open(&log).context("open", &log)?;
        let errors = output.try_clone().context("open", &log)?;
        self.keeper.watch(&container.directory)?;
        let (ours, theirs) = UnixStream::pair().context("make a socket for", &container.directory)?;
        ours.set_read_timeout(Some(PATIENCE)).context("set up", &container.directory)?;
        let arguments = [OsStr::new(FIRST), container.directory.as_os_str()];
        let program = &self.options.helper.program;
        let stdin = Stdio::from(OwnedFd::from(theirs));
        let mut helper = start_helper(&self.options.helper, &arguments, stdin, output.into(), errors.into())
            .context("start", program)?;
        let control = &mut Control { reader: BufReader::new(ours), name: spec.name.clone() };
        let first = control.report();
        // The first stage ends as soon as it has started the second; after a failure it ends, too.
        let first = match first {
            Ok(first) => first,
            Err(error) => {
                helper.kill().context("end", program)?;
                helper.wait().context("wait for", program)?;
                return Err(error);
            }
        };
        helper.wait().context("wait for", program)?;
        let pid = match first {
            Some(Report::Pid(pid)) => pid,
            Some(Report::Error(text)) => return Err(control.failed(text)),
            Some(Report::Ended(_)) | None => return Err(control.failed(self.hint(container))),
        };
        // The second stage is this program's child by now, so its number stays its own until it is reaped.
        let process = Process::hold(pid).context("hold", &container.directory)?;
        let watched = self.ends.watch(container, &process);
        let began = watched.and_then(|()| self.let_go(container, control, &process));
        if let Err(error) = began {
            self.ends.forget(&process);
            process.signal(Signal::KILL).context("kill", &container.directory)?;
            process.ended(Some(PATIENCE)).context("wait for", &container.directory)?;
            process.reap().context("reap", &container.directory)?;
            container.write_state(&live.state)?;
            return Err(error);
        }
        live.state = State::Running(process.id.clone());
        let process = Arc::new(process);
        self.ports.started(&spec.name, &process);
        live.process = Some(process);
        container.let_network_go()
    }

    /// Writes the process down, then lets it execute the program, and hears whether that worked.
    fn let_go(
        &self,
        container: &Container,
        control: &mut Control,
        process: &Process,
    ) -> Result<(), EngineError> {
        container.write_state(&State::Running(process.id.clone()))?;
        let sent = control.reader.get_mut().write_all(b"go\n");
        match control.report()? {
            // The socket closes when the program is executed, and also when the helper dies: it would have
            // reported before, unless it was killed.
            None if sent.is_ok() => Ok(()),
            Some(Report::Error(text)) => Err(control.failed(text)),
            _ => Err(control.failed(self.hint(container))),
        }
    }

    /// What to say when the helper ended without a word.
    fn hint(&self, container: &Container) -> String {
        let helper = &self.options.helper;
        let (program, arguments) = (helper.program.display(), helper.arguments.join(" "));
        format!(
            "the helper `{program} {arguments}` ended without a report: it must call helper::main; see {}",
            container.log().display()
        )
    }

    fn plan(&self, container: &Container, cgroups: Vec<PathBuf>) -> Launch {
        let (spec, image) = (&container.kept.spec, &container.kept.image);
        let directory = &container.directory;
        let hostname = spec.hostname.clone().unwrap_or_else(|| spec.name.chars().take(64).collect());
        let same = |path: &PathBuf| Bind { host: path.clone(), container: path.clone(), read_only: true };
        let tools = self.options.host_tools.iter().filter_map(|tools| tools.bind(image));
        let binds =
            image.host_paths.iter().map(same).chain(tools).chain(spec.binds.iter().cloned()).collect();
        let hosts = format!("127.0.0.1 localhost\n::1 localhost ip6-localhost\n127.0.1.1 {hostname}\n");
        Launch {
            helper: self.options.helper.clone(),
            cgroups,
            network: container.network_file(),
            root: Root {
                layers_dir: self.images.layers_dir(),
                lower: image.layers.clone(),
                upper: directory.join("upper"),
                work: directory.join("work"),
                merged: self.mount_point(),
                mark: self.options.cgroup.clone(),
                binds,
                devices: spec.devices.clone(),
                binds_devices: self.powers.device_nodes.is_err(),
                files: BTreeMap::from([
                    (PathBuf::from("/etc/hosts"), hosts),
                    (PathBuf::from("/etc/hostname"), format!("{hostname}\n")),
                ]),
                network_settings: spec.capabilities().contains(&Capability::NET_ADMIN),
            },
            run: container.run(),
            hostname,
            stdin: directory.join("stdin"),
        }
    }

    /// Waits until a container has ended, at most `timeout`; `None` when it still runs then. One that was never
    /// started has nothing to wait for.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when it was not started.
    pub fn wait(&self, name: &str, timeout: Option<Duration>) -> Result<Option<Exit>, EngineError> {
        let container = self.container(name)?;
        let process = container.live().process.clone();
        if let Some(process) = process
            && !process.ended(timeout).context("wait for", &container.directory)?
        {
            return Ok(None);
        }
        let mut live = container.live();
        self.notice_end(&container, &mut live)?;
        match &live.state {
            State::Ended(exit) => Ok(Some(*exit)),
            State::Running(_) => Ok(None),
            State::Created => {
                let problem = "was not started: start it first";
                Err(EngineError::Conflict { kind: "container", name: name.to_owned(), problem })
            }
        }
    }
}

impl Container {
    /// What the container runs: the image's word, changed by the specification's.
    pub(super) fn run(&self) -> Run {
        let (spec, config) = (&self.kept.spec, &self.kept.image.config);
        let command = if spec.command.is_empty() {
            config.entrypoint.iter().chain(&config.cmd).cloned().collect()
        } else {
            spec.command.clone()
        };
        let mut environment: BTreeMap<String, String> = config
            .env
            .iter()
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let usual = crate::helper::DEFAULT_PATH;
        environment.entry("PATH".to_owned()).or_insert_with(|| usual.to_owned());
        environment.extend(spec.environment.clone());
        let named = Some(PathBuf::from(&config.working_dir)).filter(|path| path.is_absolute());
        Run {
            command,
            environment,
            working_dir: spec.working_dir.clone().or(named).unwrap_or_else(|| PathBuf::from("/")),
            user: spec.user.clone().unwrap_or_else(|| config.user.clone()),
            capabilities: spec.capabilities(),
        }
    }
}

/// The engine's end of the socket to the helper.
#[derive(Debug)]
pub(super) struct Control {
    pub(super) reader: BufReader<UnixStream>,
    pub(super) name: String,
}

impl Control {
    /// The next report; `None` at the end.
    pub(super) fn report(&mut self) -> Result<Option<Report>, EngineError> {
        let line = match read_line(&mut self.reader, LONGEST_REPORT) {
            // The other end went away with something unread.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(None),
            Err(error) => return Err(self.failed(format!("no report from the helper: {error}"))),
            Ok(line) if line.is_empty() => return Ok(None),
            Ok(line) => line,
        };
        let parsed = serde_json::from_slice(&line);
        parsed.map(Some).map_err(|error| self.failed(format!("a report that cannot be understood: {error}")))
    }

    pub(super) fn failed(&self, report: String) -> EngineError {
        EngineError::Start { container: self.name.clone(), report }
    }
}

fn make_fifo(path: &PathBuf) -> Result<(), EngineError> {
    match rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(error) => Err(error).context("make FIFO", path),
    }
}
