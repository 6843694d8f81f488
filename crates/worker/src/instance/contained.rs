//! An instance in a container of the Docker engine: an image that was built from a Dockerfile.
//!
//! It has no network but its own loopback. Once it runs, that network is adopted: sockets made in it are the way in, and
//! listeners in it the filtered way out, as for a sandbox.

mod binds;
mod group;
mod held;
mod meter;
mod running;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use skylift_docker::{Container, Ended, Engine, EngineError, Image, Order, OwnFiles};
use skylift_egress::Gateway;
use skylift_log::Log;
use skylift_model::wire::Stream;
use skylift_model::{Program, chain};
use skylift_sandbox::{Adopted, Door, Exit, Listening, Network, Outcome, Unheard, Unlinked, adopt};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::data::Taken;
use super::watch_disk::{self, LOOK_EVERY, SHARE};
use super::{Instance, PROXY_PORT, command};
use crate::containers::{APP_LABEL, Containers, DEPLOYMENT_LABEL, INSTANCE_LABEL};
use crate::ended::Cause;
use crate::environment::{HOME, PORT, given};
use crate::meters::Read;
use crate::process::{Command, Kind};
use binds::are_where_they_belong;
use held::Held;
use running::{First, network, watch_end};

/// Each folder in memory: `/tmp`, the home, and what the image wants as volumes.
const TMPFS_BYTES: u64 = 64 << 20;
/// Exit codes beyond this tell of the signal that ended the app, by its number.
const SIGNALS_FROM: i32 = 128;
const SIGNAL_MAX: i32 = 64;
/// How long the engine may take to hand a signal on.
const SIGNALLED_WITHIN: Duration = Duration::from_secs(5);
/// An engine that takes long to measure is asked all the same.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(10);

/// A container that runs.
pub(super) struct Contained {
    container: Held,
    /// What it holds of volumes.
    volumes: watch_disk::Volumes,
    own_files: Option<watch_disk::Own>,
    adopted: Adopted,
    is_spoken_to: bool,
    first: First,
    ending: watch::Receiver<Option<Ended>>,
    stop_signal: String,
    printed: Vec<JoinHandle<()>>,
    _gateway: Option<Gateway>,
}

impl Instance {
    /// May be given up at any time: an engine that does not answer keeps nobody from ending.
    pub(super) async fn start_container(
        &self,
        image: &str,
        program: &Program,
        command: Command<'_>,
        secrets: &[(String, String)],
        mut taken: Taken,
        log: &Log,
    ) -> anyhow::Result<Contained> {
        let containers = self.worker.containers.as_ref();
        let containers =
            containers.context("it is an image, and no engine is named: [docker] socket in config.toml")?;
        let engine = containers.engine();
        let image = match engine.image(image).await {
            Err(error) if error.is_missing() => bail!("the image {image} is gone from the Docker engine; deploy again"),
            image => image?,
        };
        let port = port(&image);
        let linked = self.linked(program, port, &taken)?;
        let env = given(program, &linked.env, secrets, port, &self.named());
        let mut order = self.order(&image, started(command), env, containers);
        let volumes = self.bind(engine, &mut taken, &mut order).await?;
        let binds = order.binds.clone();
        let container = create(engine.clone(), order, taken).await?;
        let attached = container.container().attach().await.context("listen to a container")?;
        let printed =
            vec![self.follow(Stream::Stdout, attached.stdout, log), self.follow(Stream::Stderr, attached.stderr, log)];
        container.container().start().await.context("start a container")?;
        let first = First::default();
        let ending = watch_end(container.container().clone(), first.clone());
        let wanted =
            Network::Relay { connect_port: PROXY_PORT, ports: self.relayed(port, &linked, program), dns: true };
        let network = network(container.container(), &first, ending.clone()).await?;
        are_where_they_belong(first.pid(), &binds)?;
        let own_files = own_files(container.container()).await?;
        let adopted = tokio::task::spawn_blocking(move || match network {
            Some(network) => adopt(network, port, wanted),
            // It has ended by now.
            None => Adopted::nothing(),
        })
        .await;
        let mut adopted = adopted.context("adopt a network")?.context("adopt the network of a container")?;
        let gateway = adopted.relay.take().map(|relay| self.serve_network(relay, &linked, program, log)).transpose()?;
        let stop_signal = image.stop_signal.unwrap_or_else(|| "SIGTERM".to_owned());
        let is_spoken_to = self.kind() == Kind::Web;
        Ok(Contained {
            container,
            volumes,
            own_files,
            adopted,
            is_spoken_to,
            first,
            ending,
            stop_signal,
            printed,
            _gateway: gateway,
        })
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
            binds: Vec::new(),
            file_bytes_max: None,
        }
    }
}

