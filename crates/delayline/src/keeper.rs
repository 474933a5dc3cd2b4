//! Who moves the frames.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use crate::Impairment;
use crate::client::Client;
use crate::error::LineError;
use crate::helper::Helper;
use crate::lines::{LineView, Lines};

/// Who moves the frames: threads of this program, or a process that outlives it.
#[derive(Debug)]
pub struct Keeper(Kind);

#[derive(Debug)]
enum Kind {
    Here(Lines),
    Elsewhere(Client),
}

impl Keeper {
    /// Threads of this program: frames stop when it ends.
    ///
    /// # Errors
    /// As [`Lines::start`].
    pub fn here() -> Result<Self, LineError> {
        Lines::start().map(|lines| Self(Kind::Here(lines)))
    }

    /// A process with a socket at the given path, in a directory of the program's own. It is started when the first link
    /// is put, if it does not run since an earlier start.
    #[must_use]
    pub fn elsewhere(helper: Helper, socket: PathBuf) -> Self {
        Self(Kind::Elsewhere(Client::new(helper, socket)))
    }

    /// As [`Lines::put`].
    ///
    /// # Errors
    /// Likewise, and when the helper cannot be started or does not answer.
    pub fn put(&self, name: &str, taps: [OwnedFd; 2], impairments: [Impairment; 2]) -> Result<(), LineError> {
        match &self.0 {
            Kind::Here(lines) => lines.put(name, taps, impairments),
            Kind::Elsewhere(client) => client.put(name, taps, impairments),
        }
    }

    /// As [`Lines::set`].
    ///
    /// # Errors
    /// Likewise, and when the helper does not answer.
    pub fn set(&self, name: &str, impairments: [Impairment; 2]) -> Result<(), LineError> {
        match &self.0 {
            Kind::Here(lines) => lines.set(name, impairments),
            Kind::Elsewhere(client) => client.set(name, impairments),
        }
    }

    /// As [`Lines::remove`].
    ///
    /// # Errors
    /// Likewise, and when the helper does not answer.
    pub fn remove(&self, name: &str) -> Result<(), LineError> {
        match &self.0 {
            Kind::Here(lines) => lines.remove(name),
            Kind::Elsewhere(client) => client.remove(name),
        }
    }

    /// The links whose frames are moved. Of a helper, also those that an earlier start of this program has put.
    ///
    /// # Errors
    /// As [`Lines::list`], and when the helper does not answer.
    pub fn list(&self) -> Result<Vec<LineView>, LineError> {
        match &self.0 {
            Kind::Here(lines) => lines.list(),
            Kind::Elsewhere(client) => client.list(),
        }
    }

    /// Waits until the helper has ended, and with it all links; at once when none runs. `false`: it is this program, which
    /// does not end.
    ///
    /// # Errors
    /// When it cannot be known.
    pub fn wait_for_end(&self) -> Result<bool, LineError> {
        match &self.0 {
            Kind::Here(_) => Ok(false),
            Kind::Elsewhere(client) => client.wait_for_end().map(|()| true),
        }
    }
}
