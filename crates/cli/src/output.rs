//! Progress messages on standard error and results on standard output.

use std::io::{self, Write};

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
