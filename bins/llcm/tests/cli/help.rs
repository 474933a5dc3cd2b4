//! The command line as its users see it: changes are seen in review.

use crate::run::llcm;

#[test]
fn help_of_every_command() {
    insta::assert_snapshot!("help", llcm(&["--help"]).expect(0));
    for verb in [
        "serve",
        "push",
        "up",
        "ps",
        "down",
        "exec",
        "logs",
        "stats",
        "capture",
        "services",
        "image",
        "rm",
        "plan",
        "validate",
        "pack",
        "doctor",
        "store",
        "demo",
        "completions",
        "token",
        "audit",
        "graph",
        "topology",
    ] {
        insta::assert_snapshot!(format!("help-{verb}"), llcm(&[verb, "--help"]).expect(0));
    }
    for verb in ["create", "ls", "rm"] {
        insta::assert_snapshot!(format!("help-token-{verb}"), llcm(&["token", verb, "--help"]).expect(0));
    }
    for verb in ["add", "ls", "rm"] {
        insta::assert_snapshot!(format!("help-chain-{verb}"), llcm(&["chain", verb, "--help"]).expect(0));
    }
    for verb in ["load", "import", "ls", "rm"] {
        insta::assert_snapshot!(format!("help-image-{verb}"), llcm(&["image", verb, "--help"]).expect(0));
    }
    for verb in ["ls", "set", "down", "up", "add", "rm", "play", "schedules", "stop"] {
        insta::assert_snapshot!(format!("help-link-{verb}"), llcm(&["link", verb, "--help"]).expect(0));
    }
    for verb in ["ls", "add", "rm"] {
        insta::assert_snapshot!(format!("help-dc-{verb}"), llcm(&["dc", verb, "--help"]).expect(0));
    }
    for verb in ["check", "import"] {
        insta::assert_snapshot!(
            format!("help-topology-{verb}"),
            llcm(&["topology", verb, "--help"]).expect(0)
        );
    }
    // The settings are those of the server.
    let clean = llcm(&["clean", "--help"]).expect(0);
    insta::assert_snapshot!("help-clean", clean.split("Settings of the server").next().unwrap());
    for verb in ["check", "repair", "backup", "restore"] {
        insta::assert_snapshot!(format!("help-store-{verb}"), llcm(&["store", verb, "--help"]).expect(0));
    }
}

#[test]
fn wrong_usage_is_told_apart_from_failure() {
    for args in [
        &["unknown"][..],
        &["serve", "--port-offset", "many"],
        &["exec", "vnf0"],
        &["down", "--all", "x"],
        &[],
    ] {
        let error = llcm(args).expect_error(2);
        assert!(error.contains("Usage") || error.contains("--help"), "{error}");
    }
}

#[test]
fn completions_name_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = llcm(&["completions", shell]).expect(0);
        assert!(
            script.contains("validate") && script.contains("--simulated-script") || shell != "bash",
            "{shell}"
        );
        assert!(script.contains("services"), "{shell}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child = crate::run::command(&["completions", "bash"]).spawn().unwrap();
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}");
}
