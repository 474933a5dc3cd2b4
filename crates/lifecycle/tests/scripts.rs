//! Start and stop scripts, and looking into instances.

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::{Rig, down, push, run, view};
use llcm_lifecycle::request::{InstanceState, InstanceView, ScriptRun, ServiceRef};
use llcm_lifecycle::{ErrorCode, Settings};
use llcm_names::ContainerName;
use llcm_runtime::simulated::{
    Fault, Latency, Operation, Script, ScriptedCommand, ScriptedImage, ScriptedOutput,
};
use llcm_runtime::{ContainerState, ErrorKind, ExecSpec, LogOptions};
use llcm_testkit::every_step;

fn shell(command: &str, stdout: &str, exit_code: i64, takes: u64) -> ScriptedCommand {
    ScriptedCommand {
        takes: Latency::fixed(Duration::from_secs(takes)),
        ..ScriptedCommand::new(&["/bin/sh", "-c", command], stdout, exit_code)
    }
}

fn scripts<'a>(view: &'a InstanceView, container: &str) -> &'a [ScriptRun] {
    &view.containers.iter().find(|it| it.name.as_str() == container).expect("it is there").scripts
}

#[tokio::test(start_paused = true)]
async fn a_start_script_runs_in_the_background_and_its_end_is_kept() {
    let rig = Rig::new();
    let script = Script::default().command(shell("echo edge is up", "edge is up\n", 3, 60));
    rig.world.set_script(script);
    let llcm = rig.open().await;
    let service = push(&llcm, &every_step()).await;
    let instance = run(&llcm, &service).await;
    let [edge] = scripts(&instance, "edge.vdu01.0") else { panic!("one script runs") };
    assert_eq!((edge.phase.as_str(), edge.command.as_str()), ("start", "echo edge is up"));
    assert_eq!((edge.ended_at, edge.exit_code), (None, None));
    assert!(scripts(&instance, "leaf_a.cdu01.0").is_empty());

    tokio::time::sleep(Duration::from_secs(61)).await;
    let instance = view(&llcm, instance.id).unwrap();
    assert_eq!(instance.state, InstanceState::Running, "a script that fails is not the instance's failure");
    let [edge] = scripts(&instance, "edge.vdu01.0") else { panic!("one script ran") };
    assert_eq!(
        (edge.exit_code, edge.output.as_str(), edge.error.as_deref()),
        (Some(3), "edge is up\n", None)
    );
    assert!(edge.ended_at > Some(edge.started_at));
}

#[tokio::test(start_paused = true)]
async fn scripts_may_come_from_the_image() {
    let rig = Rig::new();
    let environment = BTreeMap::from([
        ("VIM_EMU_CMD".to_owned(), "./start.sh".to_owned()),
        ("VIM_EMU_CMD_STOP".to_owned(), "./stop.sh".to_owned()),
    ]);
    let image = ScriptedImage { reference: "*".to_owned(), environment, ..ScriptedImage::default() };
    rig.world.set_script(Script { images: vec![image], ..Script::default() });
    let llcm = rig.open().await;
    let service = push(&llcm, &every_step()).await;
    let instance = run(&llcm, &service).await;
    down(&llcm, instance.id).await.unwrap();
    let ran = |container: &str| -> Vec<String> {
        let execs = rig.world.execs().into_iter().filter(|exec| exec.container.as_str() == container);
        execs.map(|exec| exec.argv[2].clone()).collect()
    };
    assert_eq!(
        ran("mn.edge.vdu01.0"),
        ["echo edge is up", "echo edge goes down"],
        "the descriptor's come first"
    );
    assert_eq!(ran("mn.leaf_b.cdu01.0"), ["./start.sh", "./stop.sh"]);
}

#[tokio::test(start_paused = true)]
async fn an_environment_file_has_the_last_word() {
    let dir = tempfile::tempdir().unwrap();
    let file = "SON_EMU_CMD: ./from-file.sh\nSPEED: 3\n";
    std::fs::write(dir.path().join("edge.vdu01.1.env.yml"), file).unwrap();
    let settings = Settings { env_dir: Some(dir.path().to_owned()), ..Settings::default() };
    let rig = Rig::with(settings);
    let llcm = rig.open().await;
    let service = push(&llcm, &every_step()).await;
    let (first, second) = (run(&llcm, &service).await, run(&llcm, &service).await);
    assert_eq!(scripts(&first, "edge.vdu01.0")[0].command, "echo edge is up");
    assert_eq!(scripts(&second, "edge.vdu01.1")[0].command, "./from-file.sh");
    let spec = rig.world.spec(&second.containers[0].engine_name).unwrap();
    assert_eq!(spec.environment["SPEED"], "3");

    // A file that is none is an error before anything starts.
    std::fs::write(dir.path().join("edge.vdu02.2.env.yml"), "- no mapping\n").unwrap();
    let containers = rig.world.snapshot().containers.len();
    let error = llcm.instantiate(&ServiceRef::Latest).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::CannotPlan);
    assert!(error.diagnostics[0].document.ends_with("edge.vdu02.2.env.yml"), "{:?}", error.diagnostics);
    assert_eq!(rig.world.snapshot().containers.len(), containers);
}

