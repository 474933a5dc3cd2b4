//! The command line. Verbs' own arguments stand with the verbs in [`crate::commands`].

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::commands::{
    audit, capture, chain, clean, completions, dc, demo, doctor, down, exec, graph, image, link, logs, pack,
    plan, ps, push, rm, sap, serve, services, stats, store, token, topology, up, validate,
};

/// Runs NFV service packages as containers on emulated data centers.
#[derive(Debug, Parser)]
#[command(
    name = "llcm",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage; `llcm exec` passes on the command's own.\n\
                  Environment: LLCM_SERVER and LLCM_TOKEN for client commands; every setting of `serve` as LLCM_<KEY>."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run the server.
    Serve(serve::Args),
    /// Upload a package.
    Push(push::Args),
    /// Upload a package (or take an uploaded one) and instantiate it.
    Up(up::Args),
    /// List instances, or show the containers and links of one.
    Ps(ps::Args),
    /// Terminate instances.
    Down(down::Args),
    /// Run a command in a container of an instance.
    Exec(exec::Args),
    /// List the service access points of an instance, or run a command at one.
    Sap(sap::Args),
    /// List links between data centers and change them while services run, at once or as a schedule says.
    Link(link::Args),
    /// List data centers, add and remove them while services run.
    Dc(dc::Args),
    /// Send frames between interfaces of an instance that match, list such chains, or remove them.
    Chain(chain::Args),
    /// Show what a container's own process wrote.
    Logs(logs::Args),
    /// Draw the data centers, the links between them and the instances on them.
    Graph(graph::Args),
    /// Show how much flowed at an instance's interfaces, or over the links between data centers.
    Stats(stats::Args),
    /// Show frames as they pass an interface of an instance, or a link, or write them to a file.
    Capture(capture::Args),
    /// List uploaded services.
    Services(services::Args),
    /// Remove uploaded services.
    Rm(rm::Args),
    /// Load, list and remove images of the embedded engine; needs no server.
    Image(image::Args),
    /// Show what instantiating a package would do; needs no server and no privileges.
    Plan(plan::Args),
    /// Check a package and print all findings; needs no server and no privileges.
    Validate(validate::Args),
    /// Make a package file of a directory with a manifest and descriptors.
    Pack(pack::Args),
    /// Check topology files, and make them of GraphML; needs no server and no privileges.
    Topology(topology::Args),
    /// Say what works on this machine, what does not and why, and what would help; needs no server.
    Doctor(doctor::Args),
    /// Check, repair, back up and restore the server's records; needs no server.
    Store(store::Args),
    /// Remove everything that a server has left on this machine, even when its records are lost; needs no server.
    Clean(clean::Args),
    /// Run a chain of three VNFs over two data centers and show its traffic.
    Demo(demo::Args),
    /// Make, list and remove the tokens that open a server; on the server's machine.
    Token(token::Args),
    /// Show who changed what.
    Audit(audit::Args),
    /// Print a completion script for a shell.
    Completions(completions::Args),
}

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// The option that all commands with a result have.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(crate) struct Output {
    /// How to write the result.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) output: Format,
}

impl Output {
    pub(crate) fn is_json(self) -> bool {
        self.output == Format::Json
    }
}

/// The option that all client commands have.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Connection {
    /// The server to talk to.
    #[arg(
        long,
        env = "LLCM_SERVER",
        hide_env_values = true,
        value_name = "URL",
        default_value = "http://127.0.0.1:5000"
    )]
    pub(crate) server: String,
    /// A file with the token to show; the variable LLCM_TOKEN holds the token itself.
    #[arg(long, env = "LLCM_TOKEN_FILE", hide_env_values = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The certificates (PEM) of authorities to trust, for an https:// server. [default: this machine's]
    #[arg(long, env = "LLCM_CA_FILE", hide_env_values = true, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
}

impl Connection {
    /// To a server of this machine that wants nothing.
    pub(crate) fn to(server: &str) -> Self {
        Self { server: server.to_owned(), token_file: None, ca_file: None }
    }
}
