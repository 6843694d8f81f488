//! The connection that says and asks: everything that waits goes in one write, the answers come in the same order.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc::Receiver;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::connect::Connection;
use super::resp::{self, Value};
use super::{Backoff, Errand, Shared};
use crate::bucket::SCRIPT;

/// How many errands go in one write.
const BATCH_MAX: usize = 128;

/// Runs errands for as long as the process lives.
pub(super) async fn run(shared: Arc<Shared>, mut errands: Receiver<Errand>) {
    let mut backoff = Backoff::new();
    loop {
        match shared.dial.connect().await {
            Ok(connection) => match serve(&shared, connection, &mut errands, &mut backoff).await {
                Ok(()) => return,
                Err(error) => shared.log_outage(&error),
            },
            Err(error) => shared.log_outage(&error),
        }
        // Whatever comes meanwhile is not for later: whoever missed it will look at everything.
        let waited = sleep(backoff.next());
        tokio::pin!(waited);
        loop {
            tokio::select! {
                () = &mut waited => break,
                () = shared.is_back.notified() => break,
                errand = errands.recv() => match errand {
                    Some(errand) => drop_errand(&shared, errand),
                    None => return,
                },
            }
        }
    }
}

async fn serve(
    shared: &Shared,
    mut connection: Connection,
    errands: &mut Receiver<Errand>,
    backoff: &mut Backoff,
) -> io::Result<()> {
    let mut beats = interval(shared.beat);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut batch = Vec::new();
    loop {
        let is_beat = tokio::select! {
            _ = beats.tick() => true,
            count = errands.recv_many(&mut batch, BATCH_MAX) => match count {
                0 => return Ok(()),
                _ => false,
            },
        };
        let done = exchange(shared, &mut connection, &mut batch, is_beat).await;
        for errand in batch.drain(..) {
            drop_errand(shared, errand);
        }
        done?;
        *backoff = Backoff::new();
    }
}

/// Sends everything, reads every answer. What is left in the batch was not done.
async fn exchange(
    shared: &Shared,
    connection: &mut Connection,
    batch: &mut Vec<Errand>,
    is_beat: bool,
) -> io::Result<()> {
    let owes = shared.owes.swap(false, Ordering::AcqRel);
    let done = exchange_all(shared, connection, batch, is_beat, owes).await;
    if done.is_err() && owes {
        shared.owes.store(true, Ordering::Release);
    }
    done
}

async fn exchange_all(
    shared: &Shared,
    connection: &mut Connection,
    batch: &mut Vec<Errand>,
    is_beat: bool,
    owes: bool,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    let say = |bytes: &mut Vec<u8>, text: &str| {
        resp::command(bytes, &["PUBLISH", &shared.channel, &format!("1 {} {text}", shared.origin)]);
    };
    if is_beat {
        resp::command(&mut bytes, &["PUBLISH", &shared.own_channel, "beat"]);
    }
    if owes {
        say(&mut bytes, "missed");
    }
    for errand in batch.iter() {
        match errand {
            Errand::Say(text) => say(&mut bytes, text),
            Errand::Take { key, take, .. } => {
                let key = format!("{}{key}", shared.bucket_prefix);
                let [now, cost, least, burst] =
                    [take.now, take.cost, take.least, take.burst].map(|number| number.to_string());
                resp::command(&mut bytes, &["EVAL", SCRIPT, "1", &key, &now, &cost, &least, &burst]);
            }
        }
    }
    connection.send(&bytes).await?;
    for _ in 0..usize::from(is_beat) + usize::from(owes) {
        expect_number(connection.answer().await?)?;
    }
    batch.reverse();
    while !batch.is_empty() {
        let answered = connection.answer().await?;
        if let (Value::Error(_), Some(Errand::Take { .. })) = (&answered, batch.last()) {
            // No memory, no file to write, no right to run scripts, a copy that is only read: it carries messages all the same, and
            // where it does not, that is told of those. Whoever asked counts by itself.
            batch.pop();
            continue;
        }
        let number = expect_number(answered)?;
        if let Some(Errand::Take { answer, .. }) = batch.pop() {
            let _ = answer.send(number);
        }
    }
    Ok(())
}

fn expect_number(value: Value) -> io::Result<i64> {
    match value {
        Value::Number(number) => Ok(number),
        Value::Error(error) => Err(io::Error::other(error)),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Whoever asked for tokens hears nothing and counts by itself; what was to be said is owed.
fn drop_errand(shared: &Shared, errand: Errand) {
    if let Errand::Say(_) = errand {
        shared.dropped.fetch_add(1, Ordering::Relaxed);
        shared.owes.store(true, Ordering::Release);
    }
}
