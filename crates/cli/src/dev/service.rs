//! Runs `rotracker serve`, and builds and restarts it when the sources change.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, bail};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

use super::{Options, set_environment};
use crate::{
    local_client::local_client,
    output::progress,
    supervise::{self, Supervised, Supervision},
};

/// What is watched in the workspace: files and whole directories.
const SOURCE_FILES: [&str; 2] = ["Cargo.toml", "Cargo.lock"];
const SOURCE_DIRECTORIES: [&str; 2] = ["crates", "migrations"];

/// The files that cargo builds the program from.
const SOURCE_EXTENSIONS: [&str; 6] = ["rs", "toml", "lock", "sql", "json", "sh"];

/// How long no file may change before a build starts.
const SETTLING_TIME: Duration = Duration::from_millis(300);

/// How long running requests may take to finish when the service is stopped.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the service may take to answer after its start.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// The watched sources. Dropping it stops the watching.
pub(super) struct Sources {
    changes: mpsc::Receiver<()>,
    _watcher: RecommendedWatcher,
}

impl Sources {
    /// Watches the sources in `workspace`.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub(super) fn watch(workspace: &Path) -> Result<Self> {
        let (changed, changes) = mpsc::channel(1);
        let root = workspace.to_owned();
        let is_source =
            move |path: &PathBuf| path.strip_prefix(&root).is_ok_and(|relative| is_source(relative, path.is_dir()));
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let is_change = event.is_ok_and(|event| {
                // The compiler reads all files, so reading is no change.
                event.need_rescan() || (!event.kind.is_access() && event.paths.iter().any(&is_source))
            });
            if is_change {
                // If the channel is full, a build is already pending.
                let _ = changed.try_send(());
            }
        })
        .context("the sources cannot be watched")?;
        // Editors replace a file instead of writing to it, which ends a watch on the file. So its directory is watched.
        let watched = watcher.watch(workspace, RecursiveMode::NonRecursive);
        watched.with_context(|| format!("{} cannot be watched", workspace.display()))?;
        for directory in SOURCE_DIRECTORIES {
            let watched = watcher.watch(&workspace.join(directory), RecursiveMode::Recursive);
            watched.with_context(|| format!("{directory} cannot be watched"))?;
        }
        Ok(Self { changes, _watcher: watcher })
    }
}

/// Returns whether the program may be built from `path`, which is relative to the workspace. Editors write other files beside the
/// sources: locks, backups and unfinished versions. Directories count because a renamed one is a single change.
fn is_source(path: &Path, is_directory: bool) -> bool {
    let name = path.file_name().unwrap_or_default();
    let is_hidden = name.to_string_lossy().starts_with('.');
    let has_extension =
        SOURCE_EXTENSIONS.iter().any(|known| path.extension().is_some_and(|extension| extension == *known));
    SOURCE_FILES.iter().chain(&SOURCE_DIRECTORIES).any(|source| path.starts_with(source))
        && !is_hidden
        && (has_extension || is_directory)
}

/// `rotracker serve`, which serves the API.
pub(super) struct Service {
    program: PathBuf,
    workspace: PathBuf,
    port: u16,
    variables: BTreeMap<String, String>,
    running: Option<Supervised>,
    /// When the running version was built.
    running_since: Option<SystemTime>,
    sources: Sources,
}

impl Service {
    /// Starts `rotracker serve` from this program's own file, with exactly `variables` as its environment, and waits until it
    /// answers.
    ///
    /// # Errors
    /// When it exits before it answers.
    pub(super) async fn start(
        workspace: &Path,
        options: &Options,
        variables: BTreeMap<String, String>,
        sources: Sources,
    ) -> Result<Self> {
        let mut service = Self {
            program: env::current_exe().context("the path of this program is not known")?,
            workspace: workspace.to_owned(),
            port: options.port,
            variables,
            running: None,
            running_since: None,
            sources,
        };
        if !service.restart().await? {
            bail!("the service exited before it answered; its messages are above");
        }
        Ok(service)
    }

