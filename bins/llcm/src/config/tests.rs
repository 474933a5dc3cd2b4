//! The three ways to set something are the same, and take precedence as they should.

use std::collections::BTreeSet;

use clap::{Arg, Args as _, Command, FromArgMatches as _};
use llcm_lifecycle::Dialect;

use super::*;

/// The settings as flags and variables, as `serve` has them.
fn with_environment() -> Command {
    RawConfig::augment_args(Command::new("llcm").no_binary_name(true))
}

fn flags(words: &[&str]) -> RawConfig {
    let matches = file::table().try_get_matches_from(words).unwrap();
    RawConfig::from_arg_matches(&matches).unwrap()
}

/// A valid value of each setting; one that is missing here is missing in the tests.
const VALUES: &[(&str, &str)] = &[
    ("allowed_capabilities", "NET_ADMIN,SYS_ADMIN"),
    ("allowed_devices", "/dev/kvm"),
    ("allowed_hosts", "emulator.example"),
    ("allowed_ipc_modes", "private,host"),
    ("allowed_origins", "https://lab.example:8443"),
    ("audit_files", "2"),
    ("audit_size", "1MiB"),
    ("auto_delete", "true"),
    ("auto_deploy", "true"),
    ("best_effort", "true"),
    ("bidirectional_chain", "false"),
    ("body_timeout", "3"),
    ("build_images", "true"),
    ("change_deadline", "60"),
    ("data_dir", "/srv/llcm"),
    ("deploy_saps", "true"),
    ("docker_management", "true"),
    ("docker_host", "unix:///run/other.sock"),
    ("drain_limit", "20"),
    ("elan_pool", "10.1.0.0/24x10"),
    ("eline_pool", "10.0.0.0/24x10"),
    ("engine", "simulated"),
    ("env_dir", "/etc/llcm/envs"),
    ("force_pull", "true"),
    ("header_timeout", "3"),
    ("heal", "true"),
    ("image_deadline", "300"),
    ("image_map", "ubuntu:trusty=host,vnf=other:1"),
    ("insecure_plain_http", "true"),
    ("insecure_registries", "registry.example:5000"),
    ("instantiation_queue", "3"),
    ("instantiation_wait", "3"),
    ("instantiations", "3"),
    ("integrity", "warn"),
    ("links", "declared"),
    ("listen", "127.0.0.1:5001"),
    ("log", "debug"),
    ("max_connections", "100"),
    ("look_deadline", "10"),
    ("max_depth", "4"),
    ("max_descriptor", "10KiB"),
    ("max_entries", "100"),
    ("max_instances", "7"),
    ("max_ratio", "50"),
    ("max_unpacked", "1GiB"),
    ("max_upload", "1GiB"),
    ("min_free_disk", "1GiB"),
    ("mtu", "1400"),
    ("network_deadline", "120"),
    ("placement", "first"),
    ("placement_file", "placement.yml"),
    ("placement_seed", "7"),
    ("port_offset", "100"),
    ("publish_address", "127.0.0.1"),
    ("registry_config", "/etc/llcm/registries.json"),
    ("require_tokens", "true"),
    ("results_dir", "/srv/results"),
    ("retry_first", "5"),
    ("retry_longest", "60"),
    ("sap", "input=external,ns:mgmt=internal"),
    ("sap_image", "example/sap:1"),
    ("sap_nat", "true"),
    ("sap_pool", "10.9.0.0/30x16"),
    ("sap_vnfd", "sap.yml"),
    ("simulated_script", "script.yml"),
    ("sonata", "force_pull=true,placement=first"),
    ("start_concurrency", "2"),
    ("stop_grace", "10"),
    ("stop_instances", "true"),
    ("tango", "auto_deploy=true"),
    ("tls_cert", "/etc/llcm/cert.pem"),
    ("tls_key", "/etc/llcm/key.pem"),
    ("tls_timeout", "3"),
    ("tokens_file", "/etc/llcm/tokens.json"),
    ("topology", "topology.yml"),
    ("upload_concurrency", "2"),
    ("upload_deadline", "60"),
    ("vcpus", "count"),
];

