//! `llcm chain` as its users see it.

use serde_json::json;

use crate::fake::{Answer, serve};
use crate::run::{Server, command, demo_package, finish};

#[test]
fn chains_are_added_listed_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let package = demo_package(dir.path());
    let server = Server::start(&dir.path().join("data"), &[]);
    server.llcm(&["up", &package]).expect(0);

    let web = "dl_type=0x0800,nw_proto=6,tp_dst=80";
    let add =
        ["chain", "add", "--src", "client:output", "--dst", "server.du.0:input", "-b", "-c", "11", "-m", web];
    let added = server.llcm(&add).expect(0);
    assert!(added.contains("client.du.0:output <-> server.du.0:input"), "{added}");
    let other = ["chain", "add", "--source", "client:output", "--destination", "relay", "--output", "json"];
    let other = server.llcm(&other).json();
    assert_eq!(
        (&other["priority"], &other["cookie"], &other["match"]),
        (&json!(1000), &json!(10), &json!(""))
    );
    let number = other["id"].to_string();

    let listed = server.llcm(&["chain", "ls"]).expect(0);
    assert!(listed.contains(web) && listed.contains("client.du.0:output -> relay.du.0:"), "{listed}");
    let of_cookie = server.llcm(&["chain", "ls", "--cookie", "11", "--output", "json"]).json();
    assert_eq!(of_cookie.as_array().unwrap().len(), 1, "{of_cookie}");

    let error = server.llcm(&add).expect_error(1);
    assert!(error.contains("takes the same frames"), "{error}");
    let wrong =
        ["chain", "add", "--src", "client:output", "--dst", "server", "-m", "dl_type=0x0800,colour=red"];
    let error = server.llcm(&wrong).expect_error(1);
    assert!(error.contains("column 16: there is no field `colour`"), "{error}");
    let error = server.llcm(&["chain", "rm", &number, "99999"]).expect_error(1);
    assert!(error.contains("there is no chain 99999"), "{error}");
    assert!(server.llcm(&["chain", "rm", "--cookie", "11"]).expect(0).contains("removed"));
    assert_eq!(server.llcm(&["chain", "ls", "--output", "json"]).json(), json!([]));
    let error = server.llcm(&["chain", "rm", "--cookie", "11"]).expect_error(1);
    assert!(error.contains("has no chain of the cookie 11: `llcm chain ls` lists"), "{error}");
    server.llcm(&["chain", "rm"]).expect_error(2);
}

/// Between the list of the instances and the question for its chains an instance goes.
#[test]
fn an_instance_that_goes_meanwhile_is_passed_over() {
    let instance = |id: &str| json!({ "id": id, "name": id, "state": "running", "created_at": "now" });
    let chain = json!({ "id": 4, "source": "a:x", "destination": "b:y", "priority": 1000, "cookie": 10 });
    let refusal = json!({ "error": "it is told so", "code": "instance-not-found" });
    let url = serve(vec![
        Answer::new("GET /api/llcm/v1/instances/gone/", 404, refusal),
        Answer::new("GET /api/llcm/v1/instances/here/", 200, json!([chain])),
        Answer::new("GET /api/llcm/v1/instances", 200, json!([instance("gone"), instance("here")])),
        Answer::new("DELETE /api/llcm/v1/instances/here/chains/4 ", 204, ""),
    ]);
    let llcm = |args: &[&str]| finish(command(args).env("LLCM_SERVER", &url).spawn().unwrap());
    let listed = llcm(&["chain", "ls"]).expect(0);
    assert!(listed.contains("a:x -> b:y"), "{listed}");
    assert_eq!(llcm(&["chain", "rm", "4"]).expect(0), "chain 4 removed\n");
    // One that was asked for is missed.
    let told = llcm(&["chain", "ls", "gone"]).expect_error(1);
    assert!(told.contains("it is told so"), "{told}");
    llcm(&["chain", "rm", "4", "--instance", "gone"]).expect_error(1);
}
