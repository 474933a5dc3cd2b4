//! One repository on one server, with what authorises to read it.

use std::path::Path;

use hyper::StatusCode;
use hyper::header::{HeaderValue, WWW_AUTHENTICATE};
use tokio::sync::Mutex;
use url::Url;

use super::auth::{Challenge, basic, token};
use super::credentials::credentials;
use super::failure::Failure;
use super::http::{Answer, Http};
use super::place::Place;

/// Requests about one repository.
#[derive(Debug)]
pub(super) struct Session<'a> {
    http: &'a Http,
    pub(super) place: Place,
    docker_config: Option<&'a Path>,
    /// The value of `Authorization` that was accepted last. Held while a new one is fetched, so that layers that
    /// come side by side fetch one.
    authorization: Mutex<Option<HeaderValue>>,
}

impl<'a> Session<'a> {
    pub(super) fn new(http: &'a Http, place: Place, docker_config: Option<&'a Path>) -> Self {
        Self { http, place, docker_config, authorization: Mutex::default() }
    }

    /// Asks for a path below the repository's, and authorises itself if the registry wants that. A token that
    /// has run out is replaced by a new one.
    pub(super) async fn get(&self, path: &str, accept: &str) -> Result<Answer, Failure> {
        let text = format!("{}{}/{path}", self.place.root(), self.place.repository);
        let url =
            Url::parse(&text).map_err(|error| Failure::nonsense(format!("{text} is no address: {error}")))?;
        let used = self.authorization.lock().await.clone();
        let answer = self.http.get(&url, accept, used.as_ref()).await?;
        // Whom the registry redirects to has no business with what is filed for the registry.
        if answer.status != StatusCode::UNAUTHORIZED || !answer.is_asked {
            return answer.expect_ok().await;
        }
        match self.authorize(&answer, used).await? {
            None => answer.expect_ok().await,
            Some(fresh) => self.http.get(&url, accept, Some(&fresh)).await?.expect_ok().await,
        }
    }

    /// What to authorise with instead of `used`; `None` when there is nothing else.
    async fn authorize(
        &self,
        refusal: &Answer,
        used: Option<HeaderValue>,
    ) -> Result<Option<HeaderValue>, Failure> {
        let mut authorization = self.authorization.lock().await;
        if *authorization != used {
            return Ok(authorization.clone());
        }
        let challenges = refusal.headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|it| it.to_str().ok());
        let Some(challenge) = Challenge::best(challenges) else { return Ok(None) };
        let credentials = match self.docker_config {
            Some(file) => credentials(file, &self.place.registry).await?,
            None => None,
        };
        let fresh = match challenge {
            Challenge::Bearer(bearer) => Some(token(self.http, &self.place, &bearer, credentials).await?),
            Challenge::Basic => credentials.map(|credentials| basic(&credentials)).transpose()?,
        };
        // The same again would be refused again.
        if fresh.is_none() || fresh == used {
            return Ok(None);
        }
        authorization.clone_from(&fresh);
        Ok(fresh)
    }
}
