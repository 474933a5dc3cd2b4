//! An image to be taken in place of another one.

use std::str::FromStr;

/// `NAME=IMAGE`: where a package asks for the first, the embedded engine runs the second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageMapping {
    /// What packages ask for.
    pub(crate) asked: String,
    /// What is run.
    pub(crate) taken: String,
}

impl FromStr for ImageMapping {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=').map(|(asked, taken)| (asked.trim(), taken.trim())) {
            Some((asked, taken)) if !asked.is_empty() && !taken.is_empty() => {
                Ok(Self { asked: asked.to_owned(), taken: taken.to_owned() })
            }
            _ => Err("expected NAME=IMAGE (ubuntu:trusty=host)".to_owned()),
        }
    }
}
