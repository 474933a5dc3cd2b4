//! Order of steps and of undoing them.

use super::*;

fn name(text: &str) -> EngineName {
    EngineName::parse(text).unwrap()
}

fn create(text: &str) -> Step {
    Step::CreateContainer { container: name(text) }
}

fn start(text: &str) -> Step {
    Step::StartContainer { container: name(text) }
}

fn attach(text: &str, port: u32) -> Step {
    Step::AttachPort { container: name(text), port: PortId::new(port) }
}

fn ensure(segment: u32) -> Step {
    Step::EnsureSegment { segment: SegmentId::try_from(segment).unwrap() }
}

#[test]
fn containers_are_undone_newest_first_and_the_network_in_one_go() {
    let begun = [
        ensure(1),
        ensure(2),
        create("mn.a"),
        create("mn.b"),
        start("mn.a"),
        attach("mn.a", 7),
        create("mn.c"),
    ];
    let undo = TakeDown::of(begun.iter());
    assert_eq!(undo, TakeDown { network: true, containers: vec![name("mn.c"), name("mn.b"), name("mn.a")] });
    assert_eq!(undo.len(), 4);
}

#[test]
fn what_was_not_begun_is_not_undone() {
    assert!(TakeDown::of([].iter()).is_empty());
    let undo = TakeDown::of([create("mn.a"), start("mn.a")].iter());
    assert_eq!(undo, TakeDown { network: false, containers: vec![name("mn.a")] });
    assert_eq!(TakeDown::of([ensure(1)].iter()), TakeDown { network: true, containers: vec![] });
}

#[test]
fn a_step_is_written_down_with_the_names_of_the_plan() {
    let text = |step: &Step| serde_json::to_string(step).unwrap();
    assert_eq!(
        text(&attach("mn.vnf0.vdu01.0", 7)),
        r#"{"do":"attach-port","container":"mn.vnf0.vdu01.0","port":7}"#
    );
    assert_eq!(text(&ensure(3)), r#"{"do":"ensure-segment","segment":3}"#);
    let image = |engine: Option<&str>| Step::EnsureImage {
        image: "a:1".to_owned(),
        engine: engine.map(EngineId::new),
    };
    assert_eq!(text(&image(None)), r#"{"do":"ensure-image","image":"a:1"}"#);
    assert_eq!(text(&image(Some("b"))), r#"{"do":"ensure-image","image":"a:1","engine":"b"}"#);
    assert_eq!(image(Some("b")).to_string(), "ensure image a:1 in engine b");
    for step in [ensure(3), create("mn.a"), start("mn.a"), attach("mn.a", 1), image(None), image(Some("b"))] {
        assert_eq!(serde_json::from_str::<Step>(&text(&step)).unwrap(), step);
    }
    assert_eq!(start("mn.vnf0.vdu01.0").to_string(), "start container mn.vnf0.vdu01.0");
}
