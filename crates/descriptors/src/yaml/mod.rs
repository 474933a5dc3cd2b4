//! YAML as the author wrote it: a tree that knows the place of every value.
//!
//! The parser is the one inside `serde-saphyr`; its event stream is read here rather than its serde layer,
//! because serde stops at the first value of a wrong type, while all findings of a package come together; and
//! because a duplicate key, the text of a number (`0.10` stays `0.10`) and the size of what aliases stand for
//! are known at this level only.

mod compose;
mod node;
mod reader;

pub(crate) use compose::compose;
pub(crate) use node::{Kind, Node};
pub(crate) use reader::{Field, Findings, cut};
