//! Starts `rotracker serve`.

use std::{path::Path, process::Command};

use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::emulator::{Instance, binary, free_port};

/// A running `rotracker serve`, which keeps the rate limit in a folder of its own. It ends with this value.
pub struct Service {
    pub port: u16,
    pub url: String,
    pub instance: Instance,
    _folder: TempDir,
}

impl Service {
    /// Starts it with these arguments and variables, and waits until it listens.
    pub async fn start(arguments: &[&str], variables: &[(&str, String)]) -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().expect("a temporary folder"));
        let command = Command::new(binary("rotracker").await);
        let instance = start_serve(command, arguments, port, folder.path(), variables).await;
        Self { port, url: format!("http://127.0.0.1:{port}"), instance, _folder: folder }
    }
}

/// Starts `rotracker serve` by `command`, which has no arguments for it yet, and waits until it listens at `port`. It keeps the rate
/// limit in `folder`.
pub async fn start_serve(
    mut command: Command,
    arguments: &[&str],
    port: u16,
    folder: &Path,
    variables: &[(&str, String)],
) -> Instance {
    command.arg("serve").args(arguments).args(["--port", &port.to_string(), "--embedded-dynamodb"]).arg(folder);
    let instance = Instance::spawn(command, variables);
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        assert!(!instance.has_ended(), "the service ended at its start: {:?}", instance.log());
        tokio::task::yield_now().await;
    }
    instance
}
