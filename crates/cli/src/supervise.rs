//! Runs child processes that end when this process ends.
//!
//! `cargo dev` and the tests start servers. These must end with this process even after a panic or a SIGKILL, together
//! with all their descendants in other process groups. A destructor does not run after a SIGKILL. Each program
//! therefore runs under a guard: a shell script in its own process group that reads from a pipe whose only writing end
//! this process holds. When this process ends, the kernel closes the pipe, and the guard stops the program.
//!
//! The guard finds the program's descendants, including orphans, by a variable in their environment.

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

/// The environment variable that marks a program's descendants. The guard itself runs without it, because a guard must
/// not be stopped with the descendants of another program.
const MARK: &str = "ROTRACKER_SUPERVISED";

const GUARD: &str = include_str!("guard.sh");

/// The number of running guards.
static GUARDS: LazyLock<watch::Sender<usize>> = LazyLock::new(|| watch::Sender::new(0));

/// How a program runs and is stopped.
#[derive(Debug)]
pub struct Supervision {
    /// The file for the program's output. With `None` the program inherits this process's output. A lock on the file is
    /// held until the program has ended.
    pub log: Option<File>,
    /// The time between SIGTERM and SIGKILL. With zero, SIGKILL is sent at once.
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
    /// Starts `command` with its arguments, directory and changes to the environment. Standard input is empty, and
    /// `supervision` determines where the output goes.
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
        // A thread instead of a task, because the runtime of a task may end first.
        thread::spawn(move || {
            sender.send_replace(guard.wait().ok());
            drop(sender);
            GUARDS.send_modify(|count| *count -= 1);
        });
        Ok(Self { pipe, ended })
    }

    /// Waits until the program and its descendants have ended. Returns `None` if the status is unknown.
    pub async fn wait(&self) -> Option<ExitStatus> {
        let mut ended = self.ended.clone();
        ended.wait_for(Option::is_some).await.ok().and_then(|status| *status)
    }

    /// Stops the program and its descendants, and waits until they have ended.
    pub async fn stop(mut self) -> Option<ExitStatus> {
        drop(self.pipe.take());
        self.wait().await
    }

    /// Returns whether the program has ended.
    pub fn has_ended(&self) -> bool {
        self.ended.borrow().is_some() || self.ended.has_changed().is_err()
    }
}

/// Runs `command` and waits until it has ended. Dropping the future stops it.
///
/// # Errors
/// When the guard cannot be started.
pub async fn run(command: &Command) -> io::Result<Option<ExitStatus>> {
    Ok(Supervised::spawn(command, Supervision::default())?.wait().await)
}

/// Waits until all programs have ended. Every [`Supervised`] must have been stopped or dropped.
pub async fn all_ended() {
    // The sender is never dropped.
    let _ = GUARDS.subscribe().wait_for(|count| *count == 0).await;
}

/// Removes the environment variables that `cargo run` and `cargo test` set from `command`. Some crates' build scripts
/// depend on them and would be rebuilt whenever they change.
pub fn forget_cargo(command: &mut Command) {
    let is_set_by_cargo = |name: &OsStr| {
        let name = name.to_string_lossy();
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|prefix| name.starts_with(prefix))
            || ["CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "OUT_DIR"].contains(&name.as_ref())
    };
    let names: Vec<OsString> = std::env::vars_os().map(|(name, _)| name).filter(|name| is_set_by_cargo(name)).collect();
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
        // A zombie process is no longer running.
        let state = Command::new("ps").args(["-o", "stat=", "-p", process_id]).output().unwrap();
        let state = String::from_utf8(state.stdout).unwrap();
        !state.trim().is_empty() && !state.starts_with('Z')
    }

    fn create_named_pipe(path: &Path) {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }

    /// Waits until a program writes to the named pipe, and returns the text.
    async fn read_from(path: PathBuf) -> String {
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
        create_named_pipe(&orphan_file);
        // The inner shell with job control starts the sleep in its own process group and orphans it.
        let script = format!(
            "sh -mc 'exec 2>/dev/null; sleep 300 & echo $! > {}'; trap '' TERM; sleep 300 & wait; wait",
            orphan_file.display()
        );
        let grace = Duration::from_secs(1);
        let program = Supervised::spawn(&shell(&script), Supervision { grace, ..Supervision::default() }).unwrap();
        let orphan = read_from(orphan_file).await;
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
        create_named_pipe(&pid_file);
        let supervision =
            Supervision { grace: Duration::ZERO, remove_afterwards: Some(data.clone()), ..Supervision::default() };
        let program =
            Supervised::spawn(&shell(&format!("echo $$ > {}; exec sleep 300", pid_file.display())), supervision)
                .unwrap();
        let process_id = read_from(pid_file).await;
        let ended = program.ended.clone();
        drop(program);
        let _ = ended.clone().wait_for(Option::is_some).await;
        assert!(!is_running(&process_id));
        assert!(!data.exists());
    }
}
