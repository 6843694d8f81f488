//! The ends of runs, told to addresses: what is told is the API's, how it gets there the sender's.

use std::sync::Arc;

use http::Method;
use skylift_api::MayBeTold;
use skylift_callback::{Address, Deliveries, Message, Post, Secret, Settings, Tell};
use skylift_model::chain;
use skylift_queue::Queue;
use skylift_store::seal::MasterKey;

/// Tells what is due.
pub(crate) fn deliveries(queue: &Queue, key: MasterKey, settings: Settings) -> Deliveries {
    let Queue { store, bus, clock, .. } = queue.clone();
    Deliveries { store, bus, clock, post: Post::new(settings), tell: tell(queue.clone(), key) }
}

fn tell(queue: Queue, key: MasterKey) -> Tell {
    Arc::new(move |row| {
        let (queue, key) = (queue.clone(), key.clone());
        Box::pin(async move {
            let told = skylift_api::callback(&queue, &key, &row).await.map_err(|error| chain(&error))?;
            let method = if told.is_put { Method::PUT } else { Method::POST };
            Ok(Message { method, body: told.body, secret: Secret::from_bytes(told.secret) })
        })
    })
}

/// Says of an address why nothing would ever be told to it.
pub(crate) fn may_be_told(settings: Settings) -> MayBeTold {
    Arc::new(move |url| {
        let address = Address::parse(url).map_err(|error| error.to_string())?;
        settings.refusal(&address).map_or(Ok(()), Err)
    })
}
