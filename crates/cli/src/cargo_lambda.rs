//! `cargo lambda`, the emulator that runs the functions locally: found or installed.

use std::{
    env,
    path::{Path, PathBuf},
    process,
};

use anyhow::{Result, bail};
use tokio::process::Command;

use crate::{
    output::Progress,
    programs::{self, Package},
    supervise,
};

/// The version that is installed where none is found.
const VERSION: &str = "1.9.2";

/// The oldest version whose `watch` has `--concurrency`.
const OLDEST: (u32, u32) = (1, 9);

const PIP: Package =
    Package { apt: &[&["python3-pip"]], dnf: "python3-pip", apk: "py3-pip", pacman: "python-pip", brew: "" };

/// The path of a `cargo-lambda` that can do what we need, installed below `tools` if the machine has none. Called
/// directly it wants `lambda` as its first argument.
///
/// # Errors
/// A sentence that says why it could not be installed and what to do about it.
pub async fn find_or_install(tools: &Path, progress: Progress) -> Result<PathBuf> {
    let _turn = programs::turn_to_install().await?;
    if let Some(found) = find(tools).await {
        return Ok(found);
    }
    progress(&format!("Installing cargo-lambda {VERSION} into {}.", tools.display()));
    let requirement = format!("cargo-lambda=={VERSION}");
    let by_pip = match has_pip().await {
        true => true,
        // Seconds, where building it takes ten minutes.
        false => programs::install(&PIP, progress).await.is_ok() && has_pip().await,
    };
    if by_pip {
        let mut pip = process::Command::new("python3");
        // A directory of its own is allowed even where the system's Python is closed to pip. Its dependency, a C
        // compiler for other targets, is for `cargo lambda build` and not needed here.
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"]);
        pip.args(["--no-deps", "--upgrade", "--target"]).arg(tools).arg(&requirement);
        supervise::run(&pip).await?;
        if let Some(found) = find(tools).await {
            return Ok(found);
        }
    }
    progress("Python's pip could not install it, so cargo builds it. This takes some minutes.");
    let mut cargo = process::Command::new("cargo");
    cargo.args(["install", "cargo-lambda", "--locked", "--version", VERSION, "--root"]).arg(tools);
    supervise::forget_cargo(&mut cargo);
    supervise::run(&cargo).await?;
    match find(tools).await {
        Some(found) => Ok(found),
        None => bail!(
            "cargo-lambda could not be installed; the messages above say why. Install it by hand (`pip install \
             {requirement}` or `cargo install cargo-lambda --locked`), so that it is in PATH, and start again"
        ),
    }
}

async fn find(tools: &Path) -> Option<PathBuf> {
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")));
    let places: Vec<PathBuf> = cargo_home.into_iter().chain([tools.to_owned()]).map(|root| root.join("bin")).collect();
    for path in programs::find_all("cargo-lambda", &places) {
        let version = programs::output_of(Command::new(&path).args(["lambda", "--version"])).await;
        if version.as_deref().and_then(parse_version).is_some_and(|version| version >= OLDEST) {
            return Some(path);
        }
    }
    None
}

/// Reads `cargo-lambda 1.9.2 (67129fc 2026-08-21Z)`.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.strip_prefix("cargo-lambda ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

async fn has_pip() -> bool {
    programs::output_of(Command::new("python3").args(["-m", "pip", "--version"])).await.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_parsed() {
        assert_eq!(parse_version("cargo-lambda 1.9.2 (67129fc 2026-08-21Z)\n"), Some((1, 9)));
        assert_eq!(parse_version("something else"), None);
    }
}
