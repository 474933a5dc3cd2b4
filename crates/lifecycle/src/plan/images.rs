//! The images that a service needs.

use llcm_descriptors::{Descriptors, Diagnostic};
use serde::{Deserialize, Serialize};

use crate::settings::Settings;

/// The image of a deployment unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageNeed {
    /// The function.
    pub vnf_id: String,
    /// The unit.
    pub du_id: String,
    /// What the engine calls the image: the reference as given, or the tag it is built under.
    pub reference: String,
    /// The path within the package of the Dockerfile it is built from; `None`: it is pulled.
    pub dockerfile: Option<String>,
}

/// The images of all units, in starting order, repetitions included.
///
/// # Errors
/// When a unit's image is a Dockerfile and building is switched off.
#[expect(clippy::unimplemented, reason = "skeleton")]
pub fn images(descriptors: &Descriptors, settings: &Settings) -> Result<Vec<ImageNeed>, Vec<Diagnostic>> {
    let _ = (descriptors, settings);
    unimplemented!()
}
