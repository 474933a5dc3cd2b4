//! The dialect's JSON.

use llcm_lifecycle::request::{RequestView, ServiceView};
use llcm_names::{InstanceId, ServiceId};
use serde::Serialize;

/// All services, oldest first.
#[derive(Debug, Serialize)]
pub(super) struct Packages {
    service_uuid_list: Vec<ServiceId>,
}

impl From<Vec<ServiceView>> for Packages {
    fn from(services: Vec<ServiceView>) -> Self {
        Self { service_uuid_list: services.into_iter().map(|service| service.id).collect() }
    }
}

/// The reply to an instantiation.
#[derive(Debug, Serialize)]
pub(super) struct Instantiated {
    service_instance_uuid: InstanceId,
}

impl From<RequestView> for Instantiated {
    fn from(request: RequestView) -> Self {
        Self { service_instance_uuid: request.instance_id }
    }
}

/// The instances of each service, in the order of the services; a service without instances has an empty list.
#[derive(Debug, Serialize)]
pub(super) struct Instances {
    service_instantiations_list: Vec<Vec<InstanceId>>,
}

impl From<Vec<ServiceView>> for Instances {
    fn from(services: Vec<ServiceView>) -> Self {
        let lists = services.into_iter().map(|service| service.instances).collect();
        Self { service_instantiations_list: lists }
    }
}