impl Contained {
    pub(super) fn door(&self) -> Option<Door> {
        self.is_spoken_to.then(|| self.adopted.door())
    }

    pub(super) fn listening(&self) -> Listening {
        Listening::beside(self.first.pid())
    }

    pub(super) fn unheard(&self) -> Option<Unheard> {
        let unheard = Unheard::of_process(self.first.pid(), Some(self.adopted.door())).ok()?;
        // By now its number may be another's.
        self.first.lives().then_some(unheard)
    }

    pub(super) fn meter(&self) -> Read {
        meter::of(self.first.pid())
    }

    pub(super) async fn ended(&self) {
        // Whoever tells has told before it goes.
        let _ = self.ending.clone().wait_for(Option::is_some).await;
    }

    pub(super) async fn exceeds(&self, bytes_max: u64) -> Cause {
        let unlinked = Unlinked::of_group(group::of(self.first.pid()).map(|(folder, _)| folder));
        let watched = watch_disk::exceeded(self.own_files.clone(), self.volumes.clone(), unlinked, bytes_max);
        if self.own_files.is_some() {
            return watched.await;
        }
        tokio::select! {
            cause = self.writes_too_much(bytes_max) => cause,
            cause = watched => cause,
        }
    }

    /// Asks the engine, where nobody else can see what it has written, as often as a folder would be looked at.
    async fn writes_too_much(&self, bytes_max: u64) -> Cause {
        let mut pause = LOOK_EVERY;
        loop {
            sleep(pause).await;
            let began = Instant::now();
            match self.container.container().written_bytes().await {
                Ok(Some(written)) if written <= bytes_max => {}
                // An engine that is away measures nothing, and is no fault of the container's.
                Err(_) => {}
                Ok(_) => return Cause::Disk,
            }
            pause = LOOK_EVERY.max(began.elapsed() * SHARE).min(LOOK_AT_LEAST_EVERY);
        }
    }

    pub(super) async fn terminate(&self) {
        self.signal(&self.stop_signal).await;
    }

    pub(super) async fn kill(&self) {
        // An engine that does not answer keeps nothing alive.
        self.first.kill();
        self.signal("SIGKILL").await;
    }

    async fn signal(&self, signal: &str) {
        let id = self.container.container().id();
        match timeout(SIGNALLED_WITHIN, self.container.container().signal(signal)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(container.id = id, signal, error = %chain(&error), "cannot signal"),
            Err(_) => tracing::warn!(container.id = id, signal, "cannot signal: the Docker engine does not answer"),
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

/// The files of a container's own, where the engine has them in a folder that can be looked at.
async fn own_files(container: &Container) -> anyhow::Result<Option<watch_disk::Own>> {
    let OwnFiles { layer, beside } = container.own_files().await.context("look where a container writes")?;
    let layer = layer.filter(|layer| layer.is_dir());
    Ok(layer.map(|folder| watch_disk::Own { folder, seen_at: "/", beside: beside.into() }))
}

/// Makes a container. Where nobody waits for it any longer, it is removed as soon as it is made.
async fn create(engine: Engine, order: Order, taken: Taken) -> anyhow::Result<Held> {
    let made = tokio::spawn(async move {
        let container = engine.create(&order).await?;
        Ok::<_, EngineError>(Held::new(container, taken))
    });
    made.await.context("make a container")?.context("make a container")
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
