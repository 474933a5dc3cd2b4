//! Seen from inside: what a container may do, and what of the host it sees.

use std::fs;

use llcm_engine::Spec;
use llcm_engine::capability::Capability;

use crate::kit::Fixture;

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("capabilities_are_those_given", capabilities_are_those_given),
    ("system_calls_of_the_list_are_refused", system_calls_of_the_list_are_refused),
    ("a_router_may_set_its_network_and_nothing_else", a_router_may_set_its_network_and_nothing_else),
    ("nothing_of_the_host_is_visible", nothing_of_the_host_is_visible),
];

fn capabilities_are_those_given() {
    let it = Fixture::new();
    let script = "grep CapBnd /proc/self/status; mknod /tmp/n c 1 3 2>/dev/null || echo no node; \
                  chown 1:1 /tmp && echo chown";
    let (_, log) = it.output(Spec::new("a", "host"), script);
    // CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, NET_RAW,
    // SYS_CHROOT, AUDIT_WRITE and SETFCAP by number.
    let mask: u64 = [0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 29, 31].iter().map(|bit| 1_u64 << bit).sum();
    assert_eq!(log, format!("CapBnd:\t{mask:016x}\nno node\nchown\n"));
    let spec = Spec {
        cap_drop: vec![Capability::CHOWN],
        cap_add: vec![Capability::MKNOD],
        ..Spec::new("b", "host")
    };
    let (_, log) =
        it.output(spec, "mknod /tmp/n c 1 3 && echo node; chown 1:1 /tmp 2>/dev/null || echo no chown");
    assert_eq!(log, "node\nno chown\n");
    // A node in the container's files is only a name there.
    let spec = Spec { cap_add: vec![Capability::MKNOD], ..Spec::new("c", "host") };
    let (_, log) = it.output(spec, "mknod /root/n c 1 5; head -c 1 /root/n 2>&1 | grep -o denied");
    assert_eq!(log, "denied\n");
}

fn system_calls_of_the_list_are_refused() {
    let it = Fixture::new();
    let script = "unshare -U true 2>&1 | grep -o 'not permitted'; unshare -m true 2>&1 | grep -o 'not permitted'; \
                  mount -t tmpfs none /mnt 2>&1 | grep -o -m1 -E 'denied|not permitted'; \
                  dmesg 2>&1 | grep -o 'not permitted'; (sleep 0 & wait) && echo forks";
    let (_, log) = it.output(Spec::new("a", "host"), script);
    let lines: Vec<_> = log.lines().collect();
    assert_eq!(lines.len(), 5, "{log}");
    assert!(lines[..4].iter().all(|line| line.contains("permitted") || line.contains("denied")), "{log}");
    assert_eq!(lines[4], "forks");
    // With the capability, mounts work, for somebody asked for them.
    let spec = Spec { cap_add: vec![Capability::SYS_ADMIN], ..Spec::new("b", "host") };
    let (exit, log) = it.output(spec, "mount -t tmpfs none /mnt && unshare -m true");
    assert_eq!(exit.code, Some(0), "{log}");
}

fn a_router_may_set_its_network_and_nothing_else() {
    let it = Fixture::new();
    let host = fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap();
    let script = "cd /proc/sys; (echo 1 > net/ipv4/ip_forward) 2>/dev/null && cat net/ipv4/ip_forward; \
                  (echo 7 > kernel/printk) 2>/dev/null || echo not the machine; \
                  ip link add v0 type veth peer name v1 2>/dev/null && echo link";
    let spec = Spec { cap_add: vec![Capability::NET_ADMIN], ..Spec::new("a", "host") };
    let (_, log) = it.output(spec, script);
    assert_eq!(log, "1\nnot the machine\nlink\n");
    let (_, log) = it.output(Spec::new("b", "host"), script);
    assert_eq!(log, "not the machine\n");
    assert_eq!(fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap(), host);
}

fn nothing_of_the_host_is_visible() {
    let it = Fixture::new();
    let secret = it.directory.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    let script = format!(
        "exec 2>&1; test ! -e {} && echo no files; test ! -e /etc/shadow && echo no users; \
         set -- /proc/[0-9]*; echo $#; cat /proc/self/cgroup | grep -vc ':/$'; ls /sys/class/net; \
         ls /proc/self/fd | tr '\\n' ' '; echo; env | cut -d= -f1 | sort | tr '\\n' ' '; echo; \
         cat /proc/keys | wc -c; ls /sys/firmware | wc -l; \
         (echo x > /usr/x) 2>/dev/null || echo programs are read-only; cat /dev/vda 2>&1 | grep -o 'No such'",
        secret.display()
    );
    let (_, log) = it.output(Spec::new("a", "host"), &script);
    let expected =
        "no files\nno users\n1\n0\nlo\n0 1 2 3 \nHOME PATH PWD \n0\n0\nprograms are read-only\nNo such\n";
    assert_eq!(log, expected);
    // What is mounted is the container's: of the host only the programs, and no path of its state.
    let (_, log) = it.output(Spec::new("b", "host"), "cut -d' ' -f5 /proc/self/mountinfo");
    let allowed =
        ["/", "/usr", "/etc/alternatives", "/etc/ld", "/proc", "/sys", "/dev", "/bin", "/sbin", "/lib"];
    for point in log.lines() {
        assert!(allowed.iter().any(|it| point == *it || (*it != "/" && point.starts_with(it))), "{point}");
    }
}
