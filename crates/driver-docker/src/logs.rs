//! Reading the output of containers' own processes.

use async_trait::async_trait;
use llcm_names::{EngineName, Owner};
use llcm_runtime::{DriverResult, ErrorKind, LogOptions, Logs, OutputSink};

use crate::driver::DockerContainers;
use crate::map_error::Attempt;
use crate::streams::Streams;

#[async_trait]
impl Logs for DockerContainers {
    async fn logs(
        &self,
        owner: &Owner,
        name: &EngineName,
        options: LogOptions,
        sink: &mut dyn OutputSink,
    ) -> DriverResult<()> {
        let attempt = Attempt::new("read output of container", name.as_str());
        let absent = || attempt.error(ErrorKind::NotFound, "there is no container of that name");
        let found = self.look_owned(attempt, owner, name).await?.ok_or_else(absent)?;
        let LogOptions { follow, tail, timestamps } = options;
        let tail = tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string());
        let path = format!(
            "/containers/{}/logs?stdout=true&stderr=true&follow={follow}&timestamps={timestamps}&tail={tail}",
            found.id
        );
        let mut output = self.client.call(attempt, |_| self.client.get(&path)).await?;
        let mut streams = Streams::new(found.terminal);
        while let Some(bytes) = output.next().await.map_err(|error| attempt.failed(&error))? {
            for chunk in streams.push(&bytes) {
                if !sink.write(chunk).await {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
