//! Worker processes beside this one: each is this executable with a data folder of its own, and the end of its standard input is its
//! end.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child as Process, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use skylift_control::run_workers::{Child, Children, Told};

use crate::up::worker_of::{NUMBER_MAX, WorkerOf, line_of};

/// This executable, also where its file was replaced meanwhile.
const EXECUTABLE: &str = "/proc/self/exe";
/// How long those that are told to end may take, longer than they give what they run.
const END_WITHIN: Duration = Duration::from_secs(9);
/// How often it is looked whether they have.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Worker processes of this node.
pub(crate) struct WorkerProcesses {
    /// What this node is called.
    pub(crate) node: String,
    /// Where each has its data folder.
    pub(crate) folder: PathBuf,
    /// The settings, where they are in a file.
    pub(crate) settings: Option<PathBuf>,
    /// The file with the platform's master key.
    pub(crate) master_key: PathBuf,
    pub(crate) running: BTreeMap<u32, Running>,
}

/// One that was started and not waited for.
pub(crate) struct Running {
    name: String,
    process: Process,
    /// Closed to end it.
    orders: Option<ChildStdin>,
    started: Instant,
}

impl Running {
    fn child(&self) -> Child {
        Child { name: self.name.clone(), started: self.started }
    }

    /// How it ended, where it has.
    fn ended(&mut self) -> Option<io::Result<ExitStatus>> {
        self.process.try_wait().transpose()
    }

    fn tell(&mut self, told: Told) -> io::Result<()> {
        match (line_of(told), &mut self.orders) {
            (Some(line), Some(orders)) => orders.write_all(line.as_bytes()),
            (Some(_), None) => Ok(()),
            (None, _) => {
                self.orders = None;
                if told == Told::Die { self.process.kill() } else { Ok(()) }
            }
        }
    }
}

impl WorkerProcesses {
    fn spawn(&self, worker: &WorkerOf) -> io::Result<Running> {
        let mut command = Command::new(EXECUTABLE);
        command.arg0("skylift").args(["serve", "--roles", "work", "--worker"]).arg(worker.to_string());
        command.arg("--data").arg(self.folder.join(worker.number.to_string()));
        if let Some(settings) = &self.settings {
            command.arg("--config").arg(settings);
        }
        command.env("SKYLIFT_MASTER_KEY_FILE", &self.master_key);
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        let mut process = command.spawn()?;
        tracing::info!(worker = worker.name(), pid = process.id(), "a worker is started");
        let orders = process.stdin.take();
        Ok(Running { name: worker.name(), process, orders, started: Instant::now() })
    }
}

impl Children for WorkerProcesses {
    fn living(&mut self) -> Vec<Child> {
        self.running.retain(|_, running| match running.ended() {
            None => true,
            Some(ended) => {
                let (worker, how) =
                    (&running.name, ended.map_or_else(|error| error.to_string(), |how| how.to_string()));
                tracing::info!(worker, how, "a worker has ended");
                false
            }
        });
        self.running.values().map(Running::child).collect()
    }

    fn start(&mut self) -> io::Result<Child> {
        let number = (1..=NUMBER_MAX).find(|number| !self.running.contains_key(number));
        let number = number.ok_or_else(|| io::Error::other("there are as many workers as there may be"))?;
        let running = self.spawn(&WorkerOf { node: self.node.clone(), number })?;
        let child = running.child();
        self.running.insert(number, running);
        Ok(child)
    }

    fn tell(&mut self, name: &str, told: Told) {
        let Some(running) = self.running.values_mut().find(|running| running.name == name) else { return };
        if let Err(error) = running.tell(told) {
            tracing::debug!(worker = name, %error, "a worker hears nothing; it has ended");
        }
    }

    fn end_all(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            for running in self.running.values_mut() {
                running.orders = None;
            }
            let began = Instant::now();
            while !self.living().is_empty() && began.elapsed() < END_WITHIN {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            for running in self.running.values_mut() {
                tracing::warn!(worker = running.name, "a worker does not end, and is killed");
                let _ = running.process.kill();
                let _ = running.process.wait();
            }
            self.running.clear();
        })
    }
}
