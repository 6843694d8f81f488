//! Work held for a time: taken, kept, given back, lost.

use std::time::Duration;

use skylift_durable::{Defence, left_out};
use skylift_model::{JobId, Timestamp};

use super::{ATTEMPTS_MAX, Job, JobKind, LOST, read};
use crate::session::{Session, Value, params};
use crate::{Store, StoreError, sql};

/// How long after a lost lease the next attempt may start, doubled with each.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long after a give-back that failed the next one follows, doubled with each, until it is longer than the second:
/// ten seconds in all.
const INSIST_AFTER: Duration = Duration::from_millis(40);
const INSIST_AFTER_MAX: Duration = Duration::from_secs(5);
/// No lease and no wait for a next attempt is longer than this: one that seems to be was given before the clock was set
/// back.
const LONGEST: Duration = Duration::from_secs(120);

/// How soon an attempt is made again that something missing kept from being made.
const POSTPONED_BY: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(60)];

/// Work held for a time. Whoever commits an effect of it shows this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub job: JobId,
    pub kind: JobKind,
    /// What the job is about: a deployment's id, or an app's name for commits.
    pub subject: String,
    /// Grows with every lease of the job.
    pub fence: u64,
    /// This attempt, from 1.
    pub attempt: u64,
}

/// Takes the oldest jobs that are ready and have their lane for themselves. One that waits for its next attempt keeps
/// its place: a newer deployment that went live before it would be replaced by the older one. A lane is counted, not
/// searched for one that is in the way: a planner that knows nothing of the table yet would search all that waits for
/// each job. A time to wait for that is further away than any we give was given by a clock that was set back.
const TAKE: &str = "UPDATE jobs SET state = 'leased', fence = fence + 1, attempts = attempts + 1, lease_until_ms = ?3
     WHERE id IN (SELECT next.id FROM jobs AS next
         WHERE next.state = 'ready' AND next.kind = ?1 AND (next.visible_ms <= ?2 OR next.visible_ms > ?5)
         AND (SELECT COUNT(CASE
                  WHEN other.state = 'leased' THEN 1
                  WHEN other.state = 'ready' AND other.kind = 'deploy' AND next.kind != 'deploy' THEN 1
                  WHEN other.state = 'ready' AND other.kind = next.kind
                      AND (other.created_ms, other.id) < (next.created_ms, next.id) THEN 1
              END) FROM jobs AS other WHERE other.lane = next.lane) = 0
         ORDER BY next.created_ms, next.id LIMIT ?4)
     RETURNING id, subject, fence, attempts, created_ms";

/// Ends a job, where the lease is still held. Held is told by the lease's end, which no index knows: a planner that
/// has not seen leased jobs lately would look through all of them instead of taking the one with this id.
const END: &str = "DELETE FROM jobs WHERE id = ?1 AND fence = ?2 AND lease_until_ms IS NOT NULL";

fn held(lease: &Lease) -> [Value<'_>; 2] {
    params![lease.job.as_str(), sql::signed(lease.fence)]
}

/// An error unless the lease is still held.
pub(crate) fn require(session: &Session, lease: &Lease) -> Result<(), StoreError> {
    let held = session
        .exists("SELECT 1 FROM jobs WHERE id = ?1 AND fence = ?2 AND lease_until_ms IS NOT NULL", &held(lease))?;
    if held || left_out(Defence::Fence) { Ok(()) } else { Err(StoreError::Fenced) }
}

/// An attempt has led somewhere: whoever is killed later has all attempts before him.
pub(crate) fn progressed(session: &Session, lease: &Lease) -> Result<(), StoreError> {
    session.execute("UPDATE jobs SET attempts = 1 WHERE id = ?1", &params![lease.job.as_str()])?;
    Ok(())
}

/// Ends a job whose effect is in the caller's transaction.
pub(crate) fn complete(session: &Session, lease: &Lease) -> Result<(), StoreError> {
    if left_out(Defence::Fence) {
        session.execute("DELETE FROM jobs WHERE id = ?1", &params![lease.job.as_str()])?;
        return Ok(());
    }
    if session.execute(END, &held(lease))? == 1 { Ok(()) } else { Err(StoreError::Fenced) }
}

/// When an attempt is made again that came to nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    /// The later the more often it was tried.
    Later,
    /// At once the first time: its worker ended with the process before this one, and nobody else is there who could be at it. Who starts
    /// again and again has time to become well.
    AtOnce,
}

/// Puts a lost or failed attempt back, or gives the job up.
fn put_back(
    session: &Session,
    id: &JobId,
    attempts: u64,
    (error, again): (&str, Again),
    now: Timestamp,
) -> Result<bool, StoreError> {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(0).min(10);
    let visible = match again {
        Again::AtOnce if attempts <= 1 => now,
        Again::Later | Again::AtOnce => now.plus(RETRY_AFTER * 2_u32.pow(doublings)),
    };
    session.execute(
        "UPDATE jobs SET state = CASE WHEN attempts >= attempts_max THEN 'dead' ELSE 'ready' END,
         lease_until_ms = NULL, visible_ms = ?2, error = ?3 WHERE id = ?1",
        &params![id.as_str(), visible.as_millis(), error],
    )?;
    Ok(attempts >= u64::from(ATTEMPTS_MAX))
}

impl Store {
    /// Takes the next job of a kind for a time; `None` where none is ready.
    pub async fn lease(&self, kind: JobKind, now: Timestamp, for_: Duration) -> Result<Option<Lease>, StoreError> {
        Ok(self.lease_many(kind, 1, now, for_).await?.pop())
    }

