//! `llcm chain` as its users see it.

use crate::run::{Server, demo_package};
use serde_json::json;

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
    server.llcm(&["chain", "rm"]).expect_error(2);
}
