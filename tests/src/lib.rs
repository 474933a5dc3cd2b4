//! Tests that cross crates.
//!
//! `contract/` runs the contract suite on pairs of real drivers. `e2e/` runs the whole program from the
//! outside; it is a test of package `llcm`, so that it finds the program.
