//! Chains of instances.

use reqwest::Method;
use serde_json::Value;

use super::{ANSWER_TIMEOUT, Client};

impl Client {
    /// The chains of an instance, as the server tells them; of a cookie, if one is given.
    pub(crate) async fn chains(&self, instance: &str, cookie: Option<u64>) -> anyhow::Result<Value> {
        self.get(&path(instance, cookie)).await
    }

    /// Adds a chain.
    pub(crate) async fn add_chain(&self, instance: &str, chain: &Value) -> anyhow::Result<Value> {
        let fill = |request: reqwest::RequestBuilder| request.json(chain).timeout(ANSWER_TIMEOUT);
        let response = self.send(Method::POST, &path(instance, None), fill).await?;
        response.json().await.map_err(|error| self.explain(error))
    }

    /// Removes all chains of a cookie; those that were removed.
    pub(crate) async fn remove_chains(&self, instance: &str, cookie: u64) -> anyhow::Result<Value> {
        let path = path(instance, Some(cookie));
        let response = self.send(Method::DELETE, &path, |request| request.timeout(ANSWER_TIMEOUT)).await?;
        response.json().await.map_err(|error| self.explain(error))
    }

    /// Removes one chain.
    pub(crate) async fn remove_chain(&self, instance: &str, chain: u32) -> anyhow::Result<()> {
        let path = format!("{}/{chain}", path(instance, None));
        self.send(Method::DELETE, &path, |request| request.timeout(ANSWER_TIMEOUT)).await.map(drop)
    }
}

fn path(instance: &str, cookie: Option<u64>) -> String {
    let query = cookie.map(|cookie| format!("?cookie={cookie}")).unwrap_or_default();
    format!("/instances/{instance}/chains{query}")
}
