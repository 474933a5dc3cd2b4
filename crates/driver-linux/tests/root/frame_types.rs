//! Which kinds of frames a segment carries: all that an E-Line is given, and of an E-LAN's all but those that no bridge may
//! forward. The table of `docs/network.md` is what is seen here.

use std::fmt::Write as _;

use llcm_runtime::{NetworkDriver, PortSpec, SegmentKind};

use crate::bed::{Bed, E_LINE, Plug, line};
use crate::frames::{Listener, catalogue, send};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/network.md");
/// What the table stands between.
const MARKS: [&str; 2] = ["<!-- frames: made by a test -->", "<!-- end of frames -->"];
/// Writes the page's table instead of comparing it.
const WRITE: &str = "LLCM_UPDATE_DOCS";

/// Two containers on a segment: what the second one heard of each kind that the first one sent, unchanged.
async fn passes(bed: &mut Bed, number: u32, kind: SegmentKind, far: &str) -> Vec<(&'static str, bool)> {
    let instance = bed.instance(0);
    let ports = [number * 10, number * 10 + 1];
    // An E-LAN with a third end, which nobody attaches, is made of bridges.
    let ends = [(ports[0], "dc1"), (ports[1], far), (ports[1] + 1, "dc1")];
    let count = if kind == E_LINE { 2 } else { 3 };
    bed.ensure(&instance, number, kind, &ends[..count]).await;
    let mut specs = Vec::new();
    for (port, dc) in [(ports[0], "dc1"), (ports[1], far)] {
        let name = format!("c{port}");
        bed.container(&name);
        let plug = Plug { port, dc, container: &name, ifname: "data", address: "", segments: &[number] };
        let spec = PortSpec { mtu: 9000, ..bed.port(&instance, &plug) };
        bed.network().attach(&spec, &bed.point(&name)).await.unwrap();
        specs.push((bed.netns(&name), spec.mac.octets()));
    }
    let [(sender, from), (receiver, to)] = specs.try_into().unwrap();
    let frames = catalogue(from, to, usize::try_from(number).unwrap() * 100);
    let listener = Listener::begin(Some(&receiver));
    send(&sender, "data", &frames);
    let heard = listener.end();
    let times = |frame: &crate::frames::Frame| heard.iter().filter(|it| it.bytes == frame.bytes).count();
    for frame in &frames {
        assert!(times(frame) < 2, "{} came twice", frame.name);
        let carried = heard.iter().filter(|it| it.number == Some(frame.number())).count();
        assert_eq!(carried, times(frame), "{} came changed: {heard:x?}", frame.name);
    }
    frames.iter().map(|frame| (frame.name, times(frame) == 1)).collect()
}

#[tokio::test]
async fn the_page_says_which_kinds_of_frames_pass() {
    let Some(mut bed) = Bed::new(&line()).await else { return };
    let mut columns = Vec::new();
    for (number, (kind, far)) in (1..).zip([
        (E_LINE, "dc1"),
        (E_LINE, "dc2"),
        (E_LINE, "dc3"),
        (SegmentKind::ELan, "dc1"),
        (SegmentKind::ELan, "dc2"),
        (SegmentKind::ELan, "dc3"),
    ]) {
        let column = passes(&mut bed, number, kind, far).await;
        for (name, passed) in &column {
            // 802.3, annex 31B: PAUSE is between the two ends of a cable.
            let wanted = kind == E_LINE || !name.starts_with("PAUSE");
            assert_eq!(*passed, wanted, "{name} on {kind:?} to {far}");
        }
        columns.push(column);
    }
    let mut table = String::from(
        "| frame | E-Line, within | 1 hop | 2 hops | E-LAN, within | 1 hop | 2 hops |\n|---|---|---|---|---|---|---|\n",
    );
    for (row, (name, _)) in columns[0].iter().enumerate() {
        let cells = columns.iter().map(|column| if column[row].1 { "passes" } else { "stopped" });
        writeln!(table, "| {name} | {} |", cells.collect::<Vec<_>>().join(" | ")).unwrap();
    }
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(MARKS[0]).unwrap();
    let (present, after) = rest.split_once(MARKS[1]).unwrap();
    let wanted = format!("\n{table}");
    if present == wanted {
        return;
    }
    assert!(
        std::env::var_os(WRITE).is_some(),
        "docs/network.md shows another table; set {WRITE}=1 and run this test again to write:\n{table}"
    );
    std::fs::write(PAGE, format!("{before}{}{wanted}{}{after}", MARKS[0], MARKS[1])).unwrap();
}