    /// Builds and restarts the service whenever the sources change. Returns only with an error. While the sources do not compile, the
    /// last version keeps running.
    pub(super) async fn keep_current(&mut self) -> Result<()> {
        loop {
            tokio::select! {
                Some(()) = self.sources.changes.recv() => self.rebuild().await?,
                _ = ended(self.running.as_ref()) => {
                    self.running = None;
                    progress("The service ended unexpectedly; its messages are above. It starts again when the sources change.");
                }
            }
        }
    }

    /// Stops the service. Running requests have some seconds to finish.
    pub(super) async fn stop(mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }

    async fn rebuild(&mut self) -> Result<()> {
        // One command may change many files.
        while timeout(SETTLING_TIME, self.sources.changes.recv()).await.is_ok() {}
        let still =
            if self.running.is_some() { "The last version keeps running." } else { "The service is not running." };
        progress("The sources changed. Building.");
        if !super::build(&self.workspace, &["rotracker"]).await? {
            progress(&format!("The build failed; the compiler's messages are above. {still}"));
        } else if self.running.is_some() && self.built_at() == self.running_since {
            progress("The program did not change; it keeps running.");
        } else if !self.migrate().await? {
            progress(&format!("The databases were not migrated; the messages are above. {still}"));
        } else if self.restart().await? {
            progress("The new version is running.");
        } else {
            progress("The new version does not answer; its messages are above.");
        }
        Ok(())
    }

    /// Returns when the program was built, if it exists.
    fn built_at(&self) -> Option<SystemTime> {
        fs::metadata(&self.program).and_then(|metadata| metadata.modified()).ok()
    }

    /// Applies new migrations. Returns whether that succeeded.
    async fn migrate(&self) -> Result<bool> {
        let mut migrate = self.command();
        migrate.arg("migrate");
        let status = supervise::run(&migrate).await.context("`rotracker migrate` cannot be started")?;
        Ok(status.is_some_and(|status| status.success()))
    }

    /// Stops the old version, if one is running, and starts the program. Returns whether it answers.
    async fn restart(&mut self) -> Result<bool> {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
        self.running_since = self.built_at();
        let mut serve = self.command();
        serve.args(["serve", "--host", "127.0.0.1", "--port", &self.port.to_string()]);
        let supervision = Supervision { grace: STOP_TIMEOUT, ..Supervision::default() };
        let running = self.running.insert(Supervised::spawn(&serve, supervision).context("sh cannot be started")?);
        let answers = tokio::select! {
            _ = running.wait() => false,
            answered = timeout(START_TIMEOUT, wait_until_it_answers(self.port)) => answered.is_ok(),
        };
        if !answers {
            self.running = None;
        }
        Ok(answers)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.workspace);
        set_environment(&mut command, &self.variables);
        command
    }
}

/// Waits until the service ends; forever if it is not running.
async fn ended(running: Option<&Supervised>) -> Option<ExitStatus> {
    match running {
        Some(running) => running.wait().await,
        None => std::future::pending().await,
    }
}

/// Waits until the service answers `/health`, with any status.
async fn wait_until_it_answers(port: u16) {
    let Ok(client) = local_client().timeout(Duration::from_secs(5)).build() else {
        // Requests would fail alike.
        return;
    };
    let url = format!("http://127.0.0.1:{port}/health");
    while client.get(&url).send().await.is_err() {
        sleep(Duration::from_millis(20)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_editors_are_no_sources() {
        for path in [
            "Cargo.toml",
            "Cargo.lock",
            "crates/core/src/lib.rs",
            "crates/ros/src/routes/examples.json",
            "migrations/main/0001.sql",
        ] {
            assert!(is_source(Path::new(path), false), "{path}");
        }
        assert!(is_source(Path::new("crates/core/src"), true));
        for path in [
            "crates/core/src/.lib.rs.swp",
            "crates/core/src/lib.rs~",
            "crates/core/src/.#lib.rs",
            "crates/core/src/#lib.rs#",
            "crates/core/src/4913",
            "migrations/README.md",
            "tests/suite/main.rs",
            "target/debug/build/x/out/lib.rs",
        ] {
            assert!(!is_source(Path::new(path), false), "{path}");
        }
    }
}
