//! An instance in a container of the Docker engine: an image that was built from a Dockerfile.
//!
//! It has no network but its own loopback. Once it runs, that network is adopted: sockets made in it are the way in, and
//! listeners in it the filtered way out, as for a sandbox.

mod meter;

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use skylift_docker::{Container, Ended, Image, Order};
use skylift_egress::Gateway;
use skylift_log::Log;
use skylift_model::wire::Stream;
use skylift_model::{Program, chain};
use skylift_sandbox::{Adopted, Door, Exit, Listening, Network, Outcome, adopt};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::data::Taken;
use super::watch_disk::{LOOK_EVERY, SHARE};
use super::{Instance, PROXY_PORT, command};
use crate::containers::{APP_LABEL, Containers, DEPLOYMENT_LABEL, INSTANCE_LABEL};
use crate::ended::Cause;
use crate::environment::{HOME, PORT, given};
use crate::meters::Read;
use crate::process::{Command, Kind};

/// Each folder in memory: `/tmp`, the home, and what the image wants as volumes.
const TMPFS_BYTES: u64 = 64 << 20;
/// Exit codes beyond this tell of the signal that ended the app, by its number.
const SIGNALS_FROM: i32 = 128;
const SIGNAL_MAX: i32 = 64;
/// How long to wait before the engine is asked again, and how often it may fail to answer.
const ASK_AGAIN: Duration = Duration::from_millis(500);
const TRIES: u32 = 20;
/// How long after its end the engine may speak of a container as running.
const NOTICED_WITHIN: Duration = Duration::from_secs(5);
/// An engine that takes long to measure is asked all the same.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(10);

/// A container that runs.
pub(super) struct Contained {
    container: Held,
    adopted: Adopted,
    is_spoken_to: bool,
    /// Its first process, or 0 where it has ended.
    pid: u32,
    ending: watch::Receiver<Option<Ended>>,
    stop_signal: String,
    printed: Vec<JoinHandle<()>>,
    _gateway: Option<Gateway>,
}

/// A container that is removed when it is dropped.
struct Held(Container);

impl Instance {
    pub(super) async fn start_container(
        &self,
        image: &str,
        program: &Program,
        command: Command<'_>,
        secrets: &[(String, String)],
        taken: &Taken,
        log: &Log,
    ) -> anyhow::Result<Contained> {
        let containers = self.worker.containers.as_ref();
        let containers =
            containers.context("it is an image, and no engine is named: [docker] socket in config.toml")?;
        let engine = containers.engine().await?;
        let image = match engine.image(image).await {
            Err(error) if error.is_missing() => bail!("the image {image} is gone from the Docker engine; deploy again"),
            image => image?,
        };
        let port = port(&image);
        let linked = self.linked(program, port, taken)?;
        let env = given(program, &linked.env, secrets, port, &self.named());
        let order = self.order(&image, started(command), env, containers);
        let container = Held(engine.create(&order).await.context("make a container")?);
        let attached = container.0.attach().await.context("listen to a container")?;
        let printed =
            vec![self.follow(Stream::Stdout, attached.stdout, log), self.follow(Stream::Stderr, attached.stderr, log)];
        container.0.start().await.context("start a container")?;
        let ending = watch_end(container.0.clone());
        let wanted = Network::Relay { connect_port: PROXY_PORT, ports: self.relayed(port, &linked), dns: true };
        let (pid, network) = network(&container.0, ending.clone()).await?.unzip();
        let adopted = tokio::task::spawn_blocking(move || match network {
            Some(network) => adopt(network, port, wanted),
            // It has ended by now.
            None => Adopted::nothing(),
        })
        .await;
        let mut adopted = adopted.context("adopt a network")?.context("adopt the network of a container")?;
        let gateway = adopted.relay.take().map(|relay| self.serve_network(relay, &linked, program, log)).transpose()?;
        let stop_signal = image.stop_signal.unwrap_or_else(|| "SIGTERM".to_owned());
        let pid = pid.unwrap_or_default();
        let is_spoken_to = self.kind() == Kind::Web;
        Ok(Contained { container, adopted, is_spoken_to, pid, ending, stop_signal, printed, _gateway: gateway })
    }

    fn order(
        &self,
        image: &Image,
        command: Vec<String>,
        env: BTreeMap<String, String>,
        containers: &Containers,
    ) -> Order {
        let (row, settings) = (&self.input.instance, &self.settings);
        let own = ["/tmp".to_owned(), HOME.to_owned()];
        let labels = [
            (APP_LABEL, row.app.as_str()),
            (DEPLOYMENT_LABEL, row.deployment.as_str()),
            (INSTANCE_LABEL, row.id.as_str()),
        ];
        Order {
            image: image.id.clone(),
            command,
            env,
            user: image.user.is_none().then(|| format!("{uid}:{uid}", uid = self.uid())),
            hostname: row.id.to_string(),
            labels: containers.labels(labels),
            memory_bytes: settings.memory_bytes,
            cpu_millicores: settings.cpu_millicores,
            pids: settings.pids,
            tmpfs: own.into_iter().chain(image.volumes.clone()).map(|path| (path, TMPFS_BYTES)).collect(),
        }
    }
}

impl Contained {
    pub(super) fn door(&self) -> Option<Door> {
        self.is_spoken_to.then(|| self.adopted.door())
    }

    pub(super) fn listening(&self) -> Listening {
        Listening::beside(self.pid)
    }

