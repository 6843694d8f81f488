//! Bars on a terminal, plain lines elsewhere.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use skylift_client::folder::HashProgress;
use skylift_client::upload::{OnSent, UploadProgress};

use super::order::Show;
use crate::cli::output::{say, stderr_is_terminal};
use crate::cli::quantity::{bytes, count};

const REDRAW: Duration = Duration::from_millis(100);

/// What is under way, shown as one bar at a time.
pub(super) struct Progress {
    bar: Mutex<ProgressBar>,
    is_terminal: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { bar: Mutex::new(ProgressBar::hidden()), is_terminal: stderr_is_terminal() }
    }

    /// Shows an archive of that size on its way.
    pub(super) fn archive(&self, size: u64) -> OnSent {
        say(&format!("sending {}", bytes(size)));
        self.show(size, "sending {wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}");
        self.advance_by_bytes()
    }

    /// Takes the bar away.
    pub(super) fn clear(&self) {
        self.bar().finish_and_clear();
    }

    fn show(&self, length: u64, template: &str) {
        if !self.is_terminal {
            return;
        }
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let before = std::mem::replace(&mut *self.bar.lock().unwrap_or_else(PoisonError::into_inner), bar);
        before.finish_and_clear();
    }

    fn bar(&self) -> ProgressBar {
        self.bar.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn advance_by_bytes(&self) -> OnSent {
        let bar = self.bar();
        Arc::new(move |count| bar.inc(count))
    }
}

impl HashProgress for Progress {
    fn files(&self, count: u64) {
        self.show(count, "hashing {wide_bar} {pos} of {len} files");
    }

    fn file_done(&self) {
        if self.is_terminal {
            self.bar().inc(1);
        }
    }
}

impl UploadProgress for Progress {
    fn missing(&self, files: u64, size: u64) {
        match files {
            0 => say("nothing to send: the server has all of it"),
            _ => say(&format!("sending {}, {}", count(files, "file"), bytes(size))),
        }
        self.show(size, "sending {wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}");
    }

    fn sent(&self) -> OnSent {
        self.advance_by_bytes()
    }

    fn file_done(&self) {}
}

/// The state of a deployment: one line that turns on a terminal, a line for each change elsewhere. Log lines go above.
pub(super) struct StateLine {
    spinner: Option<ProgressBar>,
    last: String,
}

impl StateLine {
    pub(super) fn new() -> Self {
        let spinner = stderr_is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(REDRAW);
            bar
        });
        Self { spinner, last: String::new() }
    }

    /// Shows the state, if it is another than before.
    pub(super) fn state(&mut self, state: String) {
        if state == self.last {
            return;
        }
        match &self.spinner {
            Some(spinner) => spinner.set_message(state.clone()),
            None => say(&state),
        }
        self.last = state;
    }

    /// Shows these in their order. Steps are only for the line that turns: elsewhere the log says them.
    pub(super) fn show(&mut self, shows: Vec<Show>) {
        for show in shows {
            match show {
                Show::State(state) => self.state(state),
                Show::Step(step) if self.spinner.is_some() => self.state(step),
                Show::Step(_) => {}
                Show::Line(text) => self.line(&text),
            }
        }
    }

    /// Shows a line that stays.
    fn line(&self, text: &str) {
        match &self.spinner {
            Some(spinner) => spinner.suspend(|| say(text)),
            None => say(text),
        }
    }
}

impl Drop for StateLine {
    fn drop(&mut self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}
