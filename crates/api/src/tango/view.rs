//! The dialect's JSON.

use llcm_descriptors::Triple;
use llcm_lifecycle::request::{
    FunctionView, InstanceState, InstanceView, RequestStatus, RequestType, RequestView, ServiceView,
};
use llcm_names::{FunctionId, InstanceId, RequestId, ServiceId};
use serde::Serialize;

use crate::moment::Moment;

/// What every list calls the platform that a descriptor is for.
const PLATFORM: &str = "5gtango";

#[derive(Debug, Serialize)]
pub(super) struct Identity {
    name: String,
    version: String,
}

impl From<Triple> for Identity {
    fn from(Triple { vendor: _, name, version }: Triple) -> Self {
        Self { name, version }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Package {
    uuid: ServiceId,
    pd: Identity,
    created_at: Moment,
}

impl From<ServiceView> for Package {
    fn from(service: ServiceView) -> Self {
        let ServiceView { id, package, created_at, .. } = service;
        Self { uuid: id, pd: package.id.into(), created_at: created_at.into() }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Service {
    uuid: ServiceId,
    nsd: Identity,
    created_at: Moment,
    platform: &'static str,
}

impl From<ServiceView> for Service {
    fn from(service: ServiceView) -> Self {
        let ServiceView { id, nsd, created_at, .. } = service;
        Self { uuid: id, nsd: nsd.into(), created_at: created_at.into(), platform: PLATFORM }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Function {
    uuid: FunctionId,
    vnfd: Identity,
    created_at: Moment,
    platform: &'static str,
}

impl From<FunctionView> for Function {
    fn from(function: FunctionView) -> Self {
        let FunctionView { id, vnfd, created_at, vnf_ids: _ } = function;
        Self { uuid: id, vnfd: vnfd.into(), created_at: created_at.into(), platform: PLATFORM }
    }
}

/// The reply to an instantiation.
#[derive(Debug, Serialize)]
pub(super) struct Instantiated {
    service_instance_uuid: InstanceId,
    id: RequestId,
}

impl From<RequestView> for Instantiated {
    fn from(request: RequestView) -> Self {
        Self { service_instance_uuid: request.instance_id, id: request.id }
    }
}

/// The reply to a termination through `/requests`.
#[derive(Debug, Serialize)]
pub(super) struct Terminated {
    id: RequestId,
}

impl From<RequestView> for Terminated {
    fn from(request: RequestView) -> Self {
        Self { id: request.id }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Instance {
    uuid: InstanceId,
    service_uuid: ServiceId,
    instance_name: String,
    status: InstanceState,
    created_at: Moment,
}

impl From<InstanceView> for Instance {
    fn from(instance: InstanceView) -> Self {
        let InstanceView { id, service_id, name, state, created_at, .. } = instance;
        Self {
            uuid: id,
            service_uuid: service_id,
            instance_name: name,
            status: state,
            created_at: created_at.into(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Request {
    id: RequestId,
    request_type: RequestType,
    status: RequestStatus,
    created_at: Moment,
    instance_uuid: InstanceId,
    service_uuid: ServiceId,
}

impl From<RequestView> for Request {
    fn from(request: RequestView) -> Self {
        let RequestView { id, request_type, status, created_at, instance_id, service_id, error: _ } = request;
        Self {
            id,
            request_type,
            status,
            created_at: created_at.into(),
            instance_uuid: instance_id,
            service_uuid: service_id,
        }
    }
}
