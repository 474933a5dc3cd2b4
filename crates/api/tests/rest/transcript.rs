//! Requests and their replies as one readable text, to be compared with a snapshot.

use std::fmt::Write as _;

use actix_web::http::Method;
use serde_json::Value;
use uuid::Uuid;

use crate::common::{Reply, Server};

/// Requests and their replies. Ids stand in it as `<1>`, `<2>`... in the order in which they first appear; what
/// depends on the archive's bytes or on which of several steps was begun last is left out.
pub(crate) struct Transcript<'a> {
    server: &'a Server,
    text: String,
    ids: Vec<Uuid>,
}

impl<'a> Transcript<'a> {
    pub(crate) fn of(server: &'a Server) -> Self {
        Self { server, text: String::new(), ids: Vec::new() }
    }

    /// Sends a JSON body (none when empty) and writes down what comes back.
    pub(crate) async fn step(&mut self, method: Method, uri: &str, body: &str) -> Reply {
        let reply = self.server.send(method.clone(), uri, body.to_owned()).await;
        self.note(&format!("{method} {uri} {body}"), &reply);
        self.server.clock.advance(1000);
        reply
    }

    /// Uploads a package as the body.
    pub(crate) async fn upload(&mut self, uri: &str, package: Vec<u8>) -> Reply {
        let reply = self.server.post(uri, package).await;
        self.note(&format!("POST {uri} <package>"), &reply);
        self.server.clock.advance(1000);
        reply
    }

    pub(crate) fn note(&mut self, head: &str, reply: &Reply) {
        let head = self.number(head.trim_end());
        writeln!(self.text, "> {head}\n< {}", reply.status).unwrap();
        for name in ["allow", "retry-after"] {
            if let Some(value) = reply.header(name) {
                writeln!(self.text, "{name}: {value}").unwrap();
            }
        }
        if !reply.body.is_empty() {
            assert_eq!(reply.header("content-type"), Some("application/json"), "{reply:?}");
            let mut json = reply.json();
            blank(&mut json);
            let json = self.number(&serde_json::to_string_pretty(&json).unwrap());
            writeln!(self.text, "{json}").unwrap();
        }
        self.text.push('\n');
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }

    /// The text with its ids numbered.
    fn number(&mut self, text: &str) -> String {
        let (mut out, mut rest) = (String::new(), text);
        while let Some(first) = rest.chars().next() {
            if let Some(id) = rest.get(..36).and_then(|word| Uuid::try_parse(word).ok()) {
                let known = self.ids.iter().position(|other| *other == id);
                let number = known.unwrap_or_else(|| {
                    self.ids.push(id);
                    self.ids.len() - 1
                });
                write!(out, "<{}>", number + 1).unwrap();
                rest = &rest[36..];
            } else {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        out
    }
}

fn blank(json: &mut Value) {
    match json {
        Value::Array(items) => items.iter_mut().for_each(blank),
        Value::Object(fields) => {
            for (key, value) in fields {
                match (key.as_str(), &*value) {
                    ("sha1", Value::String(_)) | ("activity", _) => *value = format!("<{key}>").into(),
                    ("size", Value::Number(size)) if size.as_u64() != Some(0) => *value = "<size>".into(),
                    _ => blank(value),
                }
            }
        }
        _ => {}
    }
}
