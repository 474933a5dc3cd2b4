//! On-boarded services, as they are stored.

use std::collections::BTreeMap;

use llcm_descriptors::Descriptors;
use llcm_runtime::{EngineId, ImageView};
use serde::{Deserialize, Serialize};

use crate::plan::Reserved;
use crate::request::ServiceView;

/// An on-boarded service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceRecord {
    /// What clients see, without the instances.
    pub view: ServiceView,
    /// What its package describes.
    pub descriptors: Descriptors,
    /// The subnets it holds until it is removed; none in dialect `sonata`.
    pub reserved: Reserved,
    /// What was said about its images at onboarding, by reference: by the first engine that has the image, the
    /// default one before others.
    pub images: BTreeMap<String, ImageView>,
    /// The same by engine; empty in records from before there could be several.
    #[serde(default)]
    pub engine_images: BTreeMap<EngineId, BTreeMap<String, ImageView>>,
}

impl ServiceRecord {
    /// What is known of an image in an engine: what that one said at onboarding, or, where it did not have the
    /// image then, what another one said of it.
    #[must_use]
    pub fn image(&self, engine: &EngineId, reference: &str) -> Option<&ImageView> {
        let own = self.engine_images.get(engine).and_then(|images| images.get(reference));
        own.or_else(|| self.images.get(reference))
    }

    /// The id that an image had in an engine at onboarding; `None`: the engine did not have it. Ids of one engine
    /// say nothing about another's.
    #[must_use]
    pub fn image_id(&self, engine: &EngineId, reference: &str) -> Option<&str> {
        let images =
            if self.engine_images.is_empty() { Some(&self.images) } else { self.engine_images.get(engine) };
        images?.get(reference).map(|image| image.id.as_str())
    }
}
