//! Runs in a worker's hands: taken, kept, ended, given back.

use std::cmp::Reverse;
use std::time::Duration;

use skylift_durable::{Defence, left_out};
use skylift_model::run::RunStatus;
use skylift_model::{RunId, Timestamp, TokenId};

use super::{Document, bounds, job, lost, status_name, turns};
use crate::session::{Row, Session, Value, params};
use crate::{Store, StoreError, sql};

/// How often a run is tried before it is given up.
pub(super) const ATTEMPTS_MAX: u64 = 3;
/// How long after an attempt that came to nothing the next one may start, doubled with each.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(1);
/// No lease and no wait is longer: one that seems to be was given before the clock was set back.
pub(super) const LONGEST: Duration = Duration::from_secs(120);

/// A run that a worker has for a time. Whoever commits what came of it shows this.
#[derive(Clone, Debug)]
pub struct TakenRun {
    pub id: RunId,
    /// Grows with every time it is taken, or cancelled.
    pub fence: u64,
    /// This attempt, from 1.
    pub attempt: u64,
    /// Whose it is.
    pub token: TokenId,
    /// What is to be run.
    pub job: Document,
    pub created_at: Timestamp,
    /// Whether its key bounds how many of its runs go on: when one ends, another may begin.
    pub is_bounded: bool,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Ended {
    pub id: RunId,
    pub status: RunStatus,
    pub ending: Document,
}

impl TakenRun {
    /// As if nobody had taken it: for what is over before it is stored.
    pub(super) fn untaken(id: RunId, token: TokenId) -> Self {
        let (job, created_at) = (Document::Inline(String::new()), Timestamp::from_millis(0));
        Self { id, fence: 0, attempt: 0, token, job, created_at, is_bounded: false }
    }

    pub(super) fn held(&self) -> [Value<'_>; 2] {
        params![self.id.as_str(), sql::signed(self.fence)]
    }
}

/// The first that may be taken, by priority and turn. A time to wait for that is further away than any we give was given by a clock
/// that was set back.
const TAKE: &str = "UPDATE runs SET state = 'running', fence = fence + 1, attempts = attempts + 1, worker = ?1,
     lease_until_ms = ?3
     WHERE id IN (SELECT id FROM runs WHERE state = 'queued' AND (visible_ms <= ?2 OR visible_ms > ?5)
         ORDER BY priority DESC, turn, id LIMIT ?4)
     RETURNING id, fence, attempts, token, priority, turn, job, sha256, created_ms";

pub(super) fn read_taken(row: &Row<'_>) -> Result<TakenRun, StoreError> {
    Ok(TakenRun {
        id: sql::parsed(row, "id")?,
        fence: sql::count(row, "fence")?,
        attempt: sql::count(row, "attempts")?,
        token: sql::parsed(row, "token")?,
        job: job(row)?,
        created_at: sql::time(row, "created_ms")?,
        is_bounded: false,
    })
}

/// Takes the next, in their order.
pub(super) fn take(
    session: &Session,
    worker: &str,
    most: u32,
    now: Timestamp,
    for_: Duration,
) -> Result<Vec<TakenRun>, StoreError> {
    if bounds::are_there(session)? {
        return bounds::take(session, worker, most, now, now.plus(for_));
    }
    let (until, absurd) = (now.plus(for_).as_millis(), now.plus(LONGEST).as_millis());
    let mut taken = session.all(TAKE, &params![worker, now.as_millis(), until, most, absurd], |row| {
        Ok((Reverse(row.get::<i64>("priority")?), row.get::<i64>("turn")?, read_taken(row)?))
    })?;
    // What is returned comes in no order.
    taken.sort_by(|(a, first, this), (b, second, other)| {
        a.cmp(b).then(first.cmp(second)).then_with(|| this.id.as_str().cmp(other.id.as_str()))
    });
    Ok(taken.into_iter().map(|(.., taken)| taken).collect())
}

const SETTLE: &str = "UPDATE runs SET state = 'done', status = ?3, ending = ?4, ending_sha256 = ?5, error = NULL,
     attempts = CASE WHEN attempts = 0 THEN 1 ELSE attempts END, lease_until_ms = NULL, finished_ms = ?6, forget_ms = ?6 + ttl_ms,
     callback_due_ms = CASE WHEN callback IS NULL THEN NULL ELSE CAST(?6 AS BIGINT) END
     WHERE id = ?1 AND (fence = ?2 OR ?7 = 1) AND state IN ('queued', 'running')";

/// Writes what came of runs; says of each whether it was still held.
pub(super) fn settle(session: &Session, ended: &[(TakenRun, Ended)], now: Timestamp) -> Result<Vec<bool>, StoreError> {
    let statuses = ended.iter().map(|(_, ended)| status_name(ended.status)).collect::<Result<Vec<_>, _>>()?;
    let unfenced = i64::from(left_out(Defence::Fence));
    let sets = ended.iter().zip(&statuses).map(|((held, ended), status)| {
        let (text, blob) = match &ended.ending {
            Document::Inline(text) => (Some(text), None),
            Document::Blob(digest) => (None, Some(digest.as_bytes())),
        };
        let [id, fence] = held.held();
        let [status, text, blob, now] = params![status, text, blob, now.as_millis()];
        [id, fence, status, text, blob, now, Value::Integer(unfenced)]
    });
    Ok(session.execute_each(SETTLE, sets)?.into_iter().map(|settled| settled == 1).collect())
}

impl Store {
    /// Whether any run may be taken: for whoever looks now and then, which a transaction that writes would be too much for.
    pub async fn runs_wait(&self, now: Timestamp) -> Result<bool, StoreError> {
        let absurd = now.plus(LONGEST).as_millis();
        let sql = "SELECT 1 FROM runs WHERE state = 'queued' AND (visible_ms <= ?1 OR visible_ms > ?2) LIMIT 1";
        self.read(move |session| session.exists(sql, &params![now.as_millis(), absurd])).await
    }

