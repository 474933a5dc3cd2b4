//! Data center names.

use serde::{Deserialize, Serialize};

use crate::text::{NameError, text_newtype};

/// The name of an emulated data center (point of presence): lower- or upper-case letters, digits, `_`, `.`
/// and `-`, beginning with a letter or digit, at most 64 bytes. It becomes part of a network namespace's
/// name, which is a file name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DcName(String);

text_newtype!(DcName);

impl DcName {
    /// Parses a data center's name.
    ///
    /// # Errors
    /// When the text breaks the rule above, or ends in `.ul`, which is what the underlay's namespace of a
    /// data center is called.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let fail = |rule| Err(NameError::new("data center name", rule, text));
        if text.is_empty() || text.len() > 64 {
            return fail("must be 1 to 64 bytes long");
        }
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-')) {
            return fail("may hold letters, digits, '_', '.' and '-' only");
        }
        if !text.as_bytes()[0].is_ascii_alphanumeric() {
            return fail("must begin with a letter or a digit");
        }
        if text.ends_with(".ul") {
            return fail("must not end in '.ul'");
        }
        Ok(Self(text.to_owned()))
    }
}
