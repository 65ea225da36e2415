//! What the program tells the person who runs it.

use std::io::{self, Write};

/// Where messages about progress go. The tests pass one that is silent.
pub type Say = fn(&str);

/// Says `message` on standard error, which leaves standard output to results.
pub fn say(message: &str) {
    // Nobody is there to hear that nobody hears us.
    let _ = writeln!(io::stderr(), "{message}");
}

/// Says nothing.
pub fn nothing(_message: &str) {}

/// Prints a result on standard output.
pub fn print(result: &str) {
    let mut output = io::stdout().lock();
    let _ = writeln!(output, "{result}").and_then(|()| output.flush());
}
