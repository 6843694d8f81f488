use futures_util::stream;
use http_body_util::BodyExt;
use skylift_model::{Timestamp, TokenId};

use super::*;
use crate::allowance::UnderWay;

const LARGE: usize = 1 << 20;

fn large() -> Response {
    vec![b'x'; LARGE].into_response()
}

#[tokio::test]
async fn an_answer_that_is_not_read_holds_its_keys_place_until_it_is_or_its_client_goes() {
    let (under_way, token) = (UnderWay::default(), TokenId::new(Timestamp::from_millis(0), 1));
    let answer = || {
        let turn = under_way.begin(&token, 1).map(Arc::new);
        turn.map(|turn| hold(&Budget::default(), Hold::new(Some(turn), None).until_sent(large())).unwrap())
    };
    let unread = answer().unwrap();
    assert!(answer().is_none(), "nothing of it was read");
    let mut body = unread.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first.len(), PIECE_BYTES, "it goes out in pieces");
    assert!(answer().is_none(), "a part of it was read");
    drop(body);
    let mut body = answer().expect("its client has gone").into_body();
    let mut read = 0;
    while !body.is_end_stream() {
        read += body.frame().await.unwrap().unwrap().into_data().unwrap().len();
    }
    assert_eq!(read, LARGE);
    assert!(answer().is_some(), "it was read, and its body is still there");

    // Control: without what an answer holds, as many as are asked for are under way at once.
    let without: Vec<Response> = (0..3)
        .filter_map(|_| under_way.begin(&token, 1).map(|_turn| hold(&Budget::default(), large()).unwrap()))
        .collect();
    assert_eq!(without.len(), 3);
}

#[tokio::test]
async fn large_answers_that_wait_have_so_much_room_and_small_ones_take_none() {
    let budget = Budget::of(3 << 20, PATIENCE);
    let mut unread: Vec<Response> = (0..3).map(|_| hold(&budget, large()).unwrap()).collect();
    let refused = hold(&budget, large()).unwrap_err().into_response();
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (503, &"1".parse().unwrap()));
    let small = vec![b'x'; SMALL_BYTES_MAX as usize].into_response();
    let small = hold(&budget, small).unwrap();
    assert_eq!(small.into_body().collect().await.unwrap().to_bytes().len() as u64, SMALL_BYTES_MAX);
    drop(unread.pop());
    unread.push(hold(&budget, large()).expect("the room of who has gone"));
    for answer in unread {
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes().len(), LARGE);
    }
    assert_eq!(budget.free.available_permits(), 3 << 10, "all of it is let go of");
    let whole = Budget::of(LARGE as u64 / 2, PATIENCE);
    hold(&whole, large()).expect("one that is larger than all there is has it for itself");
}

#[tokio::test]
async fn what_is_claimed_before_counts_and_who_claims_waits_for_a_while() {
    let budget = Budget::of(1 << 20, Duration::from_secs(600));
    let impatient = Budget { patience: Duration::ZERO, ..budget.clone() };
    let room = budget.claim(LARGE as u64).await.unwrap();
    let answer = hold(&budget, Hold::new(None, room).until_sent(large())).expect("it has its room");
    assert_eq!(impatient.claim(LARGE as u64).await.unwrap_err().into_response().status(), 503);
    assert!(budget.claim(SMALL_BYTES_MAX).await.unwrap().is_none());
    let waits = tokio::spawn({
        let budget = budget.clone();
        async move { budget.claim(LARGE as u64).await }
    });
    tokio::task::yield_now().await;
    drop(answer);
    assert!(waits.await.unwrap().unwrap().is_some(), "it had only to wait");
}

#[tokio::test]
async fn of_what_is_there_already_only_so_much_waits() {
    let budget = Budget::of(32 << 20, Duration::from_secs(600));
    let room = budget.claim_held(32 << 20).await.unwrap();
    assert!(room.is_some());
    let waits = || {
        let budget = budget.clone();
        tokio::spawn(async move { budget.claim_held(32 << 20).await })
    };
    let waiting = [waits(), waits()];
    while budget.waiting.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(budget.claim_held(1 << 20).await.is_err(), "without waiting");
    assert!(budget.claim_held(SMALL_BYTES_MAX).await.unwrap().is_none());
    drop(room);
    for waits in waiting {
        assert!(waits.await.unwrap().unwrap().is_some(), "control: these had only to wait");
    }
    assert_eq!(budget.waiting.available_permits() as u64 * UNIT_BYTES, WAITING_BYTES);
}

#[tokio::test]
async fn what_has_no_known_length_and_breaks_off_is_passed_on_as_it_is() {
    let pieces = [Ok("one"), Ok(""), Ok("two"), Err(std::io::Error::other("gone"))];
    let streamed = Response::new(Body::from_stream(stream::iter(pieces)));
    let mut body = hold(&Budget::of(0, PATIENCE), streamed).unwrap().into_body();
    let mut read = Vec::new();
    let broken = loop {
        match body.frame().await {
            Some(Ok(frame)) => read.extend(frame.into_data().unwrap()),
            other => break other,
        }
    };
    assert!(matches!(broken, Some(Err(_))) && read == b"onetwo");
    let hint = hold(&Budget::of(0, PATIENCE), "four".into_response()).unwrap().into_body().size_hint();
    assert_eq!(hint.exact(), Some(4));
}
