//! Engines that are slow, silent, newer than this driver, or that cut their answers in odd places: played by
//! a few lines that answer requests from a list.

#[cfg(test)]
mod play;

use std::time::{Duration, Instant};

use llcm_driver_docker::{Deadlines, DockerContainers, DockerOptions};
use llcm_runtime::{ContainerDriver, DriverResult, ErrorKind, ImageView, ProgressEvent, PullPolicy};

use play::{Act, Engine, Heard, ok, version};

const IMAGE: &str = r#"{"Id":"sha256:1","Config":{"Cmd":["/bin/sh"],"Entrypoint":null,"Env":null}}"#;
const ABSENT: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 27\r\n\r\n{\"message\":\"No such image\"}";

async fn connect(engine: &Engine) -> DriverResult<DockerContainers> {
    let mut options = DockerOptions::new(engine.socket(), engine.home().join("helper"));
    let (request, pull_silence) = (Duration::from_millis(300), Duration::from_millis(300));
    options.deadlines = Deadlines { request, pull_silence, ..Deadlines::default() };
    DockerContainers::connect(&options).await
}

/// Fetches an image from an engine that does not have it, and answers to the request for it like this.
async fn pull(acts: Vec<Act>) -> (DriverResult<ImageView>, Vec<ProgressEvent>) {
    let mut looks = vec![Act::Say(ABSENT.to_owned()), Act::Say(ok(IMAGE))].into_iter();
    let mut acts = Some(acts);
    let engine = Engine::start(move |request| match request {
        "GET /version" => version("1.41"),
        "POST /v1.41/images/create" => acts.take().expect("it is asked for once"),
        _ => vec![looks.next().expect("it is looked at twice")],
    });
    let heard = Heard::default();
    let driver = connect(&engine).await.expect("the version is answered");
    let image = driver.ensure_image("a/b:1", PullPolicy::IfMissing, &heard).await;
    (image, heard.events())
}

/// The older of both sides' versions is spoken.
#[tokio::test]
async fn versions_of_engines_do_not_matter() {
    for (api, spoken) in [("1.41", "/v1.41/"), ("1.44", "/v1.44/"), ("1.99", "/v1.53/")] {
        let engine = Engine::start(move |request| match request {
            "GET /version" => version(api),
            "GET /images/a/json" => vec![Act::Say(ok(IMAGE))],
            other if other.starts_with(&format!("GET {spoken}containers/mn.a/")) => {
                vec![Act::Say(ok(r#"{"Id":"0abc","Name":"/mn.a"}"#))]
            }
            other => panic!("{other} is not expected of API {api}"),
        });
        let driver = connect(&engine).await.unwrap();
        let image = driver.ensure_image("a", PullPolicy::Never, &()).await.unwrap();
        assert_eq!(image.command, ["/bin/sh"], "API {api}");
        let name = llcm_names::EngineName::parse("mn.a").unwrap();
        assert_eq!(driver.inspect(&name).await.unwrap().unwrap().id, "0abc", "API {api}");
    }
}

#[tokio::test]
async fn an_engine_that_does_not_answer_is_given_up() {
    let began = Instant::now();
    // Not a word; half a head; a head without the body it promises.
    for said in ["", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"] {
        let said = said.to_owned();
        let engine = Engine::start(move |_| vec![Act::Say(said.clone()), Act::Hang]);
        let error = connect(&engine).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        assert!(error.message.contains("did not answer within"), "{error}");
    }
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn an_engine_that_hangs_up_is_unavailable() {
    for said in ["", "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"] {
        let said = said.to_owned();
        let engine = Engine::start(move |_| vec![Act::Say(said.clone())]);
        let error = connect(&engine).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    }
}

#[tokio::test]
async fn progress_is_heard_wherever_the_messages_are_cut() {
    let messages = concat!(
        "{\"status\":\"Pulling from a/b\",\"id\":\"1\"}\r\n",
        "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":5,\"total\":10},\"id\":\"läyer\"}\r\n",
        "{\"status\":\"Status: Downloaded\"}\r\n",
    );
    for size in [1, 2, 3, 7, 40, 45, 200] {
        let mut acts = vec![Act::Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned())];
        for piece in messages.as_bytes().chunks(size) {
            acts.push(Act::Chunk(piece.to_vec()));
        }
        acts.push(Act::Chunk(Vec::new()));
        let (image, events) = pull(acts).await;
        assert_eq!(image.unwrap().id, "sha256:1", "pieces of {size}");
        let event = |subject: &str, status: &str, bytes| ProgressEvent {
            subject: subject.to_owned(),
            status: status.to_owned(),
            bytes,
        };
        let expected = [
            event("1", "Pulling from a/b", None),
            event("läyer", "Downloading", Some((5, 10))),
            event("a/b:1", "Status: Downloaded", None),
        ];
        assert_eq!(events, expected, "pieces of {size}");
    }
}

#[tokio::test]
async fn an_error_in_the_middle_of_a_pull_is_an_error() {
    let text = r#"{"errorDetail":{"message":"manifest for a/b:1 not found"},"error":"manifest"}"#;
    let (image, _) = pull(vec![Act::Say(ok(text))]).await;
    let error = image.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert_eq!(
        error.to_string(),
        "pull image a/b:1: manifest for a/b:1 not found; check the image's name and tag"
    );
}

#[tokio::test]
async fn a_pull_that_falls_silent_is_given_up() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let message = b"{\"status\":\"Waiting\"}\r\n".to_vec();
    let (image, events) = pull(vec![Act::Say(head.to_owned()), Act::Chunk(message), Act::Hang]).await;
    assert_eq!(image.unwrap_err().kind, ErrorKind::Unavailable);
    assert_eq!(events.len(), 1);
}
