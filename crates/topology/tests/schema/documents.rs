//! Documents for the schema's tests, by hand.

use serde_json::{Value, json};

/// Two data centers and a link with these keys.
fn link(keys: Value) -> Value {
    let mut link = json!({ "ends": ["a", "b"] });
    link.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    json!({ "datacenters": ["a", "b"], "links": [link] })
}

fn site(keys: Value) -> Value {
    let mut site = json!({ "name": "a" });
    site.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    json!({ "datacenters": [site] })
}

/// So many keys of metadata.
fn keys(count: usize) -> Value {
    (0..count).map(|number| (format!("k{number}"), json!(number))).collect()
}

fn template(template: Value) -> Value {
    json!({ "templates": [template] })
}

#[expect(clippy::too_many_lines, reason = "a table")]
pub(crate) fn good() -> Vec<Value> {
    let mut documents = vec![
        json!({ "datacenters": ["a"] }),
        json!({ "datacenters": ["a"], "links": null, "templates": [] }),
        json!({ "datacenters": null, "templates": [{ "shape": "mesh", "prefix": "", "count": 2 }] }),
        json!({ "datacenters": ["0.1", 7, 1.5, true, false, "null", "x".repeat(64), "a.ulx"] }),
        json!({ "datacenters": ["a", "b"], "links": [["a", "b"], ["b", "a"]] }),
        json!({ "datacenters": ["a", 1], "links": [["a", "1"], { "ends": [1, "a"] }] }),
        site(json!({ "metadata": null, "capacity": null, "engine": null })),
        site(json!({ "metadata": {}, "capacity": {}, "engine": "docker" })),
        site(json!({ "metadata": { "": "", "x y": 7, "z": true, "t": "a\nb", "f": 1.5e-9 } })),
        site(json!({ "metadata": keys(64), "engine": "é".repeat(255) })),
        template(json!({ "shape": "ring", "prefix": "r", "count": 3 })),
        template(json!({ "shape": "star", "prefix": 7, "count": "2" })),
        template(
            json!({ "shape": "tree", "prefix": "t.", "fanout": 1, "depth": 1, "engine": "e", "metadata": { "a": 1 } }),
        ),
        template(
            json!({ "shape": "grid", "prefix": "g-", "rows": 1, "columns": 2, "capacity": { "cpu": 1 } }),
        ),
        template(
            json!({ "shape": "grid", "prefix": true, "rows": "2.0", "columns": 1, "links": null, "capacity": null }),
        ),
        template(
            json!({ "shape": "mesh", "prefix": "m", "count": 2.0, "links": { "delay": "1ms", "backward": { "loss": "1%" } } }),
        ),
        link(json!({ "name": "x".repeat(200), "forward": null, "backward": {} })),
        link(
            json!({ "name": 7, "delay": "10ms", "jitter": "10ms", "forward": { "delay": "20 ms", "jitter": "20ms" } }),
        ),
        link(
            json!({ "bandwidth": null, "delay": null, "jitter": null, "loss": null, "mtu": null, "queue": null }),
        ),
    ];
    for value in [
        json!(0.001),
        json!(0.0005),
        json!(4),
        json!(1_000_000),
        json!("0.5"),
        json!(" 4 "),
        json!("1e2"),
        json!(".5"),
        json!("5."),
    ] {
        documents.push(site(json!({ "capacity": { "cpu": value } })));
    }
    for value in [
        json!(1),
        json!("8GiB"),
        json!("8 gb"),
        json!("512m"),
        json!("1 B"),
        json!("1e9"),
        json!("1024TiB"),
        json!(1_u64 << 50),
    ] {
        documents.push(site(json!({ "capacity": { "memory": value } })));
    }
    for (key, values) in [
        (
            "bandwidth",
            vec![
                json!("100Mbps"),
                json!("2.5 Gbit/s"),
                json!("64kbps"),
                json!(1000),
                json!(1e9),
                json!(1e14),
                json!("1 BPS"),
                json!("1bps/s"),
            ],
        ),
        (
            "delay",
            vec![
                json!("10ms"),
                json!("0.5 ms"),
                json!("1us"),
                json!("1 µs"),
                json!("60s"),
                json!(0),
                json!(0.0),
                json!("0"),
                json!("00.0"),
                json!("0e0"),
            ],
        ),
        (
            "loss",
            vec![
                json!("0.1%"),
                json!("100 %"),
                json!("50ppm"),
                json!(0),
                json!(1),
                json!(0.5),
                json!(1e-7),
                json!("0.01"),
                json!("1e-3"),
            ],
        ),
        ("mtu", vec![json!(1280), json!(9000), json!("1500"), json!(1500.0)]),
        ("up", vec![json!(true), json!(false), json!("true"), json!(null)]),
        ("queue", vec![json!(1), json!(1_000_000), json!("7"), json!(" 7.0 ")]),
    ] {
        documents.extend(values.into_iter().map(|value| link(json!({ key: value }))));
    }
    documents
}