#[test]
fn every_setting_is_a_flag_a_variable_and_a_key() {
    let command = with_environment();
    let keys: BTreeSet<&str> = command.get_arguments().map(|argument| argument.get_id().as_str()).collect();
    assert_eq!(keys, VALUES.iter().map(|(key, _)| *key).collect(), "VALUES lists other settings");
    for argument in command.get_arguments() {
        let key = argument.get_id().as_str();
        let flag = argument.get_long().unwrap_or_else(|| panic!("{key} has no flag"));
        assert_eq!(flag.replace('-', "_"), key);
        let variable = argument.get_env().unwrap_or_else(|| panic!("{key} has no variable"));
        assert_eq!(variable.to_str().unwrap(), format!("LLCM_{}", key.to_uppercase()));
        assert!(argument.get_help().is_some(), "{key} is not explained");
    }
    for (key, value) in VALUES {
        let by_flag = flags(&[&format!("--{}={value}", key.replace('_', "-"))]);
        assert_ne!(by_flag, RawConfig::default(), "{key} does nothing");
        let text = value.split(',').collect::<Vec<_>>().join(", ");
        let by_file = file::parse(&format!("{key}: [{text}]\n")).unwrap();
        assert_eq!(by_file, by_flag, "{key} means different things");
        assert_eq!(file::from_settings(&[format!("{key}={value}")]).unwrap(), by_flag);
    }
}

#[test]
fn the_readme_lists_every_setting() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    let (_, rest) = readme.split_once("<!-- settings: begin -->\n").unwrap();
    let (listed, _) = rest.split_once("<!-- settings: end -->").unwrap();
    let mut table = "| key | value | meaning |\n|---|---|---|\n".to_owned();
    for argument in with_environment().get_arguments() {
        let value = argument.get_value_names().map_or(String::new(), |names| names[0].to_string());
        let row = format!("| `{}` | {value} | {} |\n", argument.get_id(), argument.get_help().unwrap());
        table.push_str(&row);
    }
    assert_eq!(listed, table, "the table of settings in README.md should be:\n{table}");
}

