//! The `llcm` program: arguments, configuration, wiring, exit codes. All that it does is done by the library
//! crates; another program can do the same with them.
//!
//! Reading order: [`cli`], [`commands`], [`config`], [`compose`], [`client`].

mod cli;
mod client;
mod commands;
mod compose;
mod config;
mod docker_images;
mod engines;
mod ground;
mod logging;
mod open_files;
mod output;
mod pack;
mod sap_image;
mod server;
mod shutdown;
mod tls;
mod tools;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    // Containers have this program under the names of tools.
    if let Some(tool) = tools::called(arguments.next().as_deref()) {
        return tool.main(arguments);
    }
    // The embedded engine starts this program as its helper.
    let mut arguments = arguments.peekable();
    if arguments.next_if(|it| it == "engine-init").is_some() {
        return llcm_engine::helper::main(arguments);
    }
    // And the network driver as the process that delays frames.
    if arguments.next_if(|it| it == "delay-line").is_some() {
        return llcm_delayline::helper::main(arguments);
    }
    match commands::run(cli::Cli::parse()) {
        Ok(code) => code,
        // The reader of a pipe went away (`llcm ps | head -1`): that is its right.
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing can be done when standard error is closed too; the exit code still tells.
            let _ = writeln!(io::stderr(), "error: {}", output::plain(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}
