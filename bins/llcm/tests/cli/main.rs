//! The program as its users run it: arguments in, text, exit codes and files out.

mod help;
mod offline;
mod run;
mod server;
