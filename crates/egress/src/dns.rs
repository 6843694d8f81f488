//! The guest's name server. It answers from a table of its own and never asks anybody: a name is resolved when it is
//! connected to, so that questions carry nothing outside.

mod message;
mod names;

use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::sleep;

use crate::gateway::Way;
use crate::policy::admit_question;
use message::{KIND_A, Question, Reply, Unreadable};
pub(crate) use names::Names;

/// Answers questions that come to `socket`, for ever.
pub(crate) async fn serve(way: &Way, socket: UdpSocket) {
    let mut packet = [0; 1500];
    loop {
        let (length, guest) = match socket.recv_from(&mut packet).await {
            Ok(received) => received,
            Err(error) => {
                tracing::debug!(%error, "receive a guest's question");
                sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Some(answer) = packet.get(..length).and_then(|packet| answer(way, packet)) else { continue };
        if let Err(error) = socket.send_to(&answer, guest).await {
            tracing::debug!(%error, "answer a guest's question");
        }
    }
}

/// The answer to one packet; `None` where it deserves none.
fn answer(way: &Way, packet: &[u8]) -> Option<Vec<u8>> {
    match message::parse(packet) {
        Ok(question) => Some(message::write(&question, reply(way, &question))),
        Err(Unreadable::Answer(bytes)) => Some(bytes.to_vec()),
        Err(Unreadable::Ignore) => None,
    }
}

fn reply(way: &Way, question: &Question<'_>) -> Reply {
    let Some(name) = &question.name else { return Reply::NoSuchName };
    if !way.passed_names.contains(name)
        && let Err(refusal) = admit_question(&way.exit.policy.get(), name)
    {
        way.refused(refusal);
        return Reply::NoSuchName;
    }
    if question.kind != KIND_A {
        // The name exists; programs then take its IPv4 address.
        return Reply::Nothing;
    }
    way.names.address_of(name).map_or(Reply::Failure, Reply::Address)
}
