//! `cargo dev`: builds `rotracker` and runs `rotracker dev`. It has no dependencies, so that it is built within a second, and so
//! that `cargo dev --release` builds nothing else without optimisations.

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
    // Selects all packages, as `cargo build` and `cargo test` do. Otherwise cargo would choose other features for the dependencies
    // and compile them twice.
    build.args(["build", "--workspace", "--bin", "rotracker"]).args(is_release.then_some("--release"));
    forget_package(&mut build);
    let status = build.status().map_err(|error| io::Error::other(format!("cargo cannot be started: {error}")))?;
    if !status.success() {
        return Ok(ExitCode::FAILURE);
    }
    // This is …/target/debug/rotracker-launcher.
    let this = env::current_exe()?;
    let target = this.parent().and_then(Path::parent).ok_or(io::ErrorKind::NotFound)?;
    let program = target.join(if is_release { "release" } else { "debug" }).join("rotracker");
    let mut dev = Command::new(&program);
    dev.arg("dev").args(arguments);
    forget_package(&mut dev);
    // Replaces this process by `rotracker`, which then receives the signals. `exec` returns only if it fails.
    Err(io::Error::other(format!("{} cannot be started: {}", program.display(), dev.exec())))
}

/// Removes the variables that cargo has set for this package. Build scripts that read them would run again each time.
fn forget_package(command: &mut Command) {
    for (name, _) in env::vars_os() {
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
}
