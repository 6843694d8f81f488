//! An instance that is left alone because it owes answers and gives none is asked one question: whoever answers it, with anything, is
//! asked again. So an app whose answers take their time, as with long polls, loses nothing.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use skylift_balance::{Group, Target};
use skylift_model::AppName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::Instances;

/// What is asked: what an instance was asked when it started.
const QUESTION: &[u8] =
    b"GET / HTTP/1.1\r\nhost: localhost\r\nuser-agent: skylift-health\r\naccept: */*\r\nconnection: close\r\n\r\n";
/// What every answer begins with.
const ANSWER: &[u8] = b"HTTP/1.";
/// Without an answer for so long it is worth a word.
const PATIENCE: Duration = Duration::from_secs(1);

/// Asks an instance that says nothing, for as long as it is left alone, and lets it go on where it answers.
pub(super) async fn ask(instances: Arc<dyn Instances>, group: Group, of: (AppName, Target), lasts: Duration) {
    let (app, target) = of;
    let mut answered = std::pin::pin!(timeout(lasts, answer(&*instances, &target)));
    let answered = match timeout(PATIENCE, answered.as_mut()).await {
        Ok(answered) => answered,
        Err(_) => {
            tracing::warn!(app = %app, instance.id = %target.id, "an instance has stopped answering, and is asked nothing for now");
            answered.await
        }
    };
    if matches!(answered, Ok(Ok(()))) && group.heard(&target.id, Instant::now()) {
        tracing::info!(app = %app, instance.id = %target.id, "an instance that said nothing answers");
    }
}

async fn answer(instances: &dyn Instances, target: &Target) -> io::Result<()> {
    let instance = target.id.as_str().parse().map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut stream = instances.connect(&instance, target.node.as_str()).await?;
    stream.write_all(QUESTION).await?;
    let mut begins = [0; ANSWER.len()];
    stream.read_exact(&mut begins).await?;
    if begins == ANSWER { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}
