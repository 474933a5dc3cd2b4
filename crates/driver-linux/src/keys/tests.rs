//! Filters against the meaning of the match, over frames of all kinds.

use super::*;

/// What the kernel's `u32` classifier says of a frame without a tag: of several filters in order, the first whose
/// words are all as wanted; none when a word lies outside of the frame.
fn takes(filters: &[Match], frame: &[u8]) -> bool {
    for filter in filters {
        let words = match filter {
            Match::Words(words) => words.as_slice(),
            Match::All => &[],
            other => panic!("{other:?} is no filter of a chain"),
        };
        let mut all = true;
        for word in words {
            let at = usize::try_from(word.offset + 14).unwrap();
            let Some(bytes) = frame.get(at..at + 4) else { return false };
            let seen = u32::from_be_bytes(bytes.try_into().unwrap());
            if seen & word.mask != word.value & word.mask {
                all = false;
                break;
            }
        }
        if all {
            return true;
        }
    }
    false
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

const MATCHES: &[&str] = &[
    "",
    "dl_type=0x0800",
    "dl_src=02:00:00:00:00:01",
    "dl_dst=01:00:00:00:00:00/01:00:00:00:00:00",
    "dl_type=0x0800,nw_proto=6,tp_dst=80",
    "dl_type=0x0800,nw_proto=17,tp_src=80,tp_dst=1000",
    "dl_type=0x0800,nw_src=10.0.0.0/8",
    "dl_type=0x0800,nw_src=0.0.0.0/0,nw_dst=10.0.0.128/25,nw_proto=6",
    "dl_type=0x0806,nw_proto=1,nw_src=10.0.0.1,nw_dst=10.0.0.128/25",
    "dl_type=0x86dd,ipv6_src=fd00::/12,ipv6_dst=fd00::1",
    "dl_type=0x86dd,nw_proto=17,tp_dst=80",
    "dl_src=02:00:00:00:00:01,dl_type=0x88cc",
];

/// A frame of which every field is now and then as some match wants it.
fn frame(random: &mut Random) -> Vec<u8> {
    let macs: &[&[u8]] = &[&[2, 0, 0, 0, 0, 1], &[3, 0, 0, 0, 0, 1], &[0xff; 6]];
    let mut frame = random.pick(macs).to_vec();
    frame.extend(random.pick(macs));
    let kind = random.pick::<[u8]>(&[&[8, 0], &[8, 6], &[0x86, 0xdd], &[0x88, 0xcc]]).to_vec();
    frame.extend(&kind);
    let four: &[&[u8]] = &[&[10, 0, 0, 1], &[10, 0, 0, 200], &[11, 0, 0, 1]];
    let ports: &[&[u8]] = &[&[0, 80, 3, 232], &[3, 232, 0, 80], &[0, 80, 0, 80], &[1, 1, 1, 1]];
    match kind[..] {
        [8, 0] => {
            let words = [5, 5, 6, 15, 4][random.below(5)];
            frame.extend([0x40 | words, 0, 0, 60, 0, 0]);
            frame.extend(random.pick::<[u8]>(&[&[0, 0], &[0x20, 0], &[0, 1], &[0x40, 0]]));
            frame.extend([64, [6, 17, 1][random.below(3)], 0, 0]);
            frame.extend(random.pick(four));
            frame.extend(random.pick(four));
            frame.extend(vec![7; usize::from(words).saturating_sub(5) * 4]);
            frame.extend(random.pick(ports));
        }
        [8, 6] => {
            frame.extend([0, 1, 8, 0, 6, 4, 0, [1, 2][random.below(2)], 2, 0, 0, 0, 0, 1]);
            frame.extend(random.pick(four));
            frame.extend([0; 6]);
            frame.extend(random.pick(four));
        }
        [0x86, 0xdd] => {
            frame.extend([0x60, 0, 0, 0, 0, 8, [17, 6][random.below(2)], 64]);
            for _ in 0..2 {
                frame.extend([[0xfd, 0xfe][random.below(2)], 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
            }
            frame.extend(random.pick(ports));
        }
        _ => {}
    }
    frame.extend([0; 20]);
    frame
}

#[test]
fn filters_take_what_the_match_admits() {
    let mut random = Random(1);
    let mut taken = [0_u32; MATCHES.len()];
    for _ in 0..20_000 {
        let frame = frame(&mut random);
        for (text, taken) in MATCHES.iter().zip(&mut taken) {
            let matches: FrameMatch = text.parse().unwrap();
            let admitted = matches.admits(&frame);
            assert_eq!(takes(&of(&matches), &frame), admitted, "{text}: {frame:02x?}");
            *taken += u32::from(admitted);
        }
    }
    // A test in which nothing ever matches shows nothing.
    assert!(taken.iter().all(|count| *count > 10), "{taken:?}");
}

#[test]
fn a_frame_that_ends_early_is_given_up_only_at_its_own_words() {
    let web = of(&"dl_type=0x0800,nw_proto=6,tp_dst=80".parse().unwrap());
    assert_eq!(web.len(), 11);
    // The shortest frame there is, of another type: the first word that it lacks is never looked at.
    let other = [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5][..]].concat();
    for filter in &web {
        let Match::Words(words) = filter else { panic!("{filter:?}") };
        let first = words[0];
        let at = usize::try_from(first.offset + 14).unwrap();
        let seen = u32::from_be_bytes(other[at..at + 4].try_into().unwrap());
        assert_ne!(seen & first.mask, first.value);
    }
}
