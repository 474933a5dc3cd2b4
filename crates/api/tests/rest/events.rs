//! The events, as they come.

use std::pin::Pin;
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody as _};
use actix_web::test::{self, TestRequest};
use actix_web::{App, http};
use futures_util::future::poll_fn;
use llcm_api::configure;
use llcm_lifecycle::request::{Event, InstanceState};
use llcm_runtime::ContainerState;
use llcm_testkit::demo_chain;
use tokio::time::Instant;

use crate::common::Server;

/// The events that follow one another from now on.
struct Watch(BoxBody);

impl Watch {
    async fn of(server: &Server) -> Self {
        let state = server.state.clone();
        let app = test::init_service(App::new().configure(|config| configure(config, state))).await;
        let request = TestRequest::get().uri("/api/llcm/v1/events").to_request();
        let response = test::call_service(&app, request).await;
        assert_eq!(response.headers().get(http::header::CONTENT_TYPE).unwrap(), "application/x-ndjson");
        Self(response.into_body().boxed())
    }

    /// The next line, without its end; `None` after the last.
    async fn line(&mut self) -> Option<String> {
        let line = poll_fn(|cx| Pin::new(&mut self.0).poll_next(cx)).await?.unwrap();
        let line = String::from_utf8(line.to_vec()).unwrap();
        Some(line.strip_suffix('\n').expect("one line at a time").to_owned())
    }
}

#[tokio::test]
async fn what_happens_is_told_as_it_happens() {
    let server = Server::start().await;
    server.post("/packages", demo_chain().build()).await;
    let mut watch = Watch::of(&server).await;
    assert_eq!(server.post("/instantiations", "{}").await.status, 201);
    let (mut states, mut steps, mut started) = (Vec::new(), 0, 0);
    while states.last() != Some(&InstanceState::Running) {
        match serde_json::from_str(&watch.line().await.unwrap()).unwrap() {
            Event::State { state, .. } => states.push(state),
            Event::Step { step, progress: (done, all), .. } => {
                assert!(done <= all && !step.is_empty());
                steps += 1;
            }
            Event::Container { state, .. } => {
                assert_eq!(state, Some(ContainerState::Running));
                started += 1;
            }
            Event::Image { .. } | Event::Topology { .. } => {}
        }
    }
    assert!(states.contains(&InstanceState::Creating), "{states:?}");
    assert_eq!(started, 3, "containers that were told to run");
    assert!(steps >= 9, "three containers are created, started and attached: {steps}");
}

#[tokio::test(start_paused = true)]
async fn an_empty_line_every_15_seconds_and_an_end_with_the_server() {
    let server = Server::start().await;
    let mut watch = Watch::of(&server).await;
    for _ in 0..3 {
        let begun = Instant::now();
        assert_eq!(watch.line().await.as_deref(), Some(""));
        let waited = begun.elapsed();
        assert!(waited.abs_diff(Duration::from_secs(15)) < Duration::from_millis(100), "{waited:?}");
    }
    server.state.closing().cancel();
    assert_eq!(watch.line().await, None);
}
