//! The OpenAPI document: served, and true also of what no reply of another test holds.

use actix_web::test::{TestRequest, call_and_read_body_json, init_service};
use actix_web::{App, web};
use llcm_api::native::view::{Container, Request, Script};
use llcm_api::{Moment, OutputLine, configure, openapi};
use llcm_lifecycle::Timestamp;
use llcm_lifecycle::request::{
    Event, InstanceState, LinkStatus, ManagementStatus, RequestStatus, RequestType,
};
use llcm_names::{ContainerName, DcName, EngineName, InstanceId, RequestId, ServiceId};
use llcm_runtime::{ContainerState, OutputStream, ProgressEvent};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::common::Server;
use crate::conform::conforms;

#[tokio::test]
async fn it_is_served_and_tells_where_the_routes_are_mounted() {
    let server = Server::start().await;
    assert_eq!(server.get(openapi::PATH).await, openapi::document());
    assert_eq!(openapi::document().get("servers"), None);

    let state = server.state.clone();
    let scope = web::scope("/nfv").configure(|config| configure(config, state));
    let app = init_service(App::new().service(scope)).await;
    let request = TestRequest::get().uri("/nfv/api/openapi.json").to_request();
    let mut document: Value = call_and_read_body_json(&app, request).await;
    let servers = document.as_object_mut().unwrap().remove("servers");
    assert_eq!((servers, document), (Some(json!([{ "url": "/nfv" }])), openapi::document()));
}

fn holds(value: impl Serialize, name: &str) {
    let value = serde_json::to_value(value).unwrap();
    conforms(&value, name).unwrap_or_else(|problem| panic!("{value}: {problem}"));
}

#[test]
fn containers_scripts_and_links_in_all_their_states() {
    let moment = Moment(Timestamp(1_700_000_000_000));
    let running = Script {
        phase: "start".to_owned(),
        command: "./start.sh".to_owned(),
        started_at: moment,
        ended_at: None,
        exit_code: None,
        output: String::new(),
        error: None,
    };
    let ended =
        Script { phase: "stop".to_owned(), ended_at: Some(moment), exit_code: Some(1), ..running.clone() };
    let given_up = Script { error: Some("it took too long".to_owned()), ..ended.clone() };
    let exited = |code| ContainerState::Exited { code };
    for state in [
        None,
        Some(ContainerState::Created),
        Some(ContainerState::Running),
        Some(ContainerState::Paused),
        Some(ContainerState::Damaged),
        Some(exited(None)),
        Some(exited(Some(137))),
    ] {
        holds(
            Container {
                name: ContainerName::parse("vnf0.vdu01.0").unwrap(),
                engine_name: EngineName::parse("mn.vnf0.vdu01.0").unwrap(),
                vnf_id: "vnf0".to_owned(),
                du_id: "vdu01".to_owned(),
                datacenter: DcName::parse("dc1").unwrap(),
                image: "llcm-test:latest".to_owned(),
                state,
                ports: vec!["8088:80/tcp".to_owned()],
                interfaces: [("mgmt".to_owned(), vec!["30.0.0.1/24".to_owned()])].into(),
                management: state.map(|state| ManagementStatus {
                    interface: "oam".to_owned(),
                    address: (state == ContainerState::Running).then(|| "172.17.0.2".to_owned()),
                }),
                scripts: vec![running.clone(), ended.clone(), given_up.clone()],
            },
            "Container",
        );
    }
    for kind in ["E-Line", "E-LAN", "E-Tree"] {
        let (id, subnet) = ("mgmt".to_owned(), "30.0.0.0/24".to_owned());
        holds(LinkStatus { id, kind: kind.to_owned(), subnet, ends: vec!["a.b.0:c".to_owned()] }, "Link");
    }
}

#[test]
fn events_and_lines_of_output_of_all_kinds() {
    let instance = InstanceId::new(Uuid::from_u128(1));
    for bytes in [None, Some((1, 2))] {
        let (subject, status) = ("alpine".to_owned(), "Downloading".to_owned());
        holds(Event::Image { progress: ProgressEvent { subject, status, bytes } }, "Event");
    }
    holds(Event::Step { instance, step: "create a".to_owned(), progress: (1, 2) }, "Event");
    for state in [
        InstanceState::Planned,
        InstanceState::Creating,
        InstanceState::Running,
        InstanceState::Degraded,
        InstanceState::Terminating,
        InstanceState::Unwinding,
        InstanceState::Stuck,
        InstanceState::Terminated,
        InstanceState::Failed,
    ] {
        holds(Event::State { instance, state }, "Event");
    }
    for state in [None, Some(ContainerState::Paused), Some(ContainerState::Exited { code: Some(1) })] {
        let container = EngineName::parse("mn.vnf0.vdu01.0").unwrap();
        holds(Event::Container { instance, container, state }, "Event");
    }
    holds(Event::Topology { change: "link x: down".to_owned() }, "Event");
    holds(json!({ "event": "missed", "count": 3 }), "Event");
    for stream in [OutputStream::Stdout, OutputStream::Stderr] {
        holds(OutputLine::Output { stream, data: "AP8K".to_owned() }, "OutputLine");
    }
    holds(OutputLine::Failed { error: "no".to_owned(), code: "stuck".to_owned() }, "OutputLine");
    for exit_code in [None, Some(0)] {
        holds(OutputLine::Ended { exit_code }, "OutputLine");
    }
}

#[test]
fn requests_of_all_kinds_in_all_states() {
    for request_type in [RequestType::Create, RequestType::Terminate] {
        for status in [
            RequestStatus::New,
            RequestStatus::Instantiating,
            RequestStatus::Terminating,
            RequestStatus::Ready,
            RequestStatus::Error,
        ] {
            for error in [None, Some("it broke".to_owned())] {
                holds(
                    Request {
                        id: RequestId::new(Uuid::nil()),
                        request_type,
                        status,
                        created_at: Moment(Timestamp(0)),
                        instance_id: InstanceId::new(Uuid::nil()),
                        service_id: ServiceId::new(Uuid::nil()),
                        error,
                    },
                    "Request",
                );
            }
        }
    }
}

/// The validator itself: what it must not let pass.
#[test]
fn what_is_not_described_does_not_conform() {
    for (value, name) in [
        (json!({ "status": "fine" }), "Health"),
        (json!({}), "Health"),
        (json!({ "status": "ok", "more": 1 }), "Health"),
        (json!({ "exit_code": "0" }), "OutputLine"),
        (json!({ "exit_code": 0, "stream": "stdout" }), "OutputLine"),
        (json!({ "event": "state", "instance": "x", "state": "running" }), "Event"),
        (json!({ "event": "step", "instance": Uuid::nil(), "step": "a", "progress": [1] }), "Event"),
        (json!({ "error": "a", "code": "no-such-code", "details": {} }), "Error"),
        (json!({ "error": "a", "code": "stuck", "details": { "limit": "1" } }), "Error"),
        (json!({ "argv": ["a"], "environment": { "A": 1 } }), "Command"),
        (json!({ "status": "ok" }), "NoSuchSchema"),
    ] {
        assert!(conforms(&value, name).is_err(), "{value} as {name}");
    }
}