#[test]
fn flags_win_over_the_file_and_the_file_over_defaults() {
    let file = file::parse("port_offset: 7\nlisten: [127.0.0.1:1, tango=127.0.0.1:2]\nmtu: 1400\n").unwrap();
    let merged = flags(&["--port-offset=9"]).over(file);
    let config = merged.resolve().unwrap();
    assert_eq!(config.settings.port_offset, 9);
    assert_eq!(config.settings.mtu, 1400);
    assert_eq!(config.listen.iter().map(|listen| listen.address.port()).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(config.settings.stop_grace, Duration::from_secs(5));
    assert_eq!(config.settings.limits.compressed_bytes, 512 << 20);
}

#[test]
fn a_listener_has_a_dialect() {
    let listeners = |raw: RawConfig| -> Vec<_> {
        let config = raw.resolve().unwrap();
        config.listen.iter().map(|listen| (listen.dialect, listen.address.to_string())).collect()
    };
    let tango = |address: &str| (Dialect::Tango, address.to_owned());
    assert_eq!(listeners(RawConfig::default()), [tango("127.0.0.1:5000")]);
    let both = ["--listen=127.0.0.1:1", "--listen=sonata=[::1]:2,tango=127.0.0.1:3"];
    let sonata = (Dialect::Sonata, "[::1]:2".to_owned());
    assert_eq!(listeners(flags(&both)), [tango("127.0.0.1:1"), sonata, tango("127.0.0.1:3")]);
}

#[test]
fn an_empty_list_in_the_file_is_not_the_default() {
    let config = file::parse("allowed_capabilities: []\nallowed_devices: null\n").unwrap().resolve().unwrap();
    assert!(config.settings.policy.capabilities.is_empty());
    assert_eq!(config.settings.policy.devices, Settings::default().policy.devices);
}

#[test]
fn what_is_wrong_in_the_file_is_named() {
    for (text, expected) in [
        ("port_ofset: 1", "unknown key `port_ofset`; did you mean `port_offset`?"),
        ("port-offset: 1", "unknown key `port-offset`; did you mean `port_offset`?"),
        ("colour: red", "unknown key `colour`; `llcm serve --help` lists all settings"),
        ("port_offset: many", "`port_offset`: `many`: invalid digit found in string"),
        ("integrity: sometimes", "`integrity`: `sometimes`: expected one of enforce, warn, off"),
        ("engine: podman", "`engine`: `podman`: expected one of embedded, docker, simulated"),
        ("mtu: 100", "`mtu`: `100`: 100 is not in 576..=9000"),
        ("best_effort: perhaps", "`best_effort`: `perhaps`: expected one of true, false"),
        ("topology: {datacenters: []}", "`topology`: expected a word, a number or a list, not a map"),
        (
            "max_upload: 3 apples",
            "`max_upload`: `3 apples`: unknown unit `apples`: B, KiB, MiB, GiB, kB, MB or GB",
        ),
        (
            "eline_pool: 10.0.0.0/24",
            "`eline_pool`: `10.0.0.0/24`: expected the first subnet and their number (20.0.0.0/24x256)",
        ),
        (
            "listen: osm=127.0.0.1:5001",
            "`listen`: `osm=127.0.0.1:5001`: unknown dialect `osm`: write tango=ADDRESS:PORT or sonata=ADDRESS:PORT",
        ),
        ("port_offset: [1, 2]", "`port_offset`: expected one value"),
    ] {
        let error = format!("{:#}", file::parse(text).unwrap_err());
        assert_eq!(error, expected, "{text}");
    }
    let error = format!("{:#}", file::parse("listen: [").unwrap_err());
    assert!(error.starts_with("no YAML map of settings: "), "{error}");
    assert_eq!(file::parse("# nothing\n").unwrap(), RawConfig::default());
}

#[test]
fn tokens_do_not_cross_a_network_in_clear_text_unless_told_otherwise() {
    for address in ["0.0.0.0:5000", "[::]:5000", "192.0.2.1:5000", "sonata=192.0.2.1:5000"] {
        let listen = flags(&[&format!("--listen=127.0.0.1:1,{address}")]);
        let error = listen.clone().resolve().unwrap_err().to_string();
        assert!(error.contains("--tls-cert") && error.contains("--insecure-plain-http"), "{error}");
        for more in [&["--insecure-plain-http"][..], &["--tls-cert=cert.pem", "--tls-key=key.pem"]] {
            let config = flags(more).over(listen.clone()).resolve().unwrap();
            let why = config.access.needs_token.unwrap();
            assert!(why.contains("other machines"), "{why}");
        }
    }
    for address in ["127.0.0.1:0", "[::1]:5000", "localhost:5000", "tango=127.0.0.2:5000"] {
        let config = flags(&[&format!("--listen={address}")]).resolve().unwrap();
        assert_eq!(config.access.needs_token, None, "{address}");
    }
    assert!(flags(&["--require-tokens"]).resolve().unwrap().access.needs_token.is_some());
    for half in ["--tls-cert=cert.pem", "--tls-key=key.pem"] {
        assert!(flags(&[half]).resolve().is_err());
    }
}

#[test]
fn origins_are_origins() {
    assert!(flags(&["--allowed-origins=https://a.example,http://b.example:8080/"]).resolve().is_ok());
    for bad in ["*", "a.example", "https://", "https://*.example", "https://a.example/page", "null"] {
        assert!(flags(&[&format!("--allowed-origins={bad}")]).resolve().is_err(), "{bad}");
    }
}

#[test]
fn capabilities_are_written_as_people_write_them() {
    let config = file::parse("allowed_capabilities: [cap_sys_admin, NET_RAW]\n").unwrap().resolve().unwrap();
    let words: Vec<&str> = config.settings.policy.capabilities.iter().map(String::as_str).collect();
    assert_eq!(words, ["NET_RAW", "SYS_ADMIN"]);
}

#[test]
fn sizes_are_powers_of_what_their_unit_says() {
    use values::ByteSize;
    for (text, bytes) in
        [("0", 0), ("17", 17), ("1kB", 1000), ("1 KiB", 1024), ("2Mi", 2 << 20), ("3 gb", 3_000_000_000)]
    {
        assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
    }
    for text in ["", "KiB", "1.5G", "-1", "99999999999GiB"] {
        assert!(text.parse::<ByteSize>().is_err(), "{text}");
    }
}

#[test]
fn the_environment_is_read_for_flags_only() {
    let with = |argument: Arg| argument.get_env().is_some();
    assert!(file::table().get_arguments().cloned().all(|argument| !with(argument)));
    assert!(with_environment().get_arguments().cloned().all(with));
}

#[test]
fn a_dialect_has_settings_of_its_own() {
    let file = "
force_pull: true
placement: first
sonata: {force_pull: false, auto_deploy: true, placement_seed: 7}
tango:
  build_images: true
";
    let by_file = file::parse(file).unwrap();
    let set = ["force_pull=true", "placement=first", "sonata.force_pull=false", "sonata.auto_deploy=true"];
    let set: Vec<_> = set.into_iter().chain(["sonata.placement_seed=7", "tango.build_images=true"]).collect();
    let set: Vec<_> = set.into_iter().map(str::to_owned).collect();
    let by_set = file::from_settings(&set).unwrap();
    let by_flag = flags(&[
        "--force-pull",
        "--placement=first",
        "--sonata=force_pull=false,auto_deploy=true",
        "--sonata=placement_seed=7",
        "--tango=build_images=true",
    ]);
    for raw in [by_file.clone(), by_set, by_flag] {
        let settings = raw.settings().unwrap();
        let (tango, sonata) = (settings.of(Dialect::Tango), settings.of(Dialect::Sonata));
        assert_eq!([tango.force_pull, tango.build_images, tango.auto_deploy], [true, true, false]);
        assert_eq!([sonata.force_pull, sonata.build_images, sonata.auto_deploy], [false, false, true]);
        assert_eq!((tango.placement.algorithm.as_str(), tango.placement.seed), ("first", 0));
        assert_eq!((sonata.placement.algorithm.as_str(), sonata.placement.seed), ("first", 7));
    }
    // Key by key, a flag goes before the file; both lie over what is said for the server.
    let settings = flags(&["--sonata=auto_deploy=false", "--auto-deploy"]).over(by_file).settings().unwrap();
    let sonata = settings.of(Dialect::Sonata);
    assert_eq!([sonata.auto_deploy, sonata.force_pull, sonata.placement.seed == 7], [false, false, true]);
    assert!(settings.of(Dialect::Tango).auto_deploy);
}

#[test]
fn every_setting_of_a_dialect_has_an_effect() {
    let placement = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(placement.path(), "vnf0.vdu01.0: dc2\n").unwrap();
    let file = placement.path().display().to_string();
    for key in dialect::KEYS {
        let value = match *key {
            "placement" => "first",
            "placement_seed" => "7",
            "placement_file" => &file,
            _ => "true",
        };
        let settings = file::from_settings(&[format!("sonata.{key}={value}")]).unwrap().settings().unwrap();
        let whole = file::from_settings(&[format!("{key}={value}")]).unwrap().settings().unwrap();
        assert_ne!(settings.of(Dialect::Sonata), settings.of(Dialect::Tango), "{key} does nothing");
        let of = |settings: Settings| Settings { sonata: Default::default(), ..settings };
        assert_eq!(of(settings.of(Dialect::Sonata)), whole, "{key} means different things");
    }
}

#[test]
fn what_is_wrong_in_a_dialects_section_is_named() {
    let keys = dialect::KEYS.join(", ");
    for (text, expected) in [
        (
            "sonata: {port_offset: 1}",
            format!("`sonata`: `port_offset=1`: no setting of a dialect: those are {keys}"),
        ),
        (
            "tango: {force_pull: perhaps}",
            "`tango`: `force_pull=perhaps`: `force_pull`: `perhaps`: expected one of true, false".to_owned(),
        ),
        ("tango: force_pull", "`tango`: `force_pull`: expected KEY=VALUE (force_pull=true)".to_owned()),
        ("osm: {force_pull: true}", "`osm`: expected a word, a number or a list, not a map".to_owned()),
    ] {
        let error = format!("{:#}", file::parse(text).unwrap_err());
        assert_eq!(error, expected, "{text}");
    }
    let twice = flags(&["--tango=force_pull=true,force_pull=false"]).settings();
    assert!(format!("{:#}", twice.unwrap_err()).starts_with("`tango`: `force_pull`"));
}
