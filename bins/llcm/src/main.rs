//! The llcm program.
fn main() {}
