//! Small tools that containers of the built-in image `host` have, so that VNFs of shell scripts work on a machine
//! where nothing is installed: this program under other names (see [`llcm_engine::image::HostTools`]).
//!
//! They do what examples and tests need and no more; where the host has a program of the same name, it wins.

mod background;
pub(crate) mod fetch;
mod interfaces;
mod ping;
mod tcp_relay;
mod web_server;

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

/// One of them.
#[derive(Debug)]
pub(crate) struct Tool {
    name: &'static str,
    run: fn(&[&str]) -> anyhow::Result<ExitCode>,
    usage: &'static str,
    /// The exit code when it fails.
    failed: u8,
}

const TOOLS: &[Tool] = &[
    Tool { name: "ping", run: ping::run, usage: ping::USAGE, failed: 2 },
    Tool { name: web_server::NAME, run: web_server::run, usage: web_server::USAGE, failed: 1 },
    Tool { name: tcp_relay::NAME, run: tcp_relay::run, usage: tcp_relay::USAGE, failed: 1 },
    Tool { name: "fetch", run: fetch::run, usage: fetch::USAGE, failed: 1 },
    Tool { name: "interfaces", run: interfaces::run, usage: interfaces::USAGE, failed: 1 },
];

/// Arguments that a tool does not understand.
#[derive(Debug)]
struct WrongUsage;

impl std::fmt::Display for WrongUsage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("wrong usage")
    }
}

impl std::error::Error for WrongUsage {}

/// Their names.
pub(crate) fn names() -> Vec<String> {
    TOOLS.iter().map(|tool| tool.name.to_owned()).collect()
}

/// The tool that a program called by this name is to be.
pub(crate) fn called(program: Option<&OsStr>) -> Option<&'static Tool> {
    let name = Path::new(program?).file_name()?;
    TOOLS.iter().find(|tool| name == tool.name)
}

impl Tool {
    /// Runs it; the exit code is 2 for wrong usage.
    pub(crate) fn main(&self, arguments: impl Iterator<Item = std::ffi::OsString>) -> ExitCode {
        let arguments: Vec<_> = arguments.map(|it| it.to_string_lossy().into_owned()).collect();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let (code, told) = match (self.run)(&arguments) {
            Ok(code) => return code,
            Err(error) if crate::output::is_broken_pipe(&error) => return ExitCode::SUCCESS,
            Err(error) if error.is::<WrongUsage>() => (2, format!("usage: {}", self.usage)),
            Err(error) => (self.failed, format!("{}: {error:#}", self.name)),
        };
        // Nothing can be done when standard error is closed; the exit code still tells.
        let _ = writeln!(io::stderr(), "{told}");
        ExitCode::from(code)
    }
}

fn port(text: &str) -> anyhow::Result<u16> {
    text.parse().with_context(|| format!("`{text}` is no port"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_found_by_the_name_it_is_called_by() {
        for (called_by, expected) in [
            ("/opt/llcm/bin/ping", Some("ping")),
            ("web-server", Some("web-server")),
            ("./tcp-relay", Some("tcp-relay")),
            ("/usr/bin/llcm", None),
            ("pinger", None),
            ("", None),
        ] {
            assert_eq!(called(Some(OsStr::new(called_by))).map(|tool| tool.name), expected, "{called_by}");
        }
        assert!(called(None).is_none());
    }

    #[test]
    fn what_is_not_understood_is_wrong_usage() {
        for tool in TOOLS {
            for arguments in [&["--unknown"][..], &["1", "2", "3", "-x"]] {
                let error = (tool.run)(arguments).unwrap_err();
                assert!(error.is::<WrongUsage>(), "{} {arguments:?}: {error:#}", tool.name);
            }
        }
    }
}
