//! Progress messages and bars on standard error, and results on standard output.

use std::{
    io::{self, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

/// A function that reports progress. The tests pass [`silent`].
pub type Progress = fn(&str);

/// Writes a progress message to standard error, because standard output is for results.
pub fn progress(message: &str) {
    // A closed standard error must not stop the program.
    let _ = writeln!(io::stderr(), "{message}");
}

/// Discards a progress message.
pub fn silent(_message: &str) {}

/// Prints a result on standard output.
pub fn print(result: &str) {
    let mut output = io::stdout().lock();
    let _ = writeln!(output, "{result}").and_then(|()| output.flush());
}

/// Returns a bar for the progress of a step. It is drawn on terminals only, until it is dropped.
///
/// # Errors
/// When `template` is not one of `indicatif`.
pub fn bar(template: &str) -> anyhow::Result<ProgressBar> {
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(template)?);
    Ok(bar.with_finish(ProgressFinish::AndClear))
}

/// Returns a spinner for a step of unknown length, with the time that it has taken. It is drawn like a [`bar`].
///
/// # Errors
/// Never, since the template is valid.
pub fn spinner() -> anyhow::Result<ProgressBar> {
    let style = ProgressStyle::with_template("{spinner} {elapsed}")?;
    let spinner = ProgressBar::new_spinner().with_style(style).with_finish(ProgressFinish::AndClear);
    spinner.enable_steady_tick(Duration::from_millis(100));
    Ok(spinner)
}