#[expect(clippy::too_many_lines, reason = "a table")]
pub(crate) fn bad() -> Vec<Value> {
    let mut documents = vec![
        json!(null),
        json!([]),
        json!("a"),
        json!({}),
        json!({ "datacenters": [] }),
        json!({ "datacenters": [], "templates": null }),
        json!({ "datacenters": "a" }),
        json!({ "datacenters": [null] }),
        json!({ "datacenters": [["a"]] }),
        json!({ "datacenters": [""] }),
        json!({ "datacenters": ["-a"] }),
        json!({ "datacenters": [-7] }),
        json!({ "datacenters": ["a b"] }),
        json!({ "datacenters": ["é"] }),
        json!({ "datacenters": ["a\n"] }),
        json!({ "datacenters": ["a.ul"] }),
        json!({ "datacenters": ["x".repeat(65)] }),
        json!({ "datacenters": ["a"], "hosts": [] }),
        json!({ "datacenters": [{}] }),
        json!({ "datacenters": [{ "name": null }] }),
        json!({ "datacenters": ["a", "b"], "links": {} }),
        json!({ "datacenters": ["a", "b"], "links": [null] }),
        json!({ "datacenters": ["a", "b"], "links": ["a"] }),
        json!({ "datacenters": ["a", "b"], "links": [["a"]] }),
        json!({ "datacenters": ["a", "b", "c"], "links": [["a", "b", "c"]] }),
        json!({ "datacenters": ["a", "b"], "links": [["a", null]] }),
        json!({ "datacenters": ["a", "b"], "links": [["a", "a"]] }),
        json!({ "datacenters": ["a", "b"], "links": [{}] }),
        json!({ "datacenters": ["a", "b"], "links": [{ "ends": null }] }),
        json!({ "templates": {} }),
        site(json!({ "colour": "red" })),
        site(json!({ "metadata": [] })),
        site(json!({ "metadata": { "a": null } })),
        site(json!({ "metadata": { "a": {} } })),
        site(json!({ "capacity": 4 })),
        site(json!({ "capacity": { "disk": 4 } })),
        site(json!({ "engine": "" })),
        site(json!({ "engine": [] })),
        site(json!({ "engine": "x".repeat(256) })),
        site(json!({ "metadata": keys(65) })),
        link(json!({ "name": "" })),
        link(json!({ "name": "a\tb" })),
        link(json!({ "name": "x".repeat(201) })),
        link(json!({ "name": [] })),
        link(json!({ "speed": 1 })),
        link(json!({ "forward": 7 })),
        link(json!({ "forward": { "ends": ["a", "b"] } })),
        link(json!({ "backward": { "forward": {} } })),
        template(json!(null)),
        template(json!({})),
        template(json!({ "shape": "cube", "prefix": "c", "count": 8 })),
        template(json!({ "shape": "ring", "prefix": "r", "count": 2 })),
        template(json!({ "shape": "ring", "prefix": "r", "count": 4097 })),
        template(json!({ "shape": "ring", "prefix": "r", "count": 3.5 })),
        template(json!({ "shape": "ring", "prefix": "r", "count": null })),
        template(json!({ "shape": "ring", "prefix": null, "count": 3 })),
        template(json!({ "shape": "ring", "prefix": "-", "count": 3 })),
        template(json!({ "shape": "ring", "prefix": "r", "count": 3, "depth": 1 })),
        template(json!({ "shape": "mesh", "prefix": "r", "count": 1 })),
        template(json!({ "shape": "tree", "prefix": "r", "fanout": 2 })),
        template(json!({ "shape": "tree", "prefix": "r", "fanout": 0, "depth": 1 })),
        template(json!({ "shape": "grid", "prefix": "r", "rows": 1, "columns": 1 })),
        template(
            json!({ "shape": "grid", "prefix": "r", "rows": 2, "columns": 2, "links": { "ends": ["a", "b"] } }),
        ),
        template(json!({ "shape": "grid", "prefix": "r", "rows": 2, "columns": 2, "links": [] })),
    ];
    for value in [
        json!(0),
        json!(-1),
        json!(1_000_001),
        json!("4 cores"),
        json!(""),
        json!("."),
        json!("1.2.3"),
        json!(true),
        json!([]),
    ] {
        documents.push(site(json!({ "capacity": { "cpu": value } })));
    }
    for value in
        [json!(0), json!((1_u64 << 50) + 1), json!("lots"), json!("8XB"), json!("GiB"), json!("1e3GiB")]
    {
        documents.push(site(json!({ "capacity": { "memory": value } })));
    }
    for (key, values) in [
        (
            "bandwidth",
            vec![
                json!(0),
                json!(-1),
                json!(1e15),
                json!("fast"),
                json!("10Mb"),
                json!("1e0bps"),
                json!("1/s"),
                json!(true),
                json!({}),
            ],
        ),
        (
            "delay",
            vec![
                json!(10),
                json!("10"),
                json!("1h"),
                json!("ms"),
                json!(-1),
                json!("-1ms"),
                json!("1 m s"),
                json!([]),
            ],
        ),
        ("loss", vec![json!(1.1), json!(-0.1), json!("3 percent"), json!("%"), json!("1e-3%"), json!(false)]),
        ("mtu", vec![json!(1279), json!(9001), json!(1500.5), json!("1500B"), json!("x"), json!("")]),
        ("up", vec![json!("yes"), json!(1), json!("True"), json!([])]),
        ("queue", vec![json!(0), json!(1_000_001), json!("7.5"), json!("7 packets")]),
    ] {
        documents.extend(values.into_iter().map(|value| link(json!({ key: value }))));
    }
    documents
}
