//! Commands in containers, beyond what the contract suite asks.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use llcm_runtime::{ContainerDriver, ExecOutcome, ExecSpec, LogOptions, OutputChunk, OutputSink};

use crate::bed::{BARE, Bed};

fn command(script: &str) -> ExecSpec {
    let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
    ExecSpec { argv, ..ExecSpec::default() }
}

#[tokio::test]
async fn environment_and_terminal_reach_the_command() {
    let Some(bed) = Bed::make().await else { return };
    let spec = bed.spec("exec");
    bed.run(&spec).await;
    let exec = bed.driver.exec().unwrap();
    let run = async |command: ExecSpec| {
        let mut output = Vec::new();
        let outcome = exec.exec(&spec.owner, &spec.name, &command, &mut output).await.unwrap();
        (String::from_utf8(output).unwrap(), outcome)
    };
    let script = "echo $A $VNF_NAME; [ -t 1 ] && echo terminal; exit 0";
    let environment = BTreeMap::from([("A".to_owned(), "b c".to_owned())]);
    let plain = ExecSpec { environment, ..command(script) };
    let ended = ExecOutcome { exit_code: Some(0) };
    assert_eq!(run(plain.clone()).await, ("b c exec\n".to_owned(), ended));
    assert_eq!(
        run(ExecSpec { terminal: true, ..plain }).await,
        ("b c exec\r\nterminal\r\n".to_owned(), ended)
    );
}

/// Counts, and has enough at some point.
struct Count(usize, usize);

#[async_trait]
impl OutputSink for Count {
    async fn write(&mut self, chunk: OutputChunk) -> bool {
        self.0 += chunk.bytes.len();
        self.0 < self.1
    }
}

#[tokio::test]
async fn much_output_is_passed_on_whole_and_a_reader_may_leave() {
    let Some(bed) = Bed::make().await else { return };
    let spec = bed.spec("much");
    bed.run(&spec).await;
    let exec = bed.driver.exec().unwrap();
    let mut all = Count(0, usize::MAX);
    let much = command("seq 1 300000");
    let outcome = exec.exec(&spec.owner, &spec.name, &much, &mut all).await.unwrap();
    assert_eq!(outcome.exit_code, Some(0));
    assert_eq!(all.0, 1_988_895, "what `seq 1 300000 | wc -c` says");
    let mut some = Count(0, 1000);
    let endless = command("while :; do echo x; done");
    let exec = exec.exec(&spec.owner, &spec.name, &endless, &mut some);
    let outcome = tokio::time::timeout(Duration::from_secs(10), exec).await.unwrap().unwrap();
    assert_eq!(outcome.exit_code, None);
}

/// What a terminal shows may begin with any byte, and its lines need not end. (The engine itself keeps the
/// beginning of a line back until there are 16 KiB of it.)
#[tokio::test]
async fn output_that_is_no_text_is_read_as_it_is() {
    let Some(bed) = Bed::make().await else { return };
    let image = format!("llcm-driver-test:{}-bytes", bed.owner.installation);
    let script =
        r"printf '\\001\\000\\000\\000\\177\\177\\177\\177'; seq -s , 9999; seq -s , 9999; sleep 1000";
    bed.build(&image, &format!("FROM {BARE}\nCMD [\"/bin/sh\", \"-c\", \"{script}\"]\n")).await;
    let mut spec = bed.spec("bytes");
    spec.image = image.clone();
    bed.run(&spec).await;
    let logs = bed.driver.logs().unwrap();
    let numbers = (1..=9999).map(|number| number.to_string()).collect::<Vec<_>>().join(",");
    let expected = format!("\x01\0\0\0\x7f\x7f\x7f\x7f{numbers}\r\n{numbers}\r\n");
    let mut follower = Count(0, expected.len());
    let options = LogOptions { follow: true, ..LogOptions::default() };
    let follow = logs.logs(&spec.owner, &spec.name, options, &mut follower);
    tokio::time::timeout(Duration::from_secs(10), follow).await.unwrap().unwrap();
    let mut output = Vec::new();
    logs.logs(&spec.owner, &spec.name, LogOptions::default(), &mut output).await.unwrap();
    assert!(output == expected.as_bytes(), "{} bytes, not {}", output.len(), expected.len());
}
