//! The side of `rotracker import`.

use std::{os::unix::process::ExitStatusExt, path::Path, process::Stdio};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::Signal;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStdout, Command},
};

use super::{
    process::{SECONDS, damaged, file_name, too_much_memory},
    protocol::{Item, Line, MAX_LINE},
};

/// Reads a workbook or a CSV file in a process of its own, which is killed when this is dropped.
pub struct SheetReader {
    /// The name of the file, by which errors begin.
    name: String,
    process: Child,
    lines: BufReader<ChildStdout>,
    line: Vec<u8>,
    /// How reading ended: well, or with an error.
    end: Option<Result<(), String>>,
}

impl SheetReader {
    /// Starts `program`, which is `rotracker`, to read `file`.
    ///
    /// # Errors
    /// When the program cannot be started. What is wrong with the file is the error of [`SheetReader::next`].
    pub fn start(program: &Path, file: &Path) -> Result<Self> {
        let name = file_name(file);
        let mut command = Command::new(program);
        // The file may be hostile, so the process gets none of the passwords in the environment.
        command.args(["read-sheets", "--"]).arg(file).env_clear().kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let fail = || format!("{name} cannot be read: {} cannot be started", program.display());
        let mut process = command.spawn().with_context(fail)?;
        let output = process.stdout.take().with_context(fail)?;
        Ok(Self { name, process, lines: BufReader::with_capacity(1 << 16, output), line: Vec::new(), end: None })
    }

    /// Returns the next item, or `None` if the file was read to its end.
    ///
    /// # Errors
    /// When the file cannot be read. The error is a sentence for people who know Excel, and begins with the name of the file. Items
    /// that were returned before are then not the whole file.
    pub async fn next(&mut self) -> Result<Option<Item>> {
        if self.end.is_none() {
            match self.read_line().await {
                Ok(Line::Item(item)) => return Ok(Some(item)),
                Ok(Line::End) => self.end = Some(Ok(())),
                Ok(Line::Failed(sentence)) => self.end = Some(Err(sentence)),
                Err(error) => self.end = Some(Err(format!("{} {error}", self.name))),
            }
        }
        match &self.end {
            Some(Err(sentence)) => bail!(sentence.clone()),
            _ => Ok(None),
        }
    }

    async fn read_line(&mut self) -> Result<Line> {
        self.line.clear();
        let mut line = (&mut self.lines).take(MAX_LINE);
        line.read_until(b'\n', &mut self.line).await.map_err(|_| anyhow!(ENDED))?;
        if self.line.pop() != Some(b'\n') {
            return Err(self.failure().await);
        }
        serde_json::from_slice(&self.line).map_err(|_| anyhow!(ENDED))
    }

    /// Returns why the process ended in the middle of its work.
    async fn failure(&mut self) -> anyhow::Error {
        // It has ended already, or writes a line that is too long.
        let _ = self.process.start_kill();
        let Ok(status) = self.process.wait().await else { return anyhow!(ENDED) };
        let signal = status.signal();
        let is = |expected: Signal| signal == Some(expected.as_raw());
        if is(Signal::XCPU) {
            anyhow!("takes more than {} minutes to be read: split it into several files", SECONDS / 60)
        } else if is(Signal::ABORT) || is(Signal::KILL) {
            // Rust aborts if it gets no memory, and systems kill the processes that take too much.
            anyhow!(too_much_memory())
        } else if signal.is_some() {
            damaged()
        } else {
            anyhow!(ENDED)
        }
    }
}

const ENDED: &str = "cannot be read: the process that reads it ended too early";
