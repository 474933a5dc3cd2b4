//! JSON bodies and queries, read the way existing clients send them.
//!
//! `curl -d '{}'` and the clients of the emulators label JSON as a form, or not at all: the content type is
//! never looked at, and an empty body is an empty object.

use actix_web::error::{PayloadError, QueryPayloadError};
use actix_web::web::{Data, Payload, Query};
use actix_web::{FromRequest, HttpRequest, dev};
use bytes::BytesMut;
use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::codes::Code;
use crate::error::ApiError;
use crate::size;
use crate::state::{ApiSettings, ApiState};

/// The largest JSON body in bytes: bodies of this interface are a handful of ids, or a command line.
pub(crate) const MAX_JSON: u64 = 64 * 1024;
/// The largest document in bytes: a schedule of ten thousand changes.
const MAX_DOCUMENT: u64 = 2 * 1024 * 1024;

/// A JSON object as the request's body.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) T);

impl<T: DeserializeOwned + 'static> FromRequest for Object<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut dev::Payload) -> Self::Future {
        let read = read(request, payload, MAX_JSON);
        Box::pin(async move { parse(&read.await?).map(Self) })
    }
}

/// A document as the request's body: YAML, or JSON, which is YAML, too. Its reader says what is wrong with it.
#[derive(Debug)]
pub(crate) struct Document(pub(crate) BytesMut);

impl FromRequest for Document {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut dev::Payload) -> Self::Future {
        let read = read(request, payload, MAX_DOCUMENT);
        Box::pin(async move { read.await.map(Self) })
    }
}

/// The bytes of a body, so many at most, in the time that a body may take.
fn read(
    request: &HttpRequest,
    payload: &mut dev::Payload,
    most: u64,
) -> LocalBoxFuture<'static, Result<BytesMut, ApiError>> {
    let payload = Payload::from_request(request, payload);
    let limit = request
        .app_data::<Data<ApiState>>()
        .map_or(ApiSettings::default().body_timeout, |state| state.settings().body_timeout);
    let read = async move {
        let mut payload = payload
            .into_inner()
            .map_err(|error| ApiError::new(Code::BadRequest, format!("cannot read the body: {error}")))?;
        let mut bytes = BytesMut::new();
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|error| {
                ApiError::new(Code::BadRequest, format!("the body is incomplete: {}", cut_short(&error)))
            })?;
            if u64::try_from(bytes.len() + chunk.len()).map_or(true, |length| length > most) {
                return Err(ApiError::new(
                    Code::TooLarge,
                    format!("the JSON body is larger than {}", size::Bytes(most)),
                ));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    };
    Box::pin(async move {
        tokio::time::timeout(limit, read).await.unwrap_or_else(|_| {
            let message = format!("the body did not come within {} s", limit.as_secs());
            Err(ApiError::new(Code::BodyTimeout, message))
        })
    })
}

/// Why no more of a body comes, for whoever sent it.
pub(crate) fn cut_short(error: &PayloadError) -> String {
    match error {
        // What it holds is of no use to clients.
        PayloadError::Incomplete(_) => "it ended early".to_owned(),
        other => other.to_string(),
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let bytes = if bytes.trim_ascii().is_empty() { b"{}" } else { bytes };
    let malformed = |error: serde_json::Error| {
        ApiError::new(Code::BadRequest, format!("the body is not the JSON object that is expected: {error}"))
    };
    // Structs can be read from arrays too, and of other values serde says by which struct they are expected to be
    // one; only an object is meant.
    let found = match bytes.trim_ascii_start().first() {
        Some(b'{') => "",
        Some(b'[') => "an array",
        // What looks like another value may be none: then the place is told.
        _ => match serde_json::from_slice(bytes).map_err(malformed)? {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) | Value::Object(_) => "",
        },
    };
    if !found.is_empty() {
        let message = format!("the body is not the JSON object that is expected: it is {found}");
        return Err(ApiError::new(Code::BadRequest, message));
    }
    serde_json::from_slice(bytes).map_err(malformed)
}

/// The query of a request's URL.
pub(crate) fn query<T: DeserializeOwned>(request: &HttpRequest) -> Result<T, ApiError> {
    let parsed = Query::<T>::from_query(request.query_string());
    parsed.map(Query::into_inner).map_err(|error| {
        let reason = match error {
            QueryPayloadError::Deserialize(reason) => reason.to_string(),
            other => other.to_string(),
        };
        ApiError::new(Code::BadRequest, format!("the query cannot be understood: {reason}"))
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Sample {
        service_uuid: Option<String>,
    }

    #[test]
    fn nothing_and_blanks_are_an_empty_object() {
        for text in ["", " \r\n", "{}", " { } ", "{\"service_uuid\": null}"] {
            assert_eq!(parse::<Sample>(text.as_bytes()).unwrap(), Sample::default(), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused_with_the_place() {
        for text in
            ["{", "[]", "[\"latest\"]", "latest", "\"latest\"", "1", "{\"service_uuid\": 1}", "{} {}", "\0"]
        {
            let error = parse::<Sample>(text.as_bytes()).unwrap_err();
            assert_eq!(error.code, Code::BadRequest, "{text:?}");
            assert!(error.message.contains("JSON object"), "{error}");
        }
        // Nothing of how it is read is told.
        for (text, found) in [
            ("[]", "an array"),
            ("\"latest\"", "a string"),
            ("null", "null"),
            ("1", "a number"),
            ("true", "a boolean"),
        ] {
            let error = parse::<Sample>(text.as_bytes()).unwrap_err();
            assert_eq!(
                error.message,
                format!("the body is not the JSON object that is expected: it is {found}")
            );
        }
        let error = parse::<Sample>(b"{\n  \"service_uuid\": 1}").unwrap_err();
        assert!(error.message.contains("line 2"), "{error}");
    }
}
