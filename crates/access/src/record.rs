//! Lines of the audit log, and what they come to.
//!
//! A request makes two: one before anything is done, which says who asks for what, and one before the reply, which
//! says what came of it. Where the path does not tell what is asked for, and knowing it afterwards would be too late,
//! one in between does. None holds a body, a query, a header or a token's secret.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The longest path that is kept, in characters; paths come from clients.
const LONGEST_PATH: usize = 256;

/// What a line says before anything is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beginning {
    /// When (RFC 3339, UTC, milliseconds).
    pub at: String,
    /// The address listened on; `None`: a command of this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener: Option<String>,
    /// The dialect spoken there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialect: Option<String>,
    /// Where the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Who: `token:NAME`, `loopback` (no token was asked for), or `user:UID` of a command.
    pub by: String,
    /// The method, or `CLI`.
    pub method: String,
    /// The route as documented (`/api/llcm/v1/instances/{id}`), or the command (`token create`).
    pub route: String,
    /// The path asked for, without the query, cut after 256 characters; or what the command was about.
    pub path: String,
}

impl Beginning {
    /// With the path cut to what is kept.
    #[must_use]
    pub fn trimmed(mut self) -> Self {
        if self.path.chars().count() > LONGEST_PATH {
            self.path = self.path.chars().take(LONGEST_PATH).chain(['…']).collect();
        }
        self
    }
}

/// What a line says when something is done, before it is acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct End {
    /// When (RFC 3339, UTC, milliseconds).
    pub at: String,
    /// The reply's status; of a command 200 or 500; `None`: the client was gone before there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The code of an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What it was about: `instance`, `service`, `request`, `container`, `token`, `chain`, `interface`, `link`, each with
    /// its ids.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub objects: BTreeMap<String, Vec<String>>,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "lowercase")]
pub enum Record {
    /// Before anything is done.
    Begin {
        /// What the line of the end is known by.
        id: String,
        /// Who asks for what.
        #[serde(flatten)]
        beginning: Beginning,
    },
    /// When it is clear what it is about, before that is done.
    About {
        /// As in the line of the beginning.
        id: String,
        /// As in the line of the end.
        objects: BTreeMap<String, Vec<String>>,
    },
    /// When it is done.
    End {
        /// As in the line of the beginning.
        id: String,
        /// What came of it.
        #[serde(flatten)]
        end: End,
    },
}

/// Something that was asked for, with what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its id in the log.
    pub id: String,
    /// Who asked for what.
    #[serde(flatten)]
    pub beginning: Beginning,
    /// When it was done; `None`: it is not, or nobody knows.
    pub ended_at: Option<String>,
    /// The reply's status.
    pub status: Option<u16>,
    /// The code of an error.
    pub code: Option<String>,
    /// What it was about.
    pub objects: BTreeMap<String, Vec<String>>,
}

impl Event {
    pub(crate) fn begun(id: String, beginning: Beginning) -> Self {
        Self { id, beginning, ended_at: None, status: None, code: None, objects: BTreeMap::new() }
    }

    pub(crate) fn ended(mut self, end: End) -> Self {
        let End { at, status, code, objects } = end;
        self.objects.extend(objects);
        Self { ended_at: Some(at), status, code, ..self }
    }

    /// Whether it is about an object of that id: named by it, or by the path that was asked for. The first eight
    /// characters of an id do, or more of them.
    #[must_use]
    pub fn is_about(&self, id: &str) -> bool {
        let same = |known: &str| known == id || (id.len() >= 8 && known.starts_with(id));
        self.objects.values().flatten().any(|known| same(known)) || self.beginning.path.split('/').any(same)
    }
}
