//! Sessions on a PostgreSQL server.
//!
//! Blocking outside, a connection of `tokio_postgres` inside, on a small runtime of the session's own: the thread that
//! waits for an answer is the thread that reads it from the socket, so a round trip costs no switch between threads.
//!
//! Whatever ends the connection, or leaves a statement without an answer for too long, makes the session lost: it is
//! never used again, and every statement on it says [`StoreError::Unavailable`].

mod values;

use std::cell::{Cell as Slot, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use futures_util::future::{join, try_join_all};
use tokio::runtime::Runtime;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};

use super::foreseen::Foreseen;
use super::numbered::with_dollars;
use super::refusal::shut_out;
use super::{Cell, Mark, Value};
use crate::StoreError;
use crate::postgres::{CONNECT_WITHIN, Server};

/// How long a statement may take; a lock that another writer holds counts.
const STATEMENT_WITHIN: Duration = Duration::from_secs(20);
/// After which time without an answer the connection is given up: the server would have ended the statement itself.
const ANSWER_WITHIN: Duration = Duration::from_secs(25);
/// How long a statement waits for a table or row that somebody else works on. The writer's own lock is waited for as long as a
/// statement may take: nobody of ours holds it for long, while whoever waits for a table holds it, and with it everybody.
const LOCK_WITHIN: Duration = Duration::from_secs(5);
/// How many statements are on their way at once.
const AT_ONCE: usize = 256;

/// "Skylift" in ASCII: who holds this advisory lock is the database's one writer.
const WRITER_LOCK: i64 = 0x53_6b79_6c69_6674;

/// Everybody who writes holds this one together; who moves a database holds it alone.
const SERVING_LOCK: i64 = WRITER_LOCK + 1;

type Error = tokio_postgres::Error;

pub(crate) struct PostgresSession {
    /// Taken only when the session is dropped.
    runtime: Option<Runtime>,
    client: Client,
    statements: RefCell<HashMap<String, Statement>>,
    /// Answers to what is about to be asked.
    foreseen: RefCell<Foreseen>,
    /// Commands that go ahead of the next statement, in the same round trip.
    ahead: RefCell<String>,
    /// Whether the transaction changed anything.
    wrote: Slot<bool>,
    lost: Slot<bool>,
}

