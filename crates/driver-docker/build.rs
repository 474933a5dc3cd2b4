//! Compiles the gate (`gate/main.rs`) into a static program, which the library carries as bytes.

use std::path::Path;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=gate/main.rs");
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let gate = Path::new(&variable("OUT_DIR")).join("gate");
    let mut rustc = Command::new(variable("RUSTC"));
    rustc
        .args(["gate/main.rs", "--crate-name=gate", "--crate-type=bin", "--edition=2024"])
        .args(["-Copt-level=s", "-Cpanic=abort", "-Clto=fat", "-Ccodegen-units=1", "-Cstrip=symbols"])
        .args(["-Ctarget-feature=+crt-static", "-o"])
        .arg(&gate);
    if variable("HOST") != variable("TARGET") {
        rustc.arg(format!("--target={}", variable("TARGET")));
    }
    match rustc.status() {
        Ok(status) if status.success() => {
            println!("cargo::rustc-env=LLCM_GATE={}", gate.display());
            ExitCode::SUCCESS
        }
        Ok(status) => {
            println!("cargo::error=the gate does not compile: rustc ended with {status}");
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("cargo::error=the gate does not compile: {error}");
            ExitCode::FAILURE
        }
    }
}
