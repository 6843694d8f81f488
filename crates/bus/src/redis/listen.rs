//! The connection that listens.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::{sleep, timeout};

use super::connect::Connection;
use super::resp::{self, Value};
use super::{Backoff, Shared};
use crate::Heard;
use crate::message::Message;

/// How many beats of silence end a connection.
const BEATS_MISSED_MAX: u32 = 3;
/// How often, in beats, everybody looks at everything while nothing can be heard.
const LOOK_EVERY_BEATS: u32 = 5;

/// Listens for as long as the process lives.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut backoff = Backoff::new();
    let looking = tokio::time::interval(shared.beat * LOOK_EVERY_BEATS);
    tokio::pin!(looking);
    // The first tick is at once; whoever subscribes now is about to read everything anyway.
    looking.tick().await;
    loop {
        let error = {
            let listening = listen(&shared, &mut backoff);
            tokio::pin!(listening);
            loop {
                tokio::select! {
                    error = &mut listening => break error,
                    _ = looking.tick() => {
                        if !shared.is_listening.load(Ordering::Acquire) {
                            shared.everybody_missed_something();
                        }
                    }
                }
            }
        };
        shared.is_listening.store(false, Ordering::Release);
        shared.log_outage(&error);
    }
}

/// Connects, subscribes and hears until something fails; waits a little after what failed.
async fn listen(shared: &Shared, backoff: &mut Backoff) -> io::Error {
    match subscribe(shared).await {
        Ok(mut connection) => {
            shared.reconnects.fetch_add(1, Ordering::Relaxed);
            shared.is_listening.store(true, Ordering::Release);
            shared.is_back.notify_one();
            shared.log_recovery();
            // From here on nothing is missed; what was said before is read from the store.
            shared.everybody_missed_something();
            let error = hear(shared, &mut connection, backoff).await;
            shared.is_listening.store(false, Ordering::Release);
            shared.log_outage(&error);
            // Also after one that took us and hung up at once: each new one lets everybody look at everything.
            sleep(backoff.next()).await;
            error
        }
        Err(error) => {
            shared.log_outage(&error);
            sleep(backoff.next()).await;
            error
        }
    }
}

async fn subscribe(shared: &Shared) -> io::Result<Connection> {
    let mut connection = shared.dial.connect().await?;
    let mut bytes = Vec::new();
    resp::command(&mut bytes, &["SUBSCRIBE", &shared.channel, &shared.own_channel]);
    connection.send(&bytes).await?;
    for _ in 0..2 {
        match connection.answer().await? {
            Value::Items(items) if items.first() == Some(&Value::Text("subscribe".to_owned())) => {}
            Value::Error(error) => return Err(io::Error::new(io::ErrorKind::PermissionDenied, error)),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
    Ok(connection)
}

async fn hear(shared: &Shared, connection: &mut Connection, backoff: &mut Backoff) -> io::Error {
    loop {
        // Our own beat comes at least this often, where both connections and Redis are well.
        let heard = match timeout(shared.beat * BEATS_MISSED_MAX, connection.next()).await {
            Ok(Ok(heard)) => heard,
            Ok(Err(error)) => return error,
            Err(_) => return io::Error::new(io::ErrorKind::TimedOut, "nothing was heard, not even ourselves"),
        };
        let Value::Items(items) = heard else { return io::ErrorKind::InvalidData.into() };
        *backoff = Backoff::new();
        if let [Value::Text(kind), Value::Text(channel), Value::Text(text)] = items.as_slice()
            && kind == "message"
            && *channel == shared.channel
        {
            pass_on(shared, text);
        }
    }
}

/// What others said. `1 ORIGIN MESSAGE`, where 1 is the version.
fn pass_on(shared: &Shared, text: &str) {
    let said = text.strip_prefix("1 ").and_then(|rest| rest.split_once(' '));
    let message = match said {
        // Everybody here heard it when it was said.
        Some((origin, _)) if origin == shared.origin => return,
        Some((_, "missed")) => None,
        Some((_, message)) => Message::parse(message),
        None => None,
    };
    shared.received.fetch_add(1, Ordering::Relaxed);
    match message {
        Some(message) => {
            let _ = shared.heard.send(Heard::Message(message));
        }
        // Somebody lost messages, or says what only a newer version understands.
        None => shared.everybody_missed_something(),
    }
}
