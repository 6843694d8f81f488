//! How long a wrong key takes says nothing of how close it is to one that counts.
//!
//! No time is compared with a number: two kinds of wrong keys are looked at by turns, and Welch's t tells whether one kind takes longer
//! than the other. Where both do the same it stays near 0 on however busy a machine, which slows down both.

use std::hint::black_box;
use std::ops::AsyncFnMut;
use std::time::Instant;

use super::*;

/// Beyond it two kinds differ (`dudect` has the same).
const T_MAX: f64 = 4.5;
/// What differs does so each time; what only happened to does not.
const TRIES: usize = 3;
/// The slowest of each kind are what else the machine has done: this share of all is looked at.
const LOOKED_AT: f64 = 0.8;

fn t(mut one: Vec<f64>, mut other: Vec<f64>) -> f64 {
    let looked_at = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times.truncate((times.len() as f64 * LOOKED_AT) as usize);
        let count = times.len() as f64;
        let mean = times.iter().sum::<f64>() / count;
        (mean, times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0) / count)
    };
    let ((one, spread), (other, more)) = (looked_at(&mut one), looked_at(&mut other));
    (one - other) / (spread + more).sqrt().max(f64::MIN_POSITIVE)
}

/// Whether two kinds take as long, as far as so many of each tell. Which is first changes.
async fn take_as_long(count: usize, mut ask: impl AsyncFnMut(usize)) -> bool {
    for _ in 0..TRIES {
        let mut times = [Vec::with_capacity(count), Vec::with_capacity(count)];
        for round in 0..count {
            for kind in [round % 2, 1 - round % 2] {
                let began = Instant::now();
                ask(kind).await;
                let took = began.elapsed().as_nanos() as f64;
                times.iter_mut().skip(kind).take(1).for_each(|times| times.push(took));
            }
        }
        let [one, other] = times;
        if t(one, other).abs() < T_MAX {
            return true;
        }
    }
    false
}

/// As it must not be: it ends where the first byte differs.
fn same_until_it_is_not(a: &[u8; 32], b: &[u8; 32]) -> bool {
    for (a, b) in a.iter().zip(b) {
        if a != b {
            return false;
        }
    }
    true
}

#[tokio::test]
async fn digests_that_differ_late_are_compared_for_as_long_as_those_that_differ_at_once() {
    let right = [7; 32];
    let (mut far, mut close) = (right, right);
    (far[0], close[31]) = (8, 8);
    let wrong = [far, close];
    let compare = async |same: fn(&[u8; 32], &[u8; 32]) -> bool, kind: usize| {
        for _ in 0..50 {
            assert!(!same(black_box(&right), black_box(&wrong[kind])));
        }
    };
    assert!(take_as_long(4_000, async |kind| compare(same, kind).await).await);
    assert!(!take_as_long(4_000, async |kind| compare(same_until_it_is_not, kind).await).await, "the control");
}

#[tokio::test]
async fn a_key_that_is_nearly_right_is_refused_as_soon_as_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("skylift.db")).unwrap();
    let (now, right) = (Timestamp::from_millis(1), "skylift_key_0123456789abcdefghijklmnopqrstuv");
    store.add_token("owner".to_owned(), Digest::of(right.as_bytes()), now).await.unwrap();
    let headers = |key: &str| HeaderMap::from_iter([("x-api-key".parse().unwrap(), key.parse().unwrap())]);
    let wrong = ["x".repeat(right.len()), right.replace("uv", "uw")].map(|key| headers(&key));
    let refused = async |kind: usize| assert!(check(&wrong[kind], &store, now).await.is_err());
    assert!(check(&headers(right), &store, now).await.is_ok());
    assert!(take_as_long(600, refused).await);
    let found_by_its_beginning = async |kind: usize| {
        refused(kind).await;
        if presented_token(&wrong[kind]).is_some_and(|key| key[..12] == right[..12]) {
            refused(kind).await;
        }
    };
    assert!(!take_as_long(600, found_by_its_beginning).await, "the control");
}
