//! What is refused before anything starts, because this engine cannot do it: see [`crate::Powers`].

use std::path::Path;

use super::Engine;
use crate::error::EngineError;
use crate::helper::user::look_up_in;
use crate::image::Image;
use crate::image::accounts::text_in;
use crate::process::Process;
use crate::spec::Spec;

impl Engine {
    /// Refuses limits and users that are not possible here.
    ///
    /// # Errors
    /// `Invalid` with what to do.
    pub(super) fn admit(&self, spec: &Spec, image: &Image) -> Result<(), EngineError> {
        self.powers.check(spec)?;
        if self.ids.are_whole() {
            return Ok(());
        }
        let user = spec.user.as_ref().unwrap_or(&image.config.user);
        let text = |path: &str| text_in(&self.images.layers_dir(), &image.layers, Path::new(path));
        match look_up_in(user, &text("etc/passwd"), &text("etc/group")) {
            Ok(identity) => self.ids.check(user, identity.uid, identity.gid),
            // A bind may bring the users: starting tells, and refuses those that are not possible as well.
            Err(_) => Ok(()),
        }
    }
}

/// Whether a process is in a user namespace that this program has no rights in: its own was lost with the process
/// that held it, and the next program got another one. Such a process can be signalled, and nothing else.
pub(super) fn is_out_of_reach(process: &Process) -> bool {
    let looked = std::fs::metadata(format!("/proc/{}/ns/user", process.id.pid));
    looked.is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
}