impl PostgresSession {
    pub(crate) fn connect(server: &Server) -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let connected = runtime.block_on(async {
            let connecting = async {
                let client = server.connect().await.map_err(shut_out)?;
                client.batch_execute(&settings()).await.map_err(StoreError::from)?;
                Ok::<_, StoreError>(client)
            };
            tokio::time::timeout(CONNECT_WITHIN, connecting).await
        });
        // A server that is frozen, or a pooler that pauses, takes the connection and says nothing.
        let client = connected
            .map_err(|_| StoreError::Unavailable(format!("no connection within {CONNECT_WITHIN:?}")))
            .flatten()?;
        Ok(Self {
            runtime: Some(runtime),
            client,
            statements: RefCell::default(),
            foreseen: RefCell::default(),
            ahead: RefCell::default(),
            wrote: Slot::new(false),
            lost: Slot::new(false),
        })
    }

    pub(crate) fn query(&self, sql: &str, parameters: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        if let Some(rows) = self.foreseen.borrow_mut().take(sql, parameters) {
            return Ok(rows);
        }
        let parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|value| value as _).collect();
        let rows = self.wait(async { self.client.query(&self.prepared(sql).await?, &parameters).await })?;
        self.note(!rows.is_empty() && !sql.starts_with("SELECT"));
        Ok(rows)
    }

    pub(crate) fn execute(&self, sql: &str, parameters: &[Value<'_>]) -> Result<u64, StoreError> {
        let parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|value| value as _).collect();
        let count = self.wait(async { self.client.execute(&self.prepared(sql).await?, &parameters).await })?;
        self.note(count > 0);
        Ok(count)
    }

    pub(crate) fn execute_each<'a, const N: usize>(
        &self,
        sql: &str,
        sets: impl IntoIterator<Item = [Value<'a>; N]>,
    ) -> Result<Vec<u64>, StoreError> {
        let sets: Vec<[Value<'a>; N]> = sets.into_iter().collect();
        let mut counts = Vec::with_capacity(sets.len());
        for some in sets.chunks(AT_ONCE) {
            counts.extend(self.wait(async {
                let statement = self.prepared(sql).await?;
                // Each is sent when first polled, in order, before the first answer is waited for.
                try_join_all(some.iter().map(|set| self.client.execute_raw(&statement, set))).await
            })?);
        }
        self.note(counts.iter().any(|count| *count > 0));
        Ok(counts)
    }

    /// Asks several questions in one round trip; the next to ask one of them finds its answer, unless something was changed since.
    pub(crate) fn foresee(&self, questions: &[(&str, &[Value<'_>])]) -> Result<(), StoreError> {
        let answers = self.wait(async {
            let mut statements = Vec::with_capacity(questions.len());
            for (sql, _) in questions {
                statements.push(self.prepared(sql).await?);
            }
            try_join_all(statements.iter().zip(questions).map(async |(statement, (_, parameters))| {
                let parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|value| value as _).collect();
                self.client.query(statement, &parameters).await
            }))
            .await
        })?;
        self.foreseen.borrow_mut().put(questions, answers);
        Ok(())
    }

    /// Begins a transaction that sees one snapshot; what another one foresaw is forgotten.
    pub(crate) fn begin_read(&self) -> Result<(), StoreError> {
        self.foreseen.borrow_mut().clear();
        self.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    }

    /// Commands without parameters and answers.
    pub(crate) fn batch(&self, commands: &str) -> Result<(), StoreError> {
        self.wait(self.client.batch_execute(commands))
    }

    /// Lets commands go ahead of the next statement, without a round trip of their own. Where they fail, it fails.
    #[expect(clippy::unnecessary_wraps, reason = "the same shape as on the other database, where it may fail")]
    pub(crate) fn before_next(&self, commands: &str) -> Result<(), StoreError> {
        let mut ahead = self.ahead.borrow_mut();
        ahead.push_str(commands);
        ahead.push(';');
        Ok(())
    }

    /// Marks the point to return to. What another part foresaw may be undone with that.
    pub(crate) fn begin_part(&self) -> Result<(), StoreError> {
        self.foreseen.borrow_mut().clear();
        self.before_next("SAVEPOINT request")
    }

    /// Holds the database for as long as the session lasts, together with others or alone.
    pub(crate) fn hold(&self, alone: bool) -> Result<(), StoreError> {
        let way = if alone { "pg_try_advisory_lock" } else { "pg_try_advisory_lock_shared" };
        let rows = self.query(&format!("SELECT CAST({way}({SERVING_LOCK}) AS TEXT) AS held"), &[])?;
        let held = rows.first().map(|row| cell(row, "held")).transpose()?;
        if matches!(held, Some(Cell::Text(text)) if text == "true") { Ok(()) } else { Err(StoreError::InUse) }
    }

    /// The server's number of the session.
    pub(crate) fn backend(&self) -> Result<String, StoreError> {
        let rows = self.query("SELECT CAST(pg_backend_pid() AS TEXT) AS backend", &[])?;
        match rows.first().map(|row| cell(row, "backend")).transpose()? {
            Some(Cell::Text(backend)) => Ok(backend),
            _ => Err(StoreError::Damaged("a session without a number".to_owned())),
        }
    }

    /// One writer at a time, whichever process it is in: what a transaction reads stays true until it commits. Each statement sees what
    /// is there when it begins: a snapshot of the whole transaction would be from before the lock, and without what others wrote meanwhile.
    pub(crate) fn begin_write(&self) -> Result<(), StoreError> {
        self.foreseen.borrow_mut().clear();
        self.wrote.set(false);
        self.batch(&format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock({WRITER_LOCK});
             SET LOCAL lock_timeout = {}",
            LOCK_WITHIN.as_millis()
        ))
    }

    /// Commits, leaving a mark where anything was changed: it goes along with the commit.
    pub(crate) fn commit_write(&self, Mark { writer, batch }: Mark) -> Result<(), StoreError> {
        if self.wrote.get() {
            self.before_next(&format!(
                "INSERT INTO writers (id, batch) VALUES ({writer}, {batch})
                 ON CONFLICT (id) DO UPDATE SET batch = EXCLUDED.batch, at = EXCLUDED.at"
            ))?;
        }
        self.batch("COMMIT")
    }

    pub(crate) fn has(&self, mark: Mark) -> Result<bool, StoreError> {
        let sql = "SELECT id FROM writers WHERE id = ?1 AND batch >= ?2";
        Ok(!self.query(sql, &[Value::Integer(mark.writer), Value::Integer(mark.batch)])?.is_empty())
    }

    fn note(&self, wrote: bool) {
        if wrote {
            // What was foreseen may be another answer by now.
            self.foreseen.borrow_mut().clear();
        }
        self.wrote.set(self.wrote.get() || wrote);
    }

    pub(crate) fn roll_back(&self) {
        self.ahead.borrow_mut().clear();
        if !self.is_lost() && self.batch("ROLLBACK").is_err() {
            self.lost.set(true);
        }
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.lost.get() || self.client.is_closed()
    }

    async fn prepared(&self, sql: &str) -> Result<Statement, Error> {
        if let Some(known) = self.statements.borrow().get(sql) {
            return Ok(known.clone());
        }
        let statement = self.client.prepare(&with_dollars(sql)).await?;
        self.statements.borrow_mut().insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// Waits for an answer, sending first what is to go ahead.
    fn wait<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, StoreError> {
        let Some(runtime) = self.runtime.as_ref().filter(|_| !self.lost.get()) else {
            return Err(StoreError::Unavailable("the connection was lost".to_owned()));
        };
        let ahead = self.ahead.take();
        let both = async {
            if ahead.is_empty() {
                return work.await;
            }
            let (first, second) = join(self.client.batch_execute(&ahead), work).await;
            first?;
            second
        };
        let answer = runtime.block_on(async { tokio::time::timeout(ANSWER_WITHIN, both).await });
        let answer = match answer {
            Ok(answer) => answer.map_err(StoreError::from),
            Err(_) => Err(StoreError::Unavailable(format!("no answer within {ANSWER_WITHIN:?}"))),
        };
        if matches!(answer, Err(StoreError::Unavailable(_))) {
            self.lost.set(true);
        }
        answer
    }
}

impl Drop for PostgresSession {
    fn drop(&mut self) {
        // Anything else would wait, which a thread that drives tasks must not.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What every session asks of the server. Durability is only ever raised; the timeouts free the writer's lock where its
/// process or the network in between is gone. Every statement that names a row has an index, and what is known of a
/// queue's size is always out of date: tables are walked through only where there is no other way. What the server ends by itself in
/// sessions of others, idle ones and long transactions, it leaves alone in ours, where it knows of that.
fn settings() -> String {
    let (statement_ms, lock_ms) = (STATEMENT_WITHIN.as_millis(), LOCK_WITHIN.as_millis());
    format!(
        "SELECT set_config('synchronous_commit', 'on', false)
             WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply');
         SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ('idle_session_timeout', 'transaction_timeout');
         SET statement_timeout = {statement_ms}; SET lock_timeout = {lock_ms}; SET idle_in_transaction_session_timeout = {statement_ms};
         SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3;
         SET tcp_user_timeout = {statement_ms}; SET client_min_messages = warning;
         SET jit = off; SET enable_seqscan = off; SET random_page_cost = 1.1"
    )
}

pub(crate) fn cell(row: &Row, column: &str) -> Result<Cell, StoreError> {
    Ok(row.try_get(column)?)
}
