//! The originals' clients, with the bodies and headers that they really send: Python's `requests` writes them.

use actix_web::http::Method;
use actix_web::test::TestRequest;
use llcm_lifecycle::Dialect;
use llcm_testkit::demo_chain;
use serde_json::{Value, json};

use crate::common::{Reply, Server};
use crate::sonata::{single, sonata};

/// A boundary as `requests` makes them.
const BOUNDARY: &str = "d41d8cd98f00b204e9800998ecf8427e";

/// A request as `requests` sends it.
fn python(method: Method, uri: &str) -> TestRequest {
    TestRequest::default()
        .method(method)
        .uri(uri)
        .insert_header(("host", "127.0.0.1:5000"))
        .insert_header(("user-agent", "python-requests/2.18.4"))
        .insert_header(("accept-encoding", "gzip, deflate"))
        .insert_header(("accept", "*/*"))
        .insert_header(("connection", "keep-alive"))
}

/// `files={"package": ...}`: a part without a content type.
fn form(filename: &str, bytes: &[u8]) -> Vec<u8> {
    let mut body = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"package\"; filename=\"{filename}\"\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(bytes);
    body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    body
}

fn upload(uri: &str, filename: &str, bytes: &[u8]) -> TestRequest {
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    python(Method::POST, uri).insert_header(("content-type", kind)).set_payload(form(filename, bytes))
}

/// `json=...`: labelled, with a blank after each colon.
fn labelled(uri: &str, body: &'static str) -> TestRequest {
    python(Method::POST, uri).insert_header(("content-type", "application/json")).set_payload(body)
}

fn text<'a>(json: &'a Value, key: &str) -> &'a str {
    json[key].as_str().unwrap_or_else(|| panic!("no {key} in {json}"))
}

fn ok(reply: &Reply, status: u16) -> Value {
    assert_eq!(reply.status, status, "{reply:?}");
    reply.json()
}

/// son-access: `son-access push --upload` and `--deploy`. Its multipart body says that it is a ZIP file.
#[tokio::test]
async fn son_access_pushes_and_deploys() {
    let server = sonata().await;
    let package = single("demo").build();
    let push = python(Method::POST, "/api/v2/packages?")
        .insert_header(("content-type", "application/zip"))
        .insert_header(("content-disposition", "attachment; filename=sonata-demo.son"))
        .insert_header(("authorization", "Bearer abc.def.ghi"))
        .set_payload(form("sonata-demo.son", &package));
    let pushed = ok(&server.call(push).await, 201);
    assert_eq!(pushed["size"], json!(package.len()));
    assert_eq!(pushed["sha1"], json!(sha1_smol::Sha1::from(&package).digest().to_string()));
    let service = text(&pushed, "service_uuid").to_owned();

    ok(&server.call(labelled("/api/v2/requests?", "{\"service_uuid\": \"latest\"}")).await, 201);
    let body = format!("{{\"service_uuid\": \"{service}\"}}");
    let deploy = python(Method::POST, "/api/v2/requests?")
        .insert_header(("content-type", "application/json"))
        .set_payload(body);
    let deployed = ok(&server.call(deploy).await, 201);
    let lists = server.get("/api/v2/requests").await;
    assert_eq!(lists["service_instantiations_list"][0][1], deployed["service_instance_uuid"]);
}

/// What looks like a multipart body but is not one, or not a whole one, is refused like others.
#[tokio::test]
async fn bodies_that_begin_like_a_form() {
    let server = sonata().await;
    let whole = form("p.son", &single("demo").build());
    let long = format!("--{}\r\n", "x".repeat(4096)).into_bytes();
    for (body, code) in [
        (whole[..whole.len() - 10].to_vec(), "upload-interrupted"),
        (b"-".to_vec(), "not-a-package"),
        (b"--".to_vec(), "not-a-package"),
        (b"--\r\n".to_vec(), "not-a-package"),
        (b"--a b\r\n".to_vec(), "not-a-package"),
        (long, "not-a-package"),
        (b"--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n1\r\n--x--\r\n".to_vec(), "no-file"),
    ] {
        let shown = String::from_utf8_lossy(&body[..body.len().min(20)]).into_owned();
        let reply = server.post("/packages", body).await;
        assert_eq!((reply.status, &reply.json()["code"]), (400, &json!(code)), "{shown}");
        assert_eq!(server.files(), Vec::<String>::new(), "{shown}");
    }
}

/// son-profile: a form, then `data=json.dumps(...)`, which has no content type at all.
#[tokio::test]
async fn son_profile_runs_an_experiment() {
    let server = sonata().await;
    let pushed = ok(&server.call(upload("/packages", "test.son", &single("demo").build())).await, 201);
    let service = text(&pushed, "service_uuid");
    let body = format!("{{\"service_uuid\": \"{service}\"}}");
    let started = ok(&server.call(python(Method::POST, "/instantiations").set_payload(body)).await, 201);
    // It runs its commands in the container `mn.<measurement point>`.
    assert!(server.containers() == ["mn.fw"]);
    let instance = text(&started, "service_instance_uuid");
    let body = format!("{{\"service_uuid\": \"{service}\", \"service_instance_uuid\": \"{instance}\"}}");
    let stopped = server.call(python(Method::DELETE, "/instantiations").set_payload(body)).await;
    assert_eq!(ok(&stopped, 200), json!(format!("service instance with uuid '{instance}' stopped.")));
    assert!(server.world.snapshot().containers.is_empty());
}

