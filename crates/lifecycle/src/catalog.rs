//! On-boarded services, as they are stored.

use std::collections::BTreeMap;

use llcm_descriptors::Descriptors;
use llcm_runtime::ImageView;
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
    /// What the engine said about its images at onboarding, by reference.
    pub images: BTreeMap<String, ImageView>,
}
