//! The ownership mark.

use serde::{Deserialize, Serialize};

use crate::ids::{InstallationId, InstanceId};
use crate::text::NameError;

/// Whose an object in an engine or a kernel is. Every object that is created carries this mark, and only
/// objects that carry it are ever removed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Owner {
    /// The installation, one per data directory.
    pub installation: InstallationId,
    /// The network service instance.
    pub instance: InstanceId,
}

impl Owner {
    /// The engine label with the installation's id.
    pub const LABEL_INSTALLATION: &str = "llcm.installation";
    /// The engine label with the instance's id.
    pub const LABEL_INSTANCE: &str = "llcm.instance";

    /// The mark as one word, `llcm:<installation>:<instance>`: what an interface's alias begins with.
    #[must_use]
    pub fn mark(&self) -> String {
        format!("llcm:{}:{}", self.installation, self.instance)
    }

    /// Parses what [`Owner::mark`] gives; what follows behind a further `:` is ignored.
    ///
    /// # Errors
    /// When the text is no mark.
    pub fn parse_mark(text: &str) -> Result<Self, NameError> {
        let mut parts = text.split(':');
        match (parts.next(), parts.next(), parts.next()) {
            (Some("llcm"), Some(installation), Some(instance)) => {
                Ok(Self { installation: InstallationId::parse(installation)?, instance: instance.parse()? })
            }
            _ => Err(NameError::new("ownership mark", "expected llcm:<installation>:<instance>", text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_back() {
        let owner = Owner {
            installation: InstallationId::from_bits(0xc0ffee),
            instance: "0123abcd-0000-4000-8000-000000000000".parse().unwrap(),
        };
        assert_eq!(owner.mark(), "llcm:00c0ffee:0123abcd-0000-4000-8000-000000000000");
        assert_eq!(Owner::parse_mark(&owner.mark()), Ok(owner.clone()));
        assert_eq!(Owner::parse_mark(&format!("{}:p1f", owner.mark())), Ok(owner));
        assert!(Owner::parse_mark("br-0a1b2c").is_err());
    }
}