/// `curl -X POST ... -d '{}'`, in the scripts of both emulators: JSON called a form.
#[tokio::test]
async fn curl_starts_and_stops_the_newest() {
    let mut server = Server::start().await;
    let curl = |method: Method, body: &'static str| {
        TestRequest::default()
            .method(method)
            .uri("/instantiations")
            .insert_header(("host", "localhost:5000"))
            .insert_header(("user-agent", "curl/7.47.0"))
            .insert_header(("accept", "*/*"))
            .insert_header(("content-type", "application/x-www-form-urlencoded"))
            .set_payload(body)
    };
    for dialect in [Dialect::Tango, Dialect::Sonata] {
        server.speak(dialect);
        assert_eq!(server.post("/packages", single("demo").build()).await.status, 201);
        server.clock.advance(1000);
        let newest = server.state.orchestrator().services().pop().unwrap();
        for body in ["{}", "{\"service_uuid\":\"latest\"}", ""] {
            ok(&server.call(curl(Method::POST, body)).await, 201);
            assert_eq!(server.state.orchestrator().instances(false)[0].service_id, newest.id);
            // What nothing given has started, nothing given stops.
            ok(&server.call(curl(Method::DELETE, "{}")).await, 200);
            assert!(server.world.snapshot().containers.is_empty(), "{dialect:?}");
        }
    }
}

/// tng-bench: a form whose file is called as its field, JSON that is labelled, and containers by their names.
#[tokio::test]
async fn tng_bench_runs_an_experiment() {
    let server = Server::start().await;
    assert_eq!(ok(&server.call(python(Method::GET, "/packages")).await, 200), json!([]));
    let pushed = ok(&server.call(upload("/packages", "package", &demo_chain().build())).await, 201);
    let body = format!("{{\"service_uuid\": \"{}\"}}", text(&pushed, "service_uuid"));
    let start = python(Method::POST, "/instantiations")
        .insert_header(("content-type", "application/json"))
        .set_payload(body);
    let started = ok(&server.call(start).await, 201);
    assert_eq!(server.containers(), ["mn.vnf0.vdu01.0", "mn.vnf1.vdu01.0", "mn.vnf2.vdu01.0"]);
    let body = format!("{{\"service_instance_uuid\": \"{}\"}}", text(&started, "service_instance_uuid"));
    let stop = python(Method::DELETE, "/instantiations")
        .insert_header(("content-type", "application/json"))
        .set_payload(body);
    assert_eq!(ok(&server.call(stop).await, 200), json!("Service(s) stopped."));
    assert!(server.world.snapshot().containers.is_empty());
}

/// tng-cli: the lists below `/api/v3`, and everything else by requests.
#[tokio::test]
async fn tng_cli_lists_and_terminates() {
    let server = Server::start().await;
    let pushed = ok(&server.call(upload("/api/v3/packages", "demo.tgo", &demo_chain().build())).await, 201);
    let service = text(&pushed, "service_uuid");
    let list = async |path: &str| {
        let get = python(Method::GET, path).insert_header(("authorization", "Bearer abc"));
        ok(&server.call(get).await, 200)
    };
    for (path, key) in
        [("/api/v3/packages", "pd"), ("/api/v3/services", "nsd"), ("/api/v3/functions", "vnfd")]
    {
        let listed = list(path).await;
        assert_eq!(listed.as_array().unwrap().len(), 1, "{path}");
        for field in ["name", "version"] {
            text(&listed[0][key], field);
        }
        for field in ["uuid", "created_at"] {
            text(&listed[0], field);
        }
        if key != "pd" {
            assert_eq!(text(&listed[0], "platform"), "5gtango", "{path}");
        }
    }
    let post = async |body: String| {
        let post =
            python(Method::POST, "/api/v3/requests").insert_header(("content-type", "application/json"));
        ok(&server.call(post.set_payload(body)).await, 201)
    };
    let body = format!("{{\"service_uuid\": \"{service}\", \"request_type\": \"CREATE_SERVICE\"}}");
    let created = post(body).await;
    let record = list(&format!("/api/v3/requests/{}", text(&created, "id"))).await;
    assert_eq!(list("/api/v3/requests").await, json!([record]));
    for field in ["id", "request_type", "status", "created_at", "instance_uuid", "service_uuid"] {
        text(&record, field);
    }
    // It shows the first sixteen characters, with a blank for the `T`.
    assert_eq!(text(&record, "created_at").get(10..11), Some("T"));
    assert_eq!((text(&record, "request_type"), text(&record, "status")), ("CREATE_SERVICE", "READY"));
    let instance = text(&record, "instance_uuid").to_owned();
    let records = list("/api/v3/records/services").await;
    assert_eq!(text(&records[0], "uuid"), instance);
    for field in ["instance_name", "status", "created_at"] {
        text(&records[0], field);
    }
    let body = format!("{{\"instance_uuid\": \"{instance}\", \"request_type\": \"TERMINATE_SERVICE\"}}");
    let terminated = post(body).await;
    assert!(server.world.snapshot().containers.is_empty());
    let requests = list("/api/v3/requests").await;
    assert_eq!(text(&requests[1], "id"), text(&terminated, "id"));
    assert_eq!(text(&requests[1], "request_type"), "TERMINATE_SERVICE");
    let remove = python(Method::DELETE, &format!("/api/v3/packages/{service}"));
    assert_eq!(server.call(remove).await.status, 204);
}
