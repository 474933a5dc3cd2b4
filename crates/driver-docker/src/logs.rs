//! Reading the output of containers' own processes.

use async_trait::async_trait;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::StreamExt;
use llcm_names::{EngineName, Owner};
use llcm_runtime::{DriverResult, ErrorKind, LogOptions, Logs, OutputSink};

use crate::driver::DockerContainers;
use crate::exec::chunk;
use crate::map_error::Attempt;

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
        let tail = options.tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string());
        let query = LogsOptionsBuilder::new()
            .follow(options.follow)
            .stdout(true)
            .stderr(true)
            .timestamps(options.timestamps)
            .tail(&tail)
            .build();
        let mut output = std::pin::pin!(self.client.docker().logs(&found.id, Some(query)));
        while let Some(piece) = output.next().await {
            if !sink.write(chunk(piece.map_err(|error| attempt.failed(&error))?)).await {
                break;
            }
        }
        Ok(())
    }
}
