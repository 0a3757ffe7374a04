//! What commands print. `println!` panics where the reader has gone or the disk is full; here the caller learns of it.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use indicatif::{ProgressBar, ProgressStyle};

/// Writes a line to the standard output. Returns once the operating system has taken all of it, or why it did not.
pub(crate) fn print(text: impl Display) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{text}")?;
    output.flush()
}

/// Writes a line to the standard error output, or returns why it could not.
pub(crate) fn print_error(text: impl Display) -> io::Result<()> {
    io::stderr().write_all(format!("{text}\n").as_bytes())
}

/// A bar on the standard error output, if that is a terminal, for so many of what `unit` names.
pub(crate) fn progress(count: usize, unit: &str) -> ProgressBar {
    let style = format!("{{wide_bar}} {{pos}}/{{len}} {unit}, {{per_sec}}, {{eta}} left");
    let bar = ProgressBar::new(u64::try_from(count).unwrap_or(u64::MAX));
    match ProgressStyle::with_template(&style) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Whether [`print()`] succeeds though nobody can read it: the standard output is the null device. So it is also where it
/// was closed, since the standard library then opens the null device in its place.
pub(crate) fn is_discarded() -> bool {
    let device = |file: File| file.metadata().map(|metadata| metadata.rdev());
    let output = io::stdout().as_fd().try_clone_to_owned().map(File::from).and_then(device);
    let null = std::fs::metadata("/dev/null").map(|metadata| metadata.rdev());
    match (output, null) {
        (Ok(output), Ok(null)) => output == null,
        (Err(_), _) => true,
        (Ok(_), Err(_)) => false,
    }
}

/// Why a command fails.
pub(crate) enum Failure {
    /// For this reason, to be said in one line.
    Reason(String),
    /// For reasons that were said already.
    Told,
    /// The reader of the standard output has gone, as `head` does when it has enough: nothing to say.
    ReaderGone,
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self::Reason(reason)
    }
}

/// The failure of a [`print()`].
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ReaderGone,
            _ => Self::Reason(format!("cannot write to the standard output: {error}")),
        }
    }
}
