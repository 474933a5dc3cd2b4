//! Reading the output of containers' own processes. Both streams go into one log, as with a terminal.

use std::time::Duration;

use async_trait::async_trait;
use llcm_engine::{LogChunk, LogReader, Status};
use llcm_names::{EngineName, Owner};
use llcm_runtime::{DriverResult, ErrorKind, LogOptions, Logs, OutputChunk, OutputSink, OutputStream};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::driver::EngineContainers;
use crate::map_error::Attempt;

/// The pause between two looks at a log that is followed.
const PAUSE: Duration = Duration::from_millis(30);

#[async_trait]
impl Logs for EngineContainers {
    async fn logs(
        &self,
        owner: &Owner,
        name: &EngineName,
        options: LogOptions,
        sink: &mut dyn OutputSink,
    ) -> DriverResult<()> {
        let attempt = Attempt::new("read output of container", name.as_str());
        let absent = || attempt.error(ErrorKind::NotFound, "there is no container of that name");
        self.owned(attempt, owner, name).await?.ok_or_else(absent)?;
        let (text, lines) = (name.to_string(), options.tail.map(u64::from));
        let mut reader = self.call(attempt, move |engine| engine.read_log(&text, lines)).await?;
        let mut stamp = options.timestamps.then(Stamp::default);
        loop {
            // Asked before the last look, so that nothing written before the end is missed.
            let runs = options.follow
                && self
                    .look(attempt, name)
                    .await?
                    .is_some_and(|it| matches!(it.status, Status::Running { .. }));
            loop {
                let (chunk, back) = self.next(attempt, reader).await?;
                reader = back;
                let Some(chunk) = chunk else { break };
                let bytes = match &mut stamp {
                    Some(stamp) => stamp.stamp(&chunk),
                    None => chunk.bytes,
                };
                if !sink.write(OutputChunk { stream: OutputStream::Stdout, bytes }).await {
                    return Ok(());
                }
            }
            if !runs {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl EngineContainers {
    async fn next(
        &self,
        attempt: Attempt<'_>,
        mut reader: LogReader,
    ) -> DriverResult<(Option<LogChunk>, LogReader)> {
        self.call(attempt, move |_| Ok((reader.next_chunk()?, reader))).await
    }
}

/// Puts the time before each line.
#[derive(Default)]
struct Stamp {
    /// Whether the last piece ended within a line.
    within_line: bool,
}

impl Stamp {
    fn stamp(&mut self, chunk: &LogChunk) -> Vec<u8> {
        // A clock before the year 1 is not worth a message.
        let time = OffsetDateTime::from(chunk.seen).format(&Rfc3339).unwrap_or_default();
        let mut stamped = Vec::new();
        for line in chunk.bytes.split_inclusive(|byte| *byte == b'\n') {
            if !self.within_line {
                stamped.extend(time.as_bytes());
                stamped.push(b' ');
            }
            stamped.extend(line);
            self.within_line = !line.ends_with(b"\n");
        }
        stamped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_has_the_time_of_its_beginning() {
        let chunk = |text: &str, seconds| LogChunk {
            bytes: text.into(),
            seen: std::time::UNIX_EPOCH + Duration::from_secs(seconds),
        };
        let mut stamp = Stamp::default();
        let all =
            [chunk("a\nb", 0), chunk("c\n", 1), chunk("\nd", 2)].map(|chunk| stamp.stamp(&chunk)).concat();
        let expected =
            "1970-01-01T00:00:00Z a\n1970-01-01T00:00:00Z bc\n1970-01-01T00:00:02Z \n1970-01-01T00:00:02Z d";
        assert_eq!(String::from_utf8(all).unwrap(), expected);
    }
}
