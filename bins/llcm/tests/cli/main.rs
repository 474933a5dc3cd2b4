//! The program as its users run it: arguments in, text, exit codes and files out.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "the helpers of tests may panic as tests may, and say what is left out"
)]

mod access;
mod browser;
mod capture;
mod certificates;
mod chains;
mod demo;
mod dialects;
mod doctor;
mod fake;
mod full;
mod help;
mod image;
mod links;
mod load;
mod offline;
mod run;
mod server;
mod store;
mod tools;
mod topology;
