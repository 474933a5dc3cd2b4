//! The verbs, one a file.

pub(crate) mod audit;
pub(crate) mod capture;
pub(crate) mod chain;
pub(crate) mod clean;
pub(crate) mod completions;
pub(crate) mod dc;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod down;
pub(crate) mod exec;
pub(crate) mod graph;
pub(crate) mod image;
pub(crate) mod link;
pub(crate) mod logs;
mod offline;
pub(crate) mod pack;
mod place;
pub(crate) mod plan;
mod progress;
pub(crate) mod ps;
pub(crate) mod push;
pub(crate) mod rm;
pub(crate) mod sap;
pub(crate) mod serve;
pub(crate) mod services;
pub(crate) mod stats;
pub(crate) mod store;
pub(crate) mod token;
pub(crate) mod topology;
pub(crate) mod up;
pub(crate) mod validate;

use std::process::ExitCode;

use anyhow::Context as _;

use crate::cli::{Cli, Connection, Verb};
use crate::client::Client;

/// Does what the command line says.
///
/// # Errors
/// What went wrong, complete, for people.
pub(crate) fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.verb {
        Verb::Serve(args) => serve::run(args),
        Verb::Push(args) => {
            with_client(&args.connection.clone(), async |client| push::run(&client, &args).await)
        }
        Verb::Up(args) => with_client(&args.connection.clone(), async |client| up::run(&client, &args).await),
        Verb::Ps(args) => with_client(&args.connection.clone(), async |client| ps::run(&client, &args).await),
        Verb::Down(args) => {
            with_client(&args.connection.clone(), async |client| down::run(&client, &args).await)
        }
        Verb::Exec(args) => {
            with_client(&args.connection.clone(), async |client| exec::run(&client, &args).await)
        }
        Verb::Sap(args) => {
            with_client(&args.connection().clone(), async |client| sap::run(&client, &args).await)
        }
        Verb::Link(args) => {
            with_client(&args.connection().clone(), async |client| link::run(&client, args).await)
        }
        Verb::Dc(args) => {
            with_client(&args.connection().clone(), async |client| dc::run(&client, &args).await)
        }
        Verb::Chain(args) => {
            with_client(&args.connection().clone(), async |client| chain::run(&client, &args).await)
        }
        Verb::Stats(args) => {
            with_client(&args.connection.clone(), async |client| stats::run(&client, &args).await)
        }
        Verb::Capture(args) => {
            with_client(&args.connection.clone(), async |client| capture::run(&client, &args).await)
        }
        Verb::Logs(args) => {
            with_client(&args.connection.clone(), async |client| logs::run(&client, &args).await)
        }
        Verb::Services(args) => {
            with_client(&args.connection.clone(), async |client| services::run(&client, &args).await)
        }
        Verb::Rm(args) => with_client(&args.connection.clone(), async |client| rm::run(&client, &args).await),
        Verb::Image(args) => image::run(args),
        Verb::Plan(args) => plan::run(&args),
        Verb::Validate(args) => validate::run(&args),
        Verb::Pack(args) => pack::run(&args),
        Verb::Topology(args) => topology::run(&args),
        Verb::Graph(args) if args.topology.is_some() => graph::offline(&args),
        Verb::Graph(args) => {
            with_client(&args.connection.clone(), async |client| graph::run(&client, &args).await)
        }
        Verb::Doctor(args) => doctor::run(args),
        Verb::Store(args) => store::run(args),
        Verb::Clean(args) => clean::run(args),
        Verb::Demo(args) => demo::run(&args),
        Verb::Token(args) => token::run(args),
        Verb::Audit(args) => audit::run(&args),
        Verb::Completions(args) => completions::run(&args),
    }
}

/// Runs a client command: one thread is enough to wait for a server.
fn with_client(
    connection: &Connection,
    work: impl AsyncFnOnce(Client) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    let client = Client::new(connection)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let result = runtime.block_on(work(client));
    // What is still going on (a stream of events) belongs to nobody now.
    runtime.shutdown_background();
    result
}
