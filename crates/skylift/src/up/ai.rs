//! The AI node of this process: its engine, who may ask it, and what was spent.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use skylift_ai::{Engine, Mock, Node, RelayLimits, Spent, Tally, Upstream};
use skylift_model::wire::AiUsed;
use skylift_model::{AppName, Clock, Timestamp, TokenId, chain};
use skylift_run::{Answering, Models};
use skylift_store::{Store, StoreError, day_of};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::workers::Core;
use crate::config::Config;

/// The label below the bare domain on which it answers.
pub(crate) const NAME: &str = "ai";

/// How long after rows could not be written they are tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Makes the node. What is spent is noted by a task among `tasks`, until it is told to stop.
pub(crate) fn node(
    core: &Core,
    config: &Config,
    tasks: &mut JoinSet<()>,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<Node> {
    let settings = &config.ai;
    let engine: Arc<dyn Engine> = match settings.upstream() {
        Some(upstream) => {
            Arc::new(Upstream::new(&upstream).context("make ready to ask the server of `[ai] upstream`")?)
        }
        None => Arc::new(Mock::new(&settings.models(), core.clock.clone())),
    };
    let ledger = Arc::new(Ledger { clock: core.clock.clone(), pending: Mutex::default(), wake: Notify::new() });
    tasks.spawn(keep(ledger.clone(), core.store.clone(), stop));
    Ok(Node::new(engine, settings.models(), settings.limits(), ledger))
}

/// Says so where an app has the node's name: it had it before, and keeps it.
pub(crate) async fn look_at_name(store: &Store) {
    let Ok(name) = NAME.parse::<AppName>() else { return };
    match store.app(name).await {
        Ok(_) => tracing::warn!(
            "an app is called `{NAME}` and keeps its address, so the AI node has none of its own; runs reach it all the same"
        ),
        Err(StoreError::NotFound(_)) => {}
        Err(error) => tracing::warn!(error = chain(&error), "cannot look whether an app has the AI node's name"),
    }
}

/// The way from runs to the node.
pub(crate) struct Relays {
    pub(crate) node: Node,
    pub(crate) limits: RelayLimits,
}

impl Models for Relays {
    fn answer(&self, listening: OwnedFd, key: &TokenId) -> Answering {
        let (node, key, limits) = (self.node.clone(), key.clone(), self.limits);
        let task = tokio::spawn(async move {
            match TcpListener::from_std(listening.into()) {
                Ok(listener) => skylift_ai::serve(listener, node, key, limits).await,
                Err(error) => tracing::error!(%error, "a run cannot ask models"),
            }
        });
        Answering::by(task.abort_handle())
    }
}

/// What was spent and is not in the rows yet, by key and day.
struct Ledger {
    clock: Clock,
    pending: Mutex<HashMap<(TokenId, Timestamp), Spent>>,
    wake: Notify,
}

impl Tally for Ledger {
    fn spent(&self, key: &TokenId, spent: Spent) {
        self.add((key.clone(), day_of(self.clock.now())), spent);
        self.wake.notify_one();
    }
}

impl Ledger {
    fn add(&self, of: (TokenId, Timestamp), spent: Spent) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.entry(of).or_default().add(spent);
    }

    /// Writes what there is. What could not be written is kept for the next time.
    async fn write(&self, store: &Store) -> Result<(), StoreError> {
        let all = std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
        if all.is_empty() {
            return Ok(());
        }
        let row = |((key, day), spent): (&(TokenId, Timestamp), &Spent)| (key.clone(), *day, used(*spent));
        let written = store.add_ai_usage(all.iter().map(row).collect()).await;
        if written.is_err() {
            all.into_iter().for_each(|(of, spent)| self.add(of, spent));
        }
        written
    }
}

fn used(Spent { requests, prompt_tokens, completion_tokens }: Spent) -> AiUsed {
    AiUsed { requests, prompt_tokens, completion_tokens }
}

/// Notes what was spent, as soon as it is known.
async fn keep(ledger: Arc<Ledger>, store: Store, mut stop: watch::Receiver<bool>) {
    let mut is_away = false;
    loop {
        let is_over = tokio::select! {
            () = ledger.wake.notified(), if !is_away => false,
            () = tokio::time::sleep(AGAIN_AFTER), if is_away => false,
            _ = stop.wait_for(|stop| *stop) => true,
        };
        let written = ledger.write(&store).await;
        if let (Err(error), false) = (&written, is_away) {
            tracing::error!(error = chain(error), "what models have done is not in the rows yet");
        }
        is_away = written.is_err();
        if is_over {
            return;
        }
    }
}
