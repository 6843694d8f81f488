//! The only place that writes to standard output and standard error.
//!
//! Results go to stdout, everything said on the way to stderr. A reader that goes away (`| head`) ends the command
//! quietly; a full disk does not.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use super::clean::clean_json;
use super::problem::Problem;

/// Whether a line that stderr shows has not ended: what is said then begins on one of its own. A fact of the whole process, as its terminal is.
static LINE_IS_OPEN: AtomicBool = AtomicBool::new(false);

/// How results are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// For people.
    Text,
    /// One JSON document, or one a line where they keep coming.
    Json,
}

/// Standard output and standard error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    format: Format,
}

impl Output {
    pub(super) fn new(format: Format) -> Self {
        Self { format }
    }

    pub(super) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// A result: the value as JSON, or `text` of it.
    pub(super) fn result<T: Serialize>(self, value: &T, text: impl FnOnce(&T) -> String) -> Result<(), Problem> {
        match self.format {
            Format::Json => self.json(value),
            Format::Text => self.text(&text(value)),
        }
    }

    /// One of a sequence of results, each on a line of its own.
    pub(super) fn item<T: Serialize>(self, value: &T, text: impl FnOnce(&T) -> String) -> Result<(), Problem> {
        match self.format {
            Format::Json => self.plain_json(line(serde_json::to_string(value)?)),
            Format::Text => self.text(&text(value)),
        }
    }

    /// Text as a result; ends with a line end unless it is empty.
    pub(super) fn text(self, text: &str) -> Result<(), Problem> {
        if text.is_empty() { Ok(()) } else { self.bytes(line(text.trim_end_matches('\n').to_owned()).as_bytes()) }
    }

    /// Bytes as a result, as they are.
    pub(super) fn bytes(self, bytes: &[u8]) -> Result<(), Problem> {
        let mut stdout = io::stdout().lock();
        // Elsewhere it is not on the lines of stderr.
        if stdout.is_terminal() && io::stderr().is_terminal() {
            note_end(bytes);
        }
        stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => Problem::ReaderGone,
            _ => Problem::Write(error),
        })
    }

    fn json<T: Serialize>(self, value: &T) -> Result<(), Problem> {
        self.plain_json(line(serde_json::to_string_pretty(value)?))
    }

    /// Without what would steer a terminal, where one shows it.
    fn plain_json(self, text: String) -> Result<(), Problem> {
        let text = if stdout_is_terminal() { clean_json(&text).into_owned() } else { text };
        self.bytes(text.as_bytes())
    }
}

/// Says something on the way, on stderr. That nobody hears it is no failure.
pub(super) fn say(text: &str) {
    let text = if LINE_IS_OPEN.swap(false, Ordering::Relaxed) { format!("\n{text}") } else { text.to_owned() };
    let _ = io::stderr().lock().write_all(line(text).as_bytes());
}

/// What a program of the user's complained, as it is, on stderr.
pub(super) fn complain(bytes: &[u8]) {
    note_end(bytes);
    let _ = io::stderr().lock().write_all(bytes);
}

fn note_end(bytes: &[u8]) {
    if let Some(last) = bytes.last() {
        LINE_IS_OPEN.store(*last != b'\n', Ordering::Relaxed);
    }
}

/// Asks for something on stderr, without ending the line.
pub(super) fn ask(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// Whether somebody reads stdout on a terminal.
pub(super) fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether somebody reads stderr on a terminal.
pub(super) fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

fn line(mut text: String) -> String {
    text.push('\n');
    text
}