#[tokio::test(start_paused = true)]
async fn stop_scripts_are_waited_for_but_no_longer_than_they_take_or_the_grace_time() {
    for (takes, waits) in [(2, 2), (600, 5)] {
        let rig = Rig::with(Settings { stop_grace: Duration::from_secs(5), ..Settings::default() });
        let stop = shell("echo edge goes down", "bye\n", 0, takes);
        let start = shell("echo core is up", "", 0, 3600);
        rig.world.set_script(Script::default().command(stop).command(start));
        let llcm = rig.open().await;
        let service = push(&llcm, &every_step()).await;
        let instance = run(&llcm, &service).await;
        let began = tokio::time::Instant::now();
        down(&llcm, instance.id).await.unwrap();
        assert_eq!(began.elapsed().as_secs(), waits);
        assert!(rig.world.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn what_became_of_scripts_can_be_read_while_the_instance_is_stuck() {
    let rig = Rig::new();
    let stop = shell("echo edge goes down", "half way\n", 0, 600);
    let start = shell("echo core is up", "", 0, 3600);
    rig.world.set_script(Script::default().command(stop).command(start));
    rig.world.add_fault(Fault::fail(Operation::RemoveInstance));
    let llcm = rig.open().await;
    let service = push(&llcm, &every_step()).await;
    let instance = run(&llcm, &service).await;
    assert_eq!(down(&llcm, instance.id).await.unwrap_err().code, ErrorCode::Stuck);
    let stuck = view(&llcm, instance.id).unwrap();
    let [_, stop] = scripts(&stuck, "edge.vdu01.0") else { panic!("two scripts ran") };
    assert_eq!((stop.phase.as_str(), stop.output.as_str(), stop.exit_code), ("stop", "half way\n", None));
    assert!(stop.error.as_deref().unwrap().contains("stop_grace"), "{stop:?}");
    let [core] = scripts(&stuck, "core.cdu01.0") else { panic!("one script ran") };
    assert!(core.error.as_deref().unwrap().contains("taken down"), "{core:?}");
    down(&llcm, instance.id).await.unwrap();
}

#[tokio::test]
async fn states_are_asked_from_the_engine() {
    let rig = Rig::new();
    let llcm = rig.open().await;
    let service = push(&llcm, &every_step()).await;
    let instance = run(&llcm, &service).await;
    let [first, second, ..] = &instance.containers[..] else { panic!("it has containers") };
    assert!(rig.world.exit(&first.engine_name, 7));
    let asked = llcm.instance(instance.id).await.unwrap().unwrap();
    assert_eq!(asked.containers[0].state, Some(ContainerState::Exited { code: Some(7) }));
    assert_eq!(asked.state, InstanceState::Degraded);
    assert_eq!(asked.reasons, [format!("container {} has exited with code 7", first.engine_name)]);
    assert!(rig.world.lose(&second.engine_name));
    let asked = llcm.instance(instance.id).await.unwrap().unwrap();
    assert_eq!((asked.state, asked.containers[1].state), (InstanceState::Degraded, None));

    rig.world.add_fault(Fault::fail(Operation::Inspect).kind(ErrorKind::Unavailable).always());
    assert_eq!(llcm.instance(instance.id).await.unwrap_err().code, ErrorCode::EngineUnavailable);
    down(&llcm, instance.id).await.unwrap();
    assert_eq!(llcm.instance(instance.id).await.unwrap(), None);
}

#[tokio::test]
async fn commands_and_output() {
    let rig = Rig::new();
    let output = ScriptedOutput {
        container: "mn.edge.*".to_owned(),
        stdout: "hello\n".to_owned(),
        stderr: String::new(),
    };
    let script = Script { output: vec![output], ..Script::default() };
    rig.world.set_script(script.command(ScriptedCommand::new(&["hostname"], "edge\n", 0)));
    let llcm = rig.open().await;
    let service = push(&llcm, &every_step()).await;
    let instance = run(&llcm, &service).await;
    let name = ContainerName::parse("edge.vdu01.0").unwrap();
    let spec = ExecSpec { argv: vec!["hostname".to_owned()], ..ExecSpec::default() };
    let mut out = Vec::new();
    let outcome = llcm.exec(instance.id, &name, &spec, &mut out).await.unwrap();
    assert_eq!((outcome.exit_code, out.as_slice()), (Some(0), b"edge\n".as_slice()));
    let mut out = Vec::new();
    llcm.logs(instance.id, &name, LogOptions::default(), &mut out).await.unwrap();
    assert_eq!(out, b"hello\n");

    let nobody = ContainerName::parse("nobody").unwrap();
    let error = llcm.exec(instance.id, &nobody, &spec, &mut Vec::new()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::ContainerNotFound);
    assert!(error.message.contains("it has edge.vdu01.0"), "{error}");
    assert!(rig.world.exit(&instance.containers[0].engine_name, 0));
    let error = llcm.exec(instance.id, &name, &spec, &mut Vec::new()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::WrongState);
}
