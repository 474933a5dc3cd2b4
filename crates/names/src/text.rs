//! What the parsers of this crate share: the error and the plumbing of text newtypes.

use thiserror::Error;

/// A text that is not a valid name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{kind} {got:?} is not valid: {rule}")]
pub struct NameError {
    /// The kind of name that was expected, in the field's words ("interface name").
    pub kind: &'static str,
    /// The rule that the text breaks.
    pub rule: &'static str,
    /// The text as given, cut to 80 characters.
    pub got: String,
}

impl NameError {
    pub(crate) fn new(kind: &'static str, rule: &'static str, got: &str) -> Self {
        Self { kind, rule, got: got.chars().take(80).collect() }
    }
}

/// Gives a text newtype its accessors, `Display`, `FromStr` and a serde form that goes through the parser.
/// The type brings `fn parse(&str) -> Result<Self, NameError>`.
macro_rules! text_newtype {
    ($name:ident) => {
        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::NameError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::NameError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}
pub(crate) use text_newtype;