    /// Takes the next jobs of a kind for a time, oldest first, at most `most` and no two of one lane.
    pub async fn lease_many(
        &self,
        kind: JobKind,
        most: u32,
        now: Timestamp,
        for_: Duration,
    ) -> Result<Vec<Lease>, StoreError> {
        self.write(move |session| {
            let until = now.plus(for_).as_millis();
            let absurd = now.plus(LONGEST).as_millis();
            let take = if left_out(Defence::Lane) { &TAKE.replace("other.lane = next.lane", "1 = 0") } else { TAKE };
            let mut taken =
                session.all(take, &params![kind.as_str(), now.as_millis(), until, most, absurd], |row| {
                    let lease = Lease {
                        job: sql::parsed(row, "id")?,
                        kind,
                        subject: row.get("subject")?,
                        fence: sql::count(row, "fence")?,
                        attempt: sql::count(row, "attempts")?,
                    };
                    Ok((sql::time(row, "created_ms")?, lease))
                })?;
            // What is returned comes in no order.
            taken.sort_by(|(at, a), (bt, b)| (at, a.job.as_str()).cmp(&(bt, b.job.as_str())));
            Ok(taken.into_iter().map(|(_, lease)| lease).collect())
        })
        .await
    }

    /// Holds a lease for longer; [`StoreError::Fenced`] where it was lost.
    pub async fn renew(&self, lease: Lease, now: Timestamp, for_: Duration) -> Result<(), StoreError> {
        self.write(move |session| {
            require(session, &lease)?;
            session.execute(
                "UPDATE jobs SET lease_until_ms = ?2 WHERE id = ?1",
                &params![lease.job.as_str(), now.plus(for_).as_millis()],
            )?;
            Ok(())
        })
        .await
    }

    /// Gives an attempt up because of our own fault; it is tried again later, or the job is dead. Returns whether
    /// it is dead. Insists where the disk or the server does not take it.
    pub async fn retry(&self, lease: Lease, error: String, now: Timestamp) -> Result<bool, StoreError> {
        self.insist(move |session| {
            require(session, &lease)?;
            put_back(session, &lease.job, lease.attempt, (&error, Again::Later), now)
        })
        .await
    }

    /// Puts an attempt back that could not be made because something it needs is away: it does not count, and is made
    /// again later, the less often the longer that lasts. Insists, as [`Store::retry`] does.
    pub async fn postpone(&self, lease: Lease, error: String, now: Timestamp) -> Result<(), StoreError> {
        self.insist(move |session| {
            require(session, &lease)?;
            let created =
                session.one("SELECT created_ms FROM jobs WHERE id = ?1", &params![lease.job.as_str()], |row| {
                    sql::time(row, "created_ms")
                })?;
            let [soonest, latest] = POSTPONED_BY;
            let visible = now.plus((now.since(created) / 4).clamp(soonest, latest));
            session.execute(
                "UPDATE jobs SET state = 'ready', attempts = attempts - 1, lease_until_ms = NULL, visible_ms = ?2,
                 error = ?3 WHERE id = ?1",
                &params![lease.job.as_str(), visible.as_millis(), &error],
            )?;
            Ok(())
        })
        .await
    }

    /// Writes what ends an attempt; again for some seconds where the disk or the server does not take it: until the
    /// lease ends, nobody else could go on.
    pub(crate) async fn insist<T: Send + 'static>(
        &self,
        work: impl Fn(&Session) -> Result<T, StoreError> + Clone + Send + 'static,
    ) -> Result<T, StoreError> {
        let mut pause = INSIST_AFTER;
        loop {
            match self.write(work.clone()).await {
                Err(error) if error.is_away() && pause <= INSIST_AFTER_MAX => {}
                done => return done,
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    /// Ends a job that has no row of its own to change.
    pub async fn complete(&self, lease: Lease) -> Result<(), StoreError> {
        self.write(move |session| complete(session, &lease)).await
    }

    /// Ends jobs that have no rows of their own to change. Says of each whether it was still held; those that were not
    /// are left as they are.
    pub async fn complete_many(&self, leases: Vec<Lease>) -> Result<Vec<bool>, StoreError> {
        self.write(move |session| {
            let ended = session.execute_each(END, leases.iter().map(held))?;
            Ok(ended.into_iter().map(|ended| ended == 1).collect())
        })
        .await
    }

    /// Takes back the leases that ended before `now`, so that the jobs are tried again. Returns the jobs that were
    /// given up.
    pub async fn reap(&self, now: Timestamp) -> Result<Vec<Job>, StoreError> {
        self.take_back(now, Again::Later, now).await
    }

    /// Takes back every lease: for the start of a process that is known to be the only one, never where
    /// [`Store::is_shared`]. The attempts count; a second one is made at once.
    pub async fn reap_all(&self, now: Timestamp) -> Result<Vec<Job>, StoreError> {
        self.take_back(Timestamp::from_millis(i64::MAX), Again::AtOnce, now).await
    }

    async fn take_back(&self, ended_before: Timestamp, again: Again, now: Timestamp) -> Result<Vec<Job>, StoreError> {
        if left_out(Defence::TakeBack) {
            return Ok(Vec::new());
        }
        self.write(move |session| {
            // Whoever holds it renews it in time, or it ends.
            session.execute(
                "UPDATE jobs SET lease_until_ms = ?1 WHERE state = 'leased' AND lease_until_ms > ?1",
                &params![now.plus(LONGEST).as_millis()],
            )?;
            let expired = session.all(
                "SELECT * FROM jobs WHERE state = 'leased' AND lease_until_ms < ?1",
                &params![ended_before.as_millis()],
                read,
            )?;
            let mut dead = Vec::new();
            for job in expired {
                if put_back(session, &job.id, job.attempts, (LOST, again), now)? {
                    dead.push(job);
                }
            }
            Ok(dead)
        })
        .await
    }
}
