//! The access log: lines are gathered by each thread and written by one other, so that no request waits for a writer.
//!
//! Lines reach the writer within [`GATHERED`] or so. Where it cannot keep up, lines are dropped and counted.

use std::io::Write;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use super::line::{AccessStyle, Line};
use crate::shard;

/// How long lines are gathered before they are written.
const GATHERED: Duration = Duration::from_millis(20);
/// How many bytes of lines may wait in one thread's share.
const WAITING_BYTES_MAX: usize = 1 << 20;
/// How long the last lines may take when the edge ends.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Where lines about requests go. Cheap to clone.
#[derive(Clone)]
pub struct AccessLog(Option<Arc<Handle>>);

struct Handle {
    waiting: Arc<Waiting>,
    writer: Thread,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Waiting {
    style: AccessStyle,
    shares: Box<[Mutex<Vec<u8>>]>,
    /// Whether the writer sleeps until it is woken.
    asleep: AtomicBool,
    closed: AtomicBool,
    dropped: AtomicU64,
}

impl AccessLog {
    /// No lines.
    pub fn off() -> Self {
        Self(None)
    }

    /// Lines to a writer, from a thread of its own; several at a time, always whole.
    pub fn to(mut writer: impl Write + Send + 'static, style: AccessStyle) -> Self {
        let waiting = Arc::new(Waiting {
            style,
            shares: (0..shard::count()).map(|_| Mutex::default()).collect(),
            asleep: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
        });
        let seen = waiting.clone();
        let thread = thread::Builder::new().name("access-log".into()).spawn(move || seen.run(&mut writer));
        match thread {
            Ok(thread) => {
                let writer = thread.thread().clone();
                Self(Some(Arc::new(Handle { waiting, writer, thread: Mutex::new(Some(thread)) })))
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "there is no access log");
                Self::off()
            }
        }
    }

    /// Takes a line. Never waits for the writer.
    pub(crate) fn push(&self, line: &Line<'_>) {
        let Some(handle) = &self.0 else { return };
        let Some(share) = handle.waiting.shares.get(shard::own()) else { return };
        let mut lines = share.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= WAITING_BYTES_MAX {
            handle.waiting.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let first = lines.is_empty();
        line.write(handle.waiting.style, &mut lines);
        drop(lines);
        if first && handle.waiting.asleep.swap(false, Ordering::AcqRel) {
            handle.writer.unpark();
        }
    }

    /// How many lines were dropped since the writer could not keep up.
    pub(crate) fn dropped(&self) -> u64 {
        self.0.as_ref().map_or(0, |handle| handle.waiting.dropped.load(Ordering::Relaxed))
    }

    /// Waits until everything so far is written, but not for ever: the writer may be stuck.
    pub(crate) async fn finish(&self) {
        let Some(handle) = &self.0 else { return };
        handle.close();
        let thread = handle.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let joined = tokio::task::spawn_blocking(move || thread.join());
            let _ = tokio::time::timeout(LAST_LINES, joined).await;
        }
    }
}

impl Handle {
    fn close(&self) {
        self.waiting.closed.store(true, Ordering::Release);
        self.writer.unpark();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

impl Waiting {
    fn run(&self, writer: &mut dyn Write) {
        let mut lines = Vec::new();
        loop {
            let closed = self.closed.load(Ordering::Acquire);
            if self.write_all(&mut lines, writer) || closed {
                if closed {
                    return;
                }
                thread::park_timeout(GATHERED);
                continue;
            }
            self.asleep.store(true, Ordering::Release);
            // A line that came before the flag was up woke nobody.
            if !self.write_all(&mut lines, writer) && !self.closed.load(Ordering::Acquire) {
                while self.asleep.load(Ordering::Acquire) && !self.closed.load(Ordering::Acquire) {
                    thread::park();
                }
                thread::park_timeout(GATHERED);
            }
            self.asleep.store(false, Ordering::Release);
        }
    }

    /// Writes what waits; returns whether there was anything.
    fn write_all(&self, lines: &mut Vec<u8>, writer: &mut dyn Write) -> bool {
        let mut any = false;
        for share in &self.shares {
            lines.clear();
            mem::swap(&mut *share.lock().unwrap_or_else(PoisonError::into_inner), lines);
            if !lines.is_empty() {
                any = true;
                // Nobody is left to tell when this fails.
                let _ = writer.write_all(lines).and_then(|()| writer.flush());
            }
        }
        any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::now::now;
    use std::io;
    use std::sync::mpsc;

    fn line<'l>() -> Line<'l> {
        let client = ([127, 0, 0, 1], 1).into();
        let (host, app, deployment) = (None, None, None);
        Line {
            ended: now(),
            id: "r",
            host,
            app,
            deployment,
            method: "GET",
            path: "/",
            status: 200,
            bytes: 0,
            duration_us: 0,
            client,
            complete: true,
            passed_on: None,
            cache: None,
        }
    }

    struct Lines(mpsc::Sender<usize>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            assert_eq!(bytes.last(), Some(&b'\n'), "lines are written whole");
            self.0.send(bytes.iter().filter(|b| **b == b'\n').count()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn every_line_is_written_from_every_thread() {
        let (sender, written) = mpsc::channel();
        let log = AccessLog::to(Lines(sender), AccessStyle::Json);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let log = log.clone();
                thread::spawn(move || (0..500).for_each(|_| log.push(&line())))
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        log.finish().await;
        assert_eq!(written.try_iter().sum::<usize>(), 2000);
    }

    #[test]
    fn a_line_after_a_long_quiet_is_written_too() {
        let (sender, written) = mpsc::channel();
        let log = AccessLog::to(Lines(sender), AccessStyle::Text);
        for _ in 0..20 {
            log.push(&line());
            // Received only once the writer was woken; by the next turn it may sleep again.
            assert_eq!(written.recv_timeout(Duration::from_secs(20)).unwrap(), 1);
        }
    }

    #[test]
    fn a_stuck_writer_costs_lines_and_no_time() {
        struct Stuck(mpsc::Receiver<()>);
        impl Write for Stuck {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let _ = self.0.recv();
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (release, stuck) = mpsc::channel();
        let log = AccessLog::to(Stuck(stuck), AccessStyle::Json);
        for _ in 0..20_000 {
            log.push(&line());
        }
        assert!(log.dropped() > 0);
        drop(release);
    }
}
