//! What packages are read as: one test binary, because linking costs more than running.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

mod common;
mod corpus;
mod diagnostics;
mod properties;
mod scale;
mod services;
mod units;
