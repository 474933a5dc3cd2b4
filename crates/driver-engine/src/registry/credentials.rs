//! Credentials as `docker login` leaves them in `config.json`.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use llcm_runtime::ErrorKind;
use serde::Deserialize;
use tokio::io::AsyncReadExt as _;

use super::failure::Failure;

/// No such file is longer.
const FILE_BYTES: u64 = 1 << 20;

/// A user's name and password at a registry.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) user: String,
    pub(super) password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(..)")
    }
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
}

/// What the file has for a registry; `None` when there is no such file, or nothing in it.
pub(super) async fn credentials(file: &Path, registry: &str) -> Result<Option<Credentials>, Failure> {
    let invalid = |what: &str| {
        Failure::new(ErrorKind::Invalid, format!("cannot use the credentials in {}: {what}", file.display()))
    };
    let opened = match tokio::fs::File::open(file).await {
        Ok(opened) => opened,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(invalid(&error.to_string())),
    };
    let mut text = Vec::new();
    opened.take(FILE_BYTES).read_to_end(&mut text).await.map_err(|error| invalid(&error.to_string()))?;
    // The parser's message could quote what must not be shown.
    let config: Config = serde_json::from_slice(&text)
        .map_err(|_| invalid("it is not of the form of Docker's config.json"))?;
    let Some((_, entry)) = config.auths.into_iter().find(|(key, _)| means(key, registry)) else {
        return Ok(None);
    };
    if entry.auth.is_empty() {
        // A credential helper has them, or they stand there in full.
        let Entry { username: user, password, .. } = entry;
        return Ok((!user.is_empty()).then_some(Credentials { user, password }));
    }
    let pair = STANDARD.decode(entry.auth.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let (user, password) = pair
        .as_deref()
        .and_then(|pair| pair.split_once(':'))
        .ok_or_else(|| invalid(&format!("what it has for {registry} is no user and password in base64")))?;
    // Docker pads with zero bytes in places.
    let (user, password) = (user.to_owned(), password.trim_end_matches('\0').to_owned());
    Ok(Some(Credentials { user, password }))
}

/// Whether a key of the file is a registry's: its name, or the address that older clients wrote.
fn means(key: &str, registry: &str) -> bool {
    let name = key.trim_start_matches("https://").trim_start_matches("http://");
    let name = name.split('/').next().unwrap_or(name);
    let hub = ["docker.io", "index.docker.io", "registry-1.docker.io"];
    name == registry || (hub.contains(&name) && hub.contains(&registry))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn look(text: &str, registry: &str) -> Result<Option<(String, String)>, String> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.json");
        std::fs::write(&file, text).unwrap();
        let found = credentials(&file, registry).await.map_err(|failure| failure.message)?;
        Ok(found.map(|found| (found.user, found.password)))
    }

    fn pair(user: &str, password: &str) -> Result<Option<(String, String)>, String> {
        Ok(Some((user.to_owned(), password.to_owned())))
    }

    #[tokio::test]
    async fn dockers_file_is_understood() {
        let file = format!(
            r#"{{"auths": {{
                "https://index.docker.io/v1/": {{"auth": "{}"}},
                "registry.example:5000": {{"auth": "{}"}},
                "https://plain.example/v2/": {{"username": "u", "password": "p"}},
                "helper.example": {{}}
            }}, "credsStore": "desktop", "HttpHeaders": {{}}}}"#,
            STANDARD.encode("hub:a:b"),
            STANDARD.encode("user:secret\0\0"),
        );
        assert_eq!(look(&file, "docker.io").await, pair("hub", "a:b"));
        assert_eq!(look(&file, "registry.example:5000").await, pair("user", "secret"));
        assert_eq!(look(&file, "plain.example").await, pair("u", "p"));
        for other in ["helper.example", "registry.example", "registry.example:500", "example"] {
            assert_eq!(look(&file, other).await, Ok(None), "{other}");
        }
        assert_eq!(look("{}", "docker.io").await, Ok(None));
        assert_eq!(credentials(Path::new("/nonexistent/config.json"), "x").await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_told_without_being_quoted() {
        let said = look(r#"{"auths": {"x.example": {"auth": "c2VjcmV0"}}}"#, "x.example").await.unwrap_err();
        assert!(said.contains("no user and password") && !said.contains("c2VjcmV0"), "{said}");
        let said = look(r#"{"auths": "c2VjcmV0"}"#, "x.example").await.unwrap_err();
        assert!(said.contains("not of the form") && !said.contains("c2VjcmV0"), "{said}");
        assert_eq!(
            format!("{:?}", Credentials { user: "u".into(), password: "p".into() }),
            "Credentials(..)"
        );
    }
}
