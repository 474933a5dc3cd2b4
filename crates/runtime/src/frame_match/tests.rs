//! What is read, what is refused, and which frames are taken.

use super::*;

fn parse(text: &str) -> FrameMatch {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn fields_of_all_versions_are_read_and_written_in_one_way() {
    for (text, canonical) in [
        ("", ""),
        (" \t", ""),
        ("dl_type=0x0800,nw_proto=17", "dl_type=0x0800,nw_proto=17"),
        ("eth_type=2048 , ip_proto=0x6, tcp_dst=80", "dl_type=0x0800,nw_proto=6,tp_dst=80"),
        ("tp_src=1,nw_proto=132,dl_type=0x86dd", "dl_type=0x86dd,nw_proto=132,tp_src=1"),
        (
            "dl_type=0x800,nw_src=10.0.0.0/8,nw_dst=10.0.0.1",
            "dl_type=0x0800,nw_src=10.0.0.0/8,nw_dst=10.0.0.1",
        ),
        ("dl_type=0x0800,ipv4_dst=10.1.0.0/255.255.0.0", "dl_type=0x0800,nw_dst=10.1.0.0/16"),
        ("dl_type=0x0806,nw_proto=1,nw_dst=10.0.0.1", "dl_type=0x0806,nw_proto=1,nw_dst=10.0.0.1"),
        (
            "eth_type=0x86dd,ipv6_src=fd00::/8,ipv6_dst=fd00::1",
            "dl_type=0x86dd,ipv6_src=fd00::/8,ipv6_dst=fd00::1",
        ),
        ("dl_dst=FF:ff:ff:ff:ff:ff", "dl_dst=ff:ff:ff:ff:ff:ff"),
        ("eth_src=01:00:00:00:00:00/01:00:00:00:00:00", "dl_src=01:00:00:00:00:00/01:00:00:00:00:00"),
        ("dl_type=0x0800,nw_src=0.0.0.0/0", "dl_type=0x0800,nw_src=0.0.0.0/0"),
    ] {
        let read = parse(text);
        assert_eq!(read.to_string(), canonical, "{text}");
        assert_eq!(parse(canonical), read, "{text}");
        let json = serde_json::to_string(&read).unwrap();
        assert_eq!(json, format!("{canonical:?}"));
        assert_eq!(serde_json::from_str::<FrameMatch>(&json).unwrap(), read);
        assert_eq!(read.is_all(), canonical.is_empty());
    }
}

#[test]
fn what_is_no_match_is_refused_with_its_column() {
    for (text, column, told) in [
        ("colour=red", 1, "there is no field `colour`; known are dl_src"),
        ("dl_type=0x0800,foo=1", 16, "there is no field `foo`"),
        ("dl_type=0x0800,  foo=1", 18, "there is no field `foo`"),
        ("dl_vlan=7", 1, "`dl_vlan` cannot be matched: the kernel takes VLAN tags off"),
        ("in_port=1", 1, "the source says it"),
        ("tcp", 1, "there is no field `tcp`"),
        ("dl_type", 1, "`dl_type` has no value"),
        ("dl_type=", 9, "`dl_type`: a number from"),
        ("dl_type=0x10000", 9, "0x0600 to 0xffff"),
        ("dl_type=+5", 9, "not `+5`"),
        ("dl_type=1500", 9, "is a length"),
        ("dl_type=0x8100", 9, "VLAN"),
        ("dl_type=0x0800,nw_proto=256", 25, "0 to 255"),
        ("dl_type=0x0800,nw_proto= six", 26, "not `six`"),
        (",", 1, "a field is missing"),
        ("dl_type=0x0800,", 16, "a field is missing"),
        ("dl_type=0x0800,dl_type=0x0800", 16, "given twice"),
        ("dl_type=0x0800,eth_type=0x0800", 16, "`eth_type` and `dl_type` are one field"),
        ("nw_proto=6", 1, "needs `dl_type=0x0800`, `dl_type=0x86dd` or"),
        ("dl_type=0x88cc,nw_proto=6", 16, "needs `dl_type=0x0800`"),
        ("nw_src=10.0.0.1", 1, "needs `dl_type=0x0800` or `dl_type=0x0806`"),
        ("dl_type=0x86dd,nw_src=10.0.0.1", 16, "needs `dl_type=0x0800`"),
        ("dl_type=0x0800,ipv6_src=::1", 16, "needs `dl_type=0x86dd`"),
        ("dl_type=0x0800,nw_src=10.0.0.1/8", 23, "bits set behind its prefix of 8 bits"),
        ("dl_type=0x0800,nw_src=10.0.0.0/33", 23, "IPv4 address"),
        ("dl_type=0x0800,nw_src=10.0.0.0/255.0.255.0", 23, "IPv4 address"),
        ("dl_type=0x0800,nw_src=fd00::1", 23, "IPv4 address"),
        ("dl_type=0x86dd,ipv6_src=10.0.0.1", 25, "IPv6 address"),
        ("dl_type=0x0800,tp_dst=80", 16, "needs `nw_proto=6`, `nw_proto=17`"),
        ("dl_type=0x0800,nw_proto=17,tcp_dst=80", 28, "`tcp_dst` needs `nw_proto=6`"),
        ("dl_type=0x0806,nw_proto=6,tp_dst=80", 27, "needs `dl_type=0x0800` or `dl_type=0x86dd`"),
        ("dl_type=0x0800,nw_proto=6,tp_dst=80,tcp_dst=80", 37, "are one field"),
        ("dl_src=02:00:00:00:00", 8, "MAC address"),
        ("dl_src=02:00:00:00:00:01/ff:00:00:00:00:00", 8, "mask leaves out"),
        ("ä=1,foo=2", 1, "there is no field"),
        ("dl_type=0x0800,nw_proto=ä,x=1", 25, "not `ä`"),
    ] {
        let error = text.parse::<FrameMatch>().unwrap_err();
        assert_eq!(error.column, column, "{text}: {error}");
        assert!(error.message.contains(told), "{text}: {error}");
    }
    let long = format!("dl_type=0x0800,nw_src={}", "1".repeat(LONGEST));
    assert_eq!(long.parse::<FrameMatch>().unwrap_err().column, LONGEST + 1);
}

/// A frame from 02:00:00:00:00:01 to 02:00:00:00:00:02.
fn frame(kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    frame.extend(kind.to_be_bytes());
    frame.extend(payload);
    frame
}

/// TCP over IPv4 from 10.0.0.1:1000 to 10.0.1.2:80, with so many words of header, at an offset.
fn tcp(words: u8, offset: u16) -> Vec<u8> {
    let mut packet = vec![0x40 | words, 0, 0, 60, 0, 0];
    packet.extend(offset.to_be_bytes());
    packet.extend([64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 1, 2]);
    packet.resize(usize::from(words) * 4, 1);
    packet.extend(1000_u16.to_be_bytes());
    packet.extend(80_u16.to_be_bytes());
    packet.extend([0; 16]);
    packet
}

#[test]
fn frames_are_taken_by_their_fields() {
    let plain = frame(IPV4, &tcp(5, 0));
    for text in [
        "",
        "dl_type=0x0800",
        "dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:02",
        "dl_dst=02:00:00:00:00:00/ff:00:00:00:00:00",
        "dl_type=0x0800,nw_proto=6,nw_src=10.0.0.1,nw_dst=10.0.1.0/24,tp_src=1000,tp_dst=80",
    ] {
        assert!(parse(text).admits(&plain), "{text}");
    }
    for text in [
        "dl_type=0x86dd",
        "dl_src=02:00:00:00:00:02",
        "dl_dst=03:00:00:00:00:00/ff:00:00:00:00:00",
        "dl_type=0x0800,nw_proto=17",
        "dl_type=0x0800,nw_src=10.0.0.2",
        "dl_type=0x0800,nw_dst=10.0.0.0/24",
        "dl_type=0x0800,nw_proto=6,tp_dst=81",
        "dl_type=0x0800,nw_proto=6,tp_src=80",
    ] {
        assert!(!parse(text).admits(&plain), "{text}");
    }
}

#[test]
fn ports_are_found_behind_options_and_only_in_first_fragments() {
    let web = parse("dl_type=0x0800,nw_proto=6,tp_dst=80");
    for words in 5..=15 {
        assert!(web.admits(&frame(IPV4, &tcp(words, 0))), "{words}");
        assert!(web.admits(&frame(IPV4, &tcp(words, 0x2000))), "a first fragment");
        assert!(!web.admits(&frame(IPV4, &tcp(words, 0x2001))), "a later fragment");
    }
    assert!(!web.admits(&frame(IPV4, &tcp(4, 0))), "no IPv4 header is so short");
    let whole = frame(IPV4, &tcp(5, 0));
    assert!(!web.admits(&whole[..37]), "its port is cut off");
    assert!(parse("dl_type=0x0800,nw_proto=6").admits(&frame(IPV4, &tcp(5, 7))));
}

#[test]
fn a_tag_is_passed_over_and_the_other_protocols_are_known() {
    let mut tagged = vec![0, 7];
    tagged.extend(IPV4.to_be_bytes());
    tagged.extend(tcp(5, 0));
    assert!(parse("dl_type=0x0800,nw_proto=6,tp_dst=80").admits(&frame(0x8100, &tagged)));
    assert!(!parse("dl_type=0x0806").admits(&frame(0x8100, &tagged)));

    let mut arp = vec![0, 1, 8, 0, 6, 4, 0, 1];
    arp.extend([2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2]);
    let arp = frame(ARP, &arp);
    assert!(parse("dl_type=0x0806,nw_proto=1,nw_src=10.0.0.1,nw_dst=10.0.0.2").admits(&arp));
    assert!(!parse("dl_type=0x0806,nw_proto=2").admits(&arp));
    assert!(!parse("dl_type=0x0806,nw_dst=10.0.0.3").admits(&arp));

    let mut six = vec![0x60, 0, 0, 0, 0, 8, 17, 64];
    six.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    six.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    six.extend([0, 53, 0, 54, 0, 8, 0, 0]);
    let six = frame(IPV6, &six);
    assert!(parse("dl_type=0x86dd,nw_proto=17,ipv6_src=fd00::1,ipv6_dst=fd00::/64,udp_src=53").admits(&six));
    assert!(!parse("dl_type=0x86dd,nw_proto=17,udp_dst=53").admits(&six));
    assert!(!parse("dl_type=0x86dd,ipv6_dst=fd00::1").admits(&six));
}

/// Words of the language and of none, in all kinds of orders: never a panic, and what is read is read back.
#[test]
fn any_text_is_read_or_refused() {
    let words = [
        "dl_type",
        "=",
        "0x0800",
        ",",
        "nw_proto",
        "6",
        "tp_dst",
        "80",
        "nw_src",
        "10.0.0.0/8",
        " ",
        "/",
        "ä",
        "\0",
        "dl_src",
        "02:00:00:00:00:01",
        "ipv6_dst",
        "fd00::1",
        "0x86dd",
        "99999999999999999999",
    ];
    let mut seed = 1_u64;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..12 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let index = usize::try_from(seed >> 33).unwrap() % words.len();
            text.push_str(words[index]);
        }
        match text.parse::<FrameMatch>() {
            Ok(read) => assert_eq!(parse(&read.to_string()), read, "{text}"),
            Err(error) => assert!((1..=text.chars().count() + 1).contains(&error.column), "{text}: {error}"),
        }
    }
}
