//! The process `rotracker read-sheets`.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Result, anyhow, bail};
use rustix::process::{Resource, Rlimit, setrlimit};

use super::{csv, ods, output::Output, protocol::Line, xls, xlsx};

/// The most bytes of memory that the process may reserve.
pub(super) const MEMORY: u64 = 1 << 30;
/// The most seconds that the process may compute.
pub(super) const SECONDS: u64 = 600;

pub(super) const PASSWORD: &str = "is protected by a password: open it in Excel, take the password away (File, Info, Protect Workbook), and save it again";
const DAMAGED: &str = "is damaged or was cut off: open it in Excel, which may repair it, and save it again";

/// The options of `rotracker read-sheets`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The workbook or CSV file to read
    file: PathBuf,
}

/// Writes the content of a file to standard output. The last line says whether the file was read to its end.
#[must_use]
pub fn run(options: &Options) -> ExitCode {
    let name = file_name(&options.file);
    let mut output = Output::new();
    if let Err(error) = limit_resources() {
        let _ = output.write(&Line::Failed(format!("{name} cannot be read: no limits can be set: {error}")));
        return ExitCode::FAILURE;
    }
    // The message of a panic says nothing to people, and the process that started this one says instead that the file is damaged.
    panic::set_hook(Box::new(|_| {}));
    let result = panic::catch_unwind(AssertUnwindSafe(|| read(&options.file, &mut output)));
    let last = match result.unwrap_or_else(|_| Err(damaged())) {
        Ok(()) => Line::End,
        Err(error) => Line::Failed(format!("{name} {error}")),
    };
    // The other process is gone if this fails.
    if output.write(&last).is_ok() && matches!(last, Line::End) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn limit_resources() -> io::Result<()> {
    let limit = |bytes| Rlimit { current: Some(bytes), maximum: Some(bytes) };
    setrlimit(Resource::As, limit(MEMORY))?;
    setrlimit(Resource::Core, limit(0))?;
    // The signal at the first limit tells why the process ended. The one at the second would not.
    setrlimit(Resource::Cpu, Rlimit { current: Some(SECONDS), maximum: Some(SECONDS + 10) })?;
    Ok(())
}

/// Returns the name of a file, by which all errors begin.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// Returns the error of a damaged file.
pub(super) fn damaged() -> anyhow::Error {
    anyhow!(DAMAGED)
}

/// Returns the error of a file that cannot be read from the disk, or whose content has a broken compression.
pub(super) fn io_failure(error: &io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::NotFound => anyhow!("does not exist"),
        io::ErrorKind::PermissionDenied => anyhow!("cannot be opened, because this user has no permission to read it"),
        io::ErrorKind::OutOfMemory => anyhow!(too_much_memory()),
        _ if error.raw_os_error().is_some() => anyhow!("cannot be read from the disk: {error}"),
        _ => damaged(),
    }
}

pub(super) fn too_much_memory() -> String {
    format!(
        "needs more than {} MB of memory to be read: split it into several files, or save its sheets as CSV",
        MEMORY >> 20
    )
}

fn read(path: &Path, output: &mut Output) -> Result<()> {
    let metadata = fs::metadata(path).map_err(|error| io_failure(&error))?;
    if metadata.is_dir() {
        bail!("is a folder and no file");
    }
    if !metadata.is_file() {
        bail!("is no ordinary file");
    }
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    if !["xlsx", "xlsm", "xls", "ods", "csv", "txt", "tsv"].contains(&extension.as_str()) {
        bail!(
            "has a name that does not end in .xlsx, .xlsm, .xls, .ods, .csv, .txt or .tsv, and other files cannot be read"
        );
    }
    if metadata.len() == 0 {
        bail!("is empty");
    }
    let mut file = File::open(path).map_err(|error| io_failure(&error))?;
    let container = container(&mut file).map_err(|error| io_failure(&error))?;
    match (extension.as_str(), container) {
        ("csv" | "txt" | "tsv", _) => csv::read(file, path, output),
        ("xlsx" | "xlsm", Container::Zip) => xlsx::read(file, path, output),
        ("xlsx" | "xlsm", Container::Ole) if xlsx::is_encrypted(&file) => bail!(PASSWORD),
        ("ods", Container::Zip) => ods::read(file, path, output),
        ("xls", Container::Ole) => xls::read(file, metadata.len(), output),
        _ => bail!(
            "is no .{extension} workbook, although its name says so: open it in Excel and save it as an .xlsx workbook"
        ),
    }
}

/// What a file is, going by its first bytes.
enum Container {
    Zip,
    /// The container of .xls workbooks, and of .xlsx workbooks with a password.
    Ole,
    Other,
}

fn container(file: &mut File) -> io::Result<Container> {
    let mut begin = Vec::new();
    (&*file).take(8).read_to_end(&mut begin)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(match begin.as_slice() {
        [b'P', b'K', 3, 4, ..] => Container::Zip,
        [0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1] => Container::Ole,
        _ => Container::Other,
    })
}
