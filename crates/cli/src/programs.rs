//! Finds programs on this machine, and installs missing ones with its package manager.

use std::{
    env,
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::output::{Progress, spinner};

/// The names of a program's package in each supported package manager. A name is empty if there is no package.
pub struct Package {
    /// Debian, Ubuntu and derivatives. The first available group of packages is installed.
    pub apt: &'static [&'static [&'static str]],
    /// Fedora and derivatives.
    pub dnf: &'static str,
    /// Alpine.
    pub apk: &'static str,
    /// Arch.
    pub pacman: &'static str,
    /// Homebrew.
    pub brew: &'static str,
}

/// Returns all executable files called `name` in `PATH` and then in `elsewhere`.
pub fn find_all(name: &str, elsewhere: &[PathBuf]) -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let directories = env::split_paths(&path).chain(elsewhere.iter().cloned());
    let mut found: Vec<PathBuf> = Vec::new();
    for file in directories.map(|directory| directory.join(name)).filter(|file| is_executable(file)) {
        if !found.contains(&file) {
            found.push(file);
        }
    }
    found
}

fn is_executable(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Runs a command and returns its standard output if it succeeds.
pub async fn output_of(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().await.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Returns whether this process runs as root.
pub async fn is_root() -> bool {
    output_of(Command::new("id").arg("-u")).await.is_some_and(|id| id.trim() == "0")
}

/// Acquires the lock under which programs are found and installed; dropping the file releases it. Without it, `cargo
/// dev` and several tests on a new machine would install the same program at once or find it half installed.
///
/// # Errors
/// When the lock file in the directory for temporary files cannot be used.
pub async fn turn_to_install() -> Result<File> {
    let path = env::temp_dir().join("rotracker-install.lock");
    let file = File::options().create(true).append(true).open(&path);
    let file = file.with_context(|| format!("{} cannot be opened", path.display()))?;
    tokio::task::spawn_blocking(move || file.lock().map(|()| file))
        .await?
        .context("the lock for installing programs cannot be acquired")
}

/// Installs `package` with the package manager.
///
/// A package manager that was started finishes even if the future is dropped, so that no partial installation is left.
///
/// # Errors
/// When the package cannot be installed. The error says why.
pub async fn install(package: &Package, progress: Progress) -> Result<()> {
    let exists = |name| !find_all(name, &[]).is_empty();
    let mut manager = if exists("apt-get") {
        // The package lists may be old or missing.
        run(&mut as_root(&["apt-get", "update", "-q"]).await?).await?;
        let Some(names) = first_known_to_apt(package.apt).await else {
            bail!("apt-get has none of the packages {}", package.apt.concat().join(", "));
        };
        progress(&format!("Installing {} with apt-get (this starts no service).", names.join(" and ")));
        let options = ["apt-get", "install", "-q", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120"];
        let mut command = as_root(&options).await?;
        command.args(names);
        command
    } else {
        let (name, command): (_, &[&str]) = if exists("dnf") {
            (package.dnf, &["dnf", "install", "-y"])
        } else if exists("apk") {
            (package.apk, &["apk", "add"])
        } else if exists("pacman") {
            (package.pacman, &["pacman", "-Sy", "--noconfirm", "--needed"])
        } else if exists("brew") {
            (package.brew, &["brew", "install"])
        } else {
            bail!("this machine has none of apt-get, dnf, apk, pacman and brew");
        };
        if name.is_empty() {
            bail!("{} has no package for it", command[0]);
        }
        progress(&format!("Installing {name} with {}.", command[0]));
        let mut command = as_root(command).await?;
        command.arg(name);
        command
    };
    run(&mut manager).await
}

async fn first_known_to_apt(groups: &[&'static [&'static str]]) -> Option<&'static [&'static str]> {
    for group in groups {
        let shown = output_of(Command::new("apt-cache").args(["show", "--no-all-versions"]).args(*group)).await;
        if shown.is_some_and(|text| !text.trim().is_empty()) {
            return Some(group);
        }
    }
    None
}

/// Returns `command` with sudo if this process does not run as root. Homebrew refuses to run as root.
async fn as_root(command: &[&str]) -> Result<Command> {
    let mut prefixed = if command.first() == Some(&"brew") || is_root().await {
        Command::new("env")
    } else if output_of(Command::new("sudo").args(["-n", "true"])).await.is_some() {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "env"]);
        sudo
    } else {
        bail!("installing needs root, and sudo is missing or asks for a password");
    };
    prefixed.arg("DEBIAN_FRONTEND=noninteractive").args(command);
    Ok(prefixed)
}

async fn run(command: &mut Command) -> Result<()> {
    let _spinner = spinner()?;
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().await?;
    if status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&stdout) + String::from_utf8_lossy(&stderr);
    let arguments: Vec<_> = command.as_std().get_args().map(|argument| argument.to_string_lossy()).collect();
    let command = arguments.iter().skip_while(|argument| !argument.starts_with("DEBIAN_FRONTEND")).skip(1);
    let command: Vec<&str> = command.map(AsRef::as_ref).collect();
    bail!("`{}` failed:\n{}", command.join(" "), last_lines(&text, 8));
}

/// Returns the last `count` lines of `text` that are not blank, indented.
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(count)..];
    last.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
