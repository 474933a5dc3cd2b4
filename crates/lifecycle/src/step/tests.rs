//! Order of steps and of undoing them.