    /// Takes the next runs for a worker, for a time.
    pub async fn take_runs(
        &self,
        worker: String,
        most: u32,
        now: Timestamp,
        for_: Duration,
    ) -> Result<Vec<TakenRun>, StoreError> {
        self.write(move |session| take(session, &worker, most, now, for_)).await
    }

    /// Holds runs for longer. Says of each whether it is still held: who holds one no more ends what runs of it.
    pub async fn renew_runs(
        &self,
        held: Vec<TakenRun>,
        now: Timestamp,
        for_: Duration,
    ) -> Result<Vec<bool>, StoreError> {
        self.write(move |session| {
            let until = now.plus(for_).as_millis();
            let sets = held.iter().map(|held| {
                let [id, fence] = held.held();
                [id, fence, Value::Integer(until)]
            });
            let sql = "UPDATE runs SET lease_until_ms = ?3 WHERE id = ?1 AND fence = ?2 AND state = 'running'";
            Ok(session.execute_each(sql, sets)?.into_iter().map(|renewed| renewed == 1).collect())
        })
        .await
    }

    /// Writes what came of runs. Says of each whether it was still held; of those that were not nothing is written. Insists where the
    /// disk or the server does not take it.
    pub async fn settle_runs(&self, ended: Vec<(TakenRun, Ended)>, now: Timestamp) -> Result<Vec<bool>, StoreError> {
        self.insist(move |session| settle(session, &ended, now)).await
    }

    /// Puts runs back that were not begun, or whose worker is about to end: for others at once, and that they were taken does not count.
    pub async fn give_back_runs(&self, held: Vec<TakenRun>, now: Timestamp) -> Result<(), StoreError> {
        self.insist(move |session| {
            let sets = held.iter().map(|held| {
                let [id, fence] = held.held();
                [id, fence, Value::Integer(now.as_millis())]
            });
            let sql = format!(
                "UPDATE runs SET state = 'queued', attempts = attempts - 1, fence = fence + 1, lease_until_ms = NULL,
                 visible_ms = ?3, turn = {}
                 WHERE id = ?1 AND fence = ?2 AND state = 'running'",
                turns::put_back()
            );
            session.execute_each(&sql, sets).map(|_| ())
        })
        .await
    }

    /// Gives an attempt up because of our own fault: it is made again later, or the run is dead. Returns whether it is.
    pub async fn fail_run(&self, held: TakenRun, error: String, now: Timestamp) -> Result<bool, StoreError> {
        self.insist(move |session| {
            let sql = "SELECT 1 FROM runs WHERE id = ?1 AND fence = ?2 AND state = 'running'";
            if !session.exists(sql, &held.held())? {
                return Err(StoreError::Fenced);
            }
            let after = (held.attempt < ATTEMPTS_MAX).then(|| lost::doubled(RETRY_AFTER, held.attempt));
            lost::put_back(session, &held.id, &error, after, now)
        })
        .await
    }
}
