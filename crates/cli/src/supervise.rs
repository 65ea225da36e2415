//! Programs that cannot outlive us.
//!
//! `cargo dev` and the tests start servers. Whatever ends us, an orderly stop, a panic or a SIGKILL, those must end
//! too, together with all that they started in process groups of their own. A destructor cannot promise this, so each
//! program runs under a guard: a small shell script in its own process group that holds the reading end of a pipe
//! whose writing end only we have. When the kernel closes the pipe, the guard stops the program.
//!
//! The guard finds the program's descendants, orphaned ones too, by a mark in their environment.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{ChildStdin, Command, ExitStatus, Stdio},
    sync::LazyLock,
    thread,
    time::Duration,
};

use tokio::sync::watch;

/// The variable that marks a program's descendants. A guard runs without it, since it must outlive its program.
const MARK: &str = "ROTRACKER_SUPERVISED";

const GUARD: &str = include_str!("guard.sh");

/// How many guards are at work.
static GUARDS: LazyLock<watch::Sender<usize>> = LazyLock::new(|| watch::Sender::new(0));

/// How a program is kept and ended.
#[derive(Debug)]
pub struct Supervision {
    /// Where its output goes; to ours when `None`. A lock held through this file is held until the program ended.
    pub log: Option<File>,
    /// How long it may take to stop after SIGTERM before SIGKILL; zero means SIGKILL at once.
    pub grace: Duration,
    /// A directory that the guard removes when the program has ended.
    pub remove_afterwards: Option<PathBuf>,
}

impl Default for Supervision {
    fn default() -> Self {
        Self { log: None, grace: Duration::from_secs(10), remove_afterwards: None }
    }
}

/// A running program. Dropping this stops the program without waiting for its end.
#[derive(Debug)]
pub struct Supervised {
    pipe: Option<ChildStdin>,
    ended: watch::Receiver<Option<ExitStatus>>,
}

impl Supervised {
    /// Starts `command`: its program, arguments, directory and changes to the environment; its standard input is
    /// empty and its output goes where `supervision` says.
    ///
    /// # Errors
    /// When the guard cannot be started. A program that cannot be started ends with status 126 or 127.
    pub fn spawn(command: &Command, supervision: Supervision) -> io::Result<Self> {
        let mut guard = Command::new("sh");
        guard
            .args(["-c", GUARD, "guard"])
            .arg(uuid::Uuid::new_v4().simple().to_string())
            .arg(supervision.grace.as_secs().to_string())
            .arg(supervision.remove_afterwards.map(PathBuf::into_os_string).unwrap_or_default())
            .arg(command.get_program())
            .args(command.get_args())
            .process_group(0)
            .stdin(Stdio::piped());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => guard.env(name, value),
                None => guard.env_remove(name),
            };
        }
        guard.env_remove(MARK);
        if let Some(directory) = command.get_current_dir() {
            guard.current_dir(directory);
        }
        if let Some(log) = supervision.log {
            guard.stdout(log.try_clone()?).stderr(log);
        }
        let mut guard = guard.spawn()?;
        let pipe = guard.stdin.take();
        let (sender, ended) = watch::channel(None);
        GUARDS.send_modify(|count| *count += 1);
        // A thread rather than a task: the end is noticed whichever runtime asks, or none.
        thread::spawn(move || {
            sender.send_replace(guard.wait().ok());
            drop(sender);
            GUARDS.send_modify(|count| *count -= 1);
        });
        Ok(Self { pipe, ended })
    }

    /// Waits until the program, and all it started, has ended. `None` if its status is unknown.
    pub async fn wait(&self) -> Option<ExitStatus> {
        let mut ended = self.ended.clone();
        ended.wait_for(Option::is_some).await.ok().and_then(|status| *status)
    }

    /// Stops the program and all it started, and waits for the end.
    pub async fn stop(mut self) -> Option<ExitStatus> {
        drop(self.pipe.take());
        self.wait().await
    }

    /// Whether the program has ended.
    pub fn has_ended(&self) -> bool {
        self.ended.borrow().is_some() || self.ended.has_changed().is_err()
    }
}

/// Runs `command` to its end; dropping the future stops it.
///
/// # Errors
/// When the guard cannot be started.
pub async fn run(command: &Command) -> io::Result<Option<ExitStatus>> {
    Ok(Supervised::spawn(command, Supervision::default())?.wait().await)
}

/// Waits until every program that was stopped or dropped has ended. Those still in use must be stopped first.
pub async fn all_ended() {
    // The sender is never dropped.
    let _ = GUARDS.subscribe().wait_for(|count| *count == 0).await;
}

/// Makes `command` forget what `cargo run` and `cargo test` tell the programs they start: build scripts see these
/// variables too, and some crates are built anew whenever they change.
pub fn forget_cargo(command: &mut Command) {
    let told_by_cargo = |name: &OsStr| {
        let name = name.to_string_lossy();
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|prefix| name.starts_with(prefix))
            || ["CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "OUT_DIR"].contains(&name.as_ref())
    };
    let names: Vec<OsString> = std::env::vars_os().map(|(name, _)| name).filter(|name| told_by_cargo(name)).collect();
    for name in names {
        command.env_remove(name);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn is_running(process_id: &str) -> bool {
        // A process that has ended but was not collected yet is no longer running.
        let state = Command::new("ps").args(["-o", "stat=", "-p", process_id]).output().unwrap();
        let state = String::from_utf8(state.stdout).unwrap();
        !state.trim().is_empty() && !state.starts_with('Z')
    }

    /// Makes a named pipe.
    fn named_pipe(path: &Path) {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }

    /// What a program writes to the named pipe, once it does.
    async fn written_to(path: PathBuf) -> String {
        let text = tokio::task::spawn_blocking(|| std::fs::read_to_string(path)).await.unwrap();
        text.unwrap().trim().to_owned()
    }

    #[tokio::test]
    async fn the_exit_status_is_returned() {
        let status = run(&shell("exit 7")).await.unwrap().unwrap();
        assert_eq!(status.code(), Some(7));
    }

    #[tokio::test]
    async fn stopping_ends_the_program_and_its_orphans() {
        let directory = tempfile::tempdir().unwrap();
        let orphan_file = directory.path().join("orphan");
        named_pipe(&orphan_file);
        // The inner shell with job control gives the sleep a process group of its own, and orphans it.
        let script = format!(
            "sh -mc 'exec 2>/dev/null; sleep 300 & echo $! > {}'; trap '' TERM; sleep 300 & wait; wait",
            orphan_file.display()
        );
        let grace = Duration::from_secs(1);
        let program = Supervised::spawn(&shell(&script), Supervision { grace, ..Supervision::default() }).unwrap();
        let orphan = written_to(orphan_file).await;
        assert!(is_running(&orphan));
        program.stop().await;
        assert!(!is_running(&orphan));
    }

    #[tokio::test]
    async fn dropping_ends_the_program_and_removes_its_data() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let pid_file = directory.path().join("pid");
        named_pipe(&pid_file);
        let supervision =
            Supervision { grace: Duration::ZERO, remove_afterwards: Some(data.clone()), ..Supervision::default() };
        let program =
            Supervised::spawn(&shell(&format!("echo $$ > {}; exec sleep 300", pid_file.display())), supervision)
                .unwrap();
        let process_id = written_to(pid_file).await;
        let ended = program.ended.clone();
        drop(program);
        let _ = ended.clone().wait_for(Option::is_some).await;
        assert!(!is_running(&process_id));
        assert!(!data.exists());
    }
}
