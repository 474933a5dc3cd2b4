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

/// For engines that answer, and for those that fall silent.
const PATIENT: Duration = Duration::from_secs(30);
const IMPATIENT: Duration = Duration::from_secs(1);

async fn connect(engine: &Engine) -> DriverResult<DockerContainers> {
    connect_within(engine, PATIENT, PATIENT).await
}

async fn connect_within(
    engine: &Engine,
    request: Duration,
    pull_silence: Duration,
) -> DriverResult<DockerContainers> {
    let mut options = DockerOptions::new(engine.socket(), engine.home().join("helper"));
    options.deadlines = Deadlines { request, pull_silence, ..Deadlines::default() };
    DockerContainers::connect(&options).await
}

/// Fetches an image from an engine that does not have it, and answers to the request for it like this.
async fn pull(acts: Vec<Act>) -> (DriverResult<ImageView>, Vec<ProgressEvent>) {
    pull_within(PATIENT, acts).await
}

async fn pull_within(silence: Duration, acts: Vec<Act>) -> (DriverResult<ImageView>, Vec<ProgressEvent>) {
    let mut looks = vec![Act::Say(ABSENT.to_owned()), Act::Say(ok(IMAGE))].into_iter();
    let mut acts = Some(acts);
    let engine = Engine::start(move |request| match request {
        "GET /version" => version("1.41"),
        "POST /v1.41/images/create" => acts.take().expect("it is asked for once"),
        _ => vec![looks.next().expect("it is looked at twice")],
    });
    let heard = Heard::default();
    let driver = connect_within(&engine, PATIENT, silence).await.expect("the version is answered");
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
        let error = connect_within(&engine, IMPATIENT, IMPATIENT).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        assert!(error.message.contains("did not answer within"), "{error}");
    }
    assert!(began.elapsed() < PATIENT);
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
    let (image, events) =
        pull_within(IMPATIENT, vec![Act::Say(head.to_owned()), Act::Chunk(message), Act::Hang]).await;
    assert_eq!(image.unwrap_err().kind, ErrorKind::Unavailable);
    assert_eq!(events.len(), 1);
}

const ID: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const CONFIG: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// An archive as `docker save` makes it, as far as anybody looks.
fn archive(config: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let manifest = format!(r#"[{{"Config":"{config}","RepoTags":["a:1"],"Layers":[]}}]"#);
    let layer = vec![7; 100_000];
    for (name, contents) in [("blobs/sha256/x", layer.as_slice()), ("manifest.json", manifest.as_bytes())] {
        let mut header = tar::Header::new_gnu();
        header.set_size(contents.len() as u64);
        builder.append_data(&mut header, name, contents).expect("it is in memory");
    }
    builder.into_inner().expect("it is in memory")
}

/// An engine with one image, kept by containerd or not, that saves it like this.
fn with_image(containerd: bool, save: impl Fn() -> Vec<Act> + Send + 'static) -> Engine {
    let status = if containerd { r#"[["driver-type","io.containerd.snapshotter.v1"]]"# } else { "[]" };
    Engine::start(move |request| match request {
        "GET /version" => version("1.41"),
        "GET /images/a/json" => vec![Act::Say(ok(&format!(r#"{{"Id":"{ID}","Size":5}}"#)))],
        "GET /info" => vec![Act::Say(ok(&format!(r#"{{"DriverStatus":{status}}}"#)))],
        "GET /v1.41/images/a/get" => save(),
        _ => vec![Act::Say(ABSENT.to_owned())],
    })
}

fn chunks(bytes: &[u8]) -> Vec<Act> {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
    let pieces = bytes.chunks(10_000).map(|piece| Act::Chunk(piece.to_vec()));
    [Act::Say(head)].into_iter().chain(pieces).collect()
}

/// Where containerd keeps the images, an id is that of a manifest: the archive knows better.
#[tokio::test]
async fn an_images_digest_is_that_of_its_configuration() {
    let engine = with_image(false, || panic!("the id is the digest"));
    let driver = connect(&engine).await.unwrap();
    assert_eq!(driver.image_digest("a").await.unwrap().as_deref(), Some(ID));
    assert_eq!(driver.image_digest("b").await.unwrap(), None);
    assert_eq!(driver.image_digest("../info").await.unwrap_err().kind, ErrorKind::Invalid);
    for config in [format!("blobs/sha256/{CONFIG}"), format!("{CONFIG}.json")] {
        let left = std::sync::atomic::AtomicBool::new(true);
        let engine = with_image(true, move || {
            assert!(left.swap(false, std::sync::atomic::Ordering::Relaxed), "once is enough");
            chunks(&archive(&config)).into_iter().chain([Act::Chunk(Vec::new())]).collect()
        });
        let driver = connect(&engine).await.unwrap();
        for _ in 0..2 {
            assert_eq!(driver.image_digest("a").await.unwrap(), Some(format!("sha256:{CONFIG}")));
        }
    }
    for (bytes, expected) in [
        (archive("config.json"), "is not named by a digest"),
        (archive("manifest"), "is not named by a digest"),
        (vec![0; 1024], "no manifest.json"),
        (b"nothing of the kind".to_vec(), "cannot be understood"),
    ] {
        let engine =
            with_image(true, move || chunks(&bytes).into_iter().chain([Act::Chunk(Vec::new())]).collect());
        let error = connect(&engine).await.unwrap().image_digest("a").await.unwrap_err();
        assert!(error.kind == ErrorKind::Failed && error.message.contains(expected), "{expected}: {error}");
    }
}

#[tokio::test]
async fn an_archive_that_is_not_whole_is_an_error() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("image.tar");
    let bytes = archive("x");
    let half = bytes[..bytes.len() / 2].to_vec();
    for end in [vec![], vec![Act::Hang]] {
        let (half, end) = (half.clone(), end.clone());
        let engine = with_image(false, move || chunks(&half).into_iter().chain(end.clone()).collect());
        let driver = connect_within(&engine, PATIENT, IMPATIENT).await.unwrap();
        assert_eq!(driver.save_image("a", &file, &()).await.unwrap_err().kind, ErrorKind::Unavailable);
    }
    let whole = bytes.clone();
    let engine =
        with_image(false, move || chunks(&whole).into_iter().chain([Act::Chunk(Vec::new())]).collect());
    let driver = connect(&engine).await.unwrap();
    let heard = Heard::default();
    assert!(driver.save_image("a", &file, &heard).await.unwrap());
    assert!(std::fs::read(&file).unwrap() == bytes);
    let length = bytes.len() as u64;
    let events: Vec<_> = heard.events().into_iter().map(|event| (event.status, event.bytes)).collect();
    let expected = [("Saving".to_owned(), Some((0, 5))), ("Saved".to_owned(), Some((length, length)))];
    assert_eq!(events, expected);
    assert!(!driver.save_image("b", &file, &()).await.unwrap());
    let error = driver.save_image("a", home.path(), &()).await.unwrap_err();
    assert!(error.kind == ErrorKind::Failed && error.message.contains("cannot write"), "{error}");
}