    pub(super) fn meter(&self) -> Read {
        meter::of(self.pid)
    }

    pub(super) async fn ended(&self) {
        // Whoever tells has told before it goes.
        let _ = self.ending.clone().wait_for(Option::is_some).await;
    }

    /// Asks the engine as often as a folder would be looked at.
    pub(super) async fn exceeds(&self, bytes_max: u64) -> Cause {
        let mut pause = LOOK_EVERY;
        loop {
            sleep(pause).await;
            let began = Instant::now();
            if matches!(self.container.0.written_bytes().await, Ok(written) if written > bytes_max) {
                return Cause::Disk;
            }
            pause = LOOK_EVERY.max(began.elapsed() * SHARE).min(LOOK_AT_LEAST_EVERY);
        }
    }

    pub(super) async fn terminate(&self) {
        self.signal(&self.stop_signal).await;
    }

    pub(super) async fn kill(&self) {
        self.signal("SIGKILL").await;
    }

    async fn signal(&self, signal: &str) {
        if let Err(error) = self.container.0.signal(signal).await {
            tracing::warn!(container.id = self.container.0.id(), signal, error = %chain(&error), "cannot signal");
        }
    }

    pub(super) async fn finish(self) -> anyhow::Result<Outcome> {
        self.ended().await;
        let ended = *self.ending.borrow();
        let Self { container, adopted, printed, _gateway, .. } = self;
        drop(adopted);
        for printed in printed {
            let _ = printed.await;
        }
        container.remove().await;
        Ok(outcome(ended.context("the Docker engine does not answer any more")?))
    }
}

impl Held {
    async fn remove(self) {
        remove(self.0.clone()).await;
        std::mem::forget(self);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        tokio::spawn(remove(self.0.clone()));
    }
}

/// Insists for a while; what is left then is found by its label when the platform starts again.
async fn remove(container: Container) {
    for _ in 0..TRIES {
        match container.remove().await {
            Ok(()) => return,
            Err(error) => {
                tracing::warn!(container.id = container.id(), error = %chain(&error), "cannot remove a container");
            }
        }
        sleep(ASK_AGAIN).await;
    }
}

/// Tells once it has ended, or once the engine has not answered for a while, which ends it for us.
fn watch_end(container: Container) -> watch::Receiver<Option<Ended>> {
    let (tell, told) = watch::channel(None);
    tokio::spawn(async move {
        for _ in 0..TRIES {
            match container.ended().await {
                Ok(ended) => {
                    let _ = tell.send(Some(ended));
                    return;
                }
                Err(error) => {
                    tracing::warn!(container.id = container.id(), error = %chain(&error), "cannot wait for a container");
                }
            }
            sleep(ASK_AGAIN).await;
        }
    });
    told
}

/// The first process and the network of a container, or `None` where it has ended. Its first process is looked up, its network opened, and the
/// process looked up once more: if it is the same and still runs, what was opened is the container's.
async fn network(
    container: &Container,
    mut ending: watch::Receiver<Option<Ended>>,
) -> anyhow::Result<Option<(u32, OwnedFd)>> {
    let before = container.state().await?;
    if !before.running || before.pid == 0 {
        return Ok(None);
    }
    let opened = File::open(format!("/proc/{}/ns/net", before.pid));
    let after = container.state().await?;
    if !after.running || after.pid != before.pid {
        return Ok(None);
    }
    // The engine may not have noticed the end yet.
    if opened.is_err() && timeout(NOTICED_WITHIN, ending.wait_for(Option::is_some)).await.is_ok() {
        return Ok(None);
    }
    let opened = opened.context("open the network of a container (the engine must run on this machine)")?;
    Ok(Some((before.pid, opened.into())))
}

/// What the container starts: as the image says, or the user's own command in the user's own container.
fn started(command: Command<'_>) -> Vec<String> {
    match command {
        Command::Line("") => Vec::new(),
        Command::Line(_) => command::by_shell(command),
        Command::Words(words) => words.to_vec(),
    }
}

/// Where it listens: the one port that the image says, else the usual one.
fn port(image: &Image) -> u16 {
    match image.tcp_ports.as_slice() {
        [one] => *one,
        _ => PORT,
    }
}

fn outcome(Ended { code, out_of_memory }: Ended) -> Outcome {
    let signal = code - SIGNALS_FROM;
    let exit = if (1..=SIGNAL_MAX).contains(&signal) { Exit::Signal(signal) } else { Exit::Code(code) };
    Outcome { exit, peak_memory_bytes: 0, cpu_ms: 0, out_of_memory, pids_limit_hit: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(tcp_ports: &[u16]) -> Image {
        Image {
            id: String::new(),
            has_name: true,
            bytes: 0,
            user: None,
            has_command: true,
            tcp_ports: tcp_ports.to_vec(),
            volumes: vec![],
            stop_signal: None,
        }
    }

    #[test]
    fn an_image_that_names_one_port_is_asked_there() {
        assert_eq!([port(&image(&[])), port(&image(&[80])), port(&image(&[80, 443]))], [8080, 80, 8080]);
    }

    #[test]
    fn what_the_init_says_of_signals_is_told_as_such() {
        let exit = |code| outcome(Ended { code, out_of_memory: false }).exit;
        assert_eq!([exit(3), exit(139), exit(255)], [Exit::Code(3), Exit::Signal(11), Exit::Code(255)]);
    }
}
