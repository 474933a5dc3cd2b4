//! Benchmarks: `scripts/bench [NAME]...` builds all in release mode and runs this program in a network
//! namespace without uplink, with a private container engine in it.
//!
//! Each benchmark prints what it was measured against and a ratio from the same run, because absolute times
//! of shared machines mean little.
#![expect(clippy::print_stdout, reason = "a program that prints figures")]

mod instantiate;
mod requests;
mod server;
mod services;
mod start;
mod stats;
mod upload;

use anyhow::{Result, bail};

const ALL: [&str; 5] = ["start", "upload", "plan", "requests", "instantiate"];

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let asked: Vec<String> = std::env::args().skip(1).collect();
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
            other => bail!("no benchmark {other:?}: there are {}", ALL.join(", ")),
        }
    }
    Ok(())
}
