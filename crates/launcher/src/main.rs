//! `cargo dev`: builds `rotracker` and runs `rotracker dev`. It has no dependencies, so that it is built within a second, and so
//! that `cargo dev --release` builds nothing without optimisations.

#![allow(clippy::print_stderr)]

use std::{
    env,
    ffi::OsString,
    io,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, ExitCode},
};

fn main() -> ExitCode {
    match run() {
        Ok(exit_code) => exit_code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<ExitCode> {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let is_release = arguments.iter().any(|argument| argument == "--release");
    let mut build = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // All workspace members are selected, as by `cargo build` and `cargo test`, so that dependencies have the same features.
    build.args(["build", "--bin", "rotracker"]).args(is_release.then_some("--release"));
    forget_package(&mut build);
    if !build.status()?.success() {
        return Ok(ExitCode::FAILURE);
    }
    // This is …/target/debug/rotracker-launcher.
    let this = env::current_exe()?;
    let target = this.parent().and_then(Path::parent).ok_or(io::ErrorKind::NotFound)?;
    let program = target.join(if is_release { "release" } else { "debug" }).join("rotracker");
    let mut dev = Command::new(program);
    dev.arg("dev").args(arguments);
    forget_package(&mut dev);
    // Replaces this process, so that it gets all signals itself. This returns only if it fails.
    Err(dev.exec())
}

/// Removes the variables of this package, which cargo has set. Build scripts would run again because of them.
fn forget_package(command: &mut Command) {
    for (name, _) in env::vars_os() {
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
}
