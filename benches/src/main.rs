//! Benchmarks: `scripts/bench [NAME]...` builds all in release mode and runs this program in a network
//! namespace without uplink, with a private container engine in it.
//!
//! Each benchmark prints what it was measured against and a ratio from the same run, because absolute times
//! of shared machines mean little.
#![expect(clippy::print_stdout, reason = "a program that prints figures")]

mod alive;
mod bare;
mod embedded;
mod engine;
mod instantiate;
mod network;
mod requests;
mod restart;
mod server;
mod services;
mod start;
mod stats;
mod upload;

use std::process::ExitCode;

use anyhow::{Result, bail};

const ALL: [&str; 10] = [
    "start",
    "upload",
    "plan",
    "requests",
    "instantiate",
    "engine",
    "alive",
    "restart",
    "network-scale",
    "network-throughput",
];

fn main() -> Result<ExitCode> {
    // The embedded engine's helper is this program: before it has threads.
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.next_if(|it| it == "engine-init").is_some() {
        return Ok(llcm_engine::helper::main(arguments));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run(std::env::args().skip(1).collect()))?;
    Ok(ExitCode::SUCCESS)
}

async fn run(asked: Vec<String>) -> Result<()> {
    let names: Vec<&str> =
        if asked.is_empty() { ALL.to_vec() } else { asked.iter().map(String::as_str).collect() };
    println!("{}", stats::machine());
    for name in names {
        println!("\n== {name}");
        match name {
            "start" => start::run().await?,
            "upload" => upload::run().await?,
            "plan" => services::plan()?,
            "requests" => requests::run().await?,
            "instantiate" => instantiate::run().await?,
            "engine" => engine::run().await?,
            "alive" => alive::run().await?,
            "restart" => restart::run().await?,
            "network-accuracy" => network::accuracy::run().await?,
            "network-scale" => network::scale::run().await?,
            "network-throughput" => network::throughput::run().await?,
            other => bail!("no benchmark {other:?}: there are {}", ALL.join(", ")),
        }
    }
    Ok(())
}
