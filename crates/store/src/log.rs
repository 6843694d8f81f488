//! A deployment's build log and its events.

use skylift_model::wire::{Event, LogLine, Stream};
use skylift_model::{DeploymentId, DeploymentState, InstanceId, Timestamp};

use crate::deployments::find;
use crate::session::{Row, Session, params};
use crate::{Store, StoreError, sql};

/// How many lines that instances printed are kept for each deployment.
const OUTPUT_KEPT: i64 = 20_000;

/// Adds an event in the caller's transaction.
pub(crate) fn add_event(
    session: &Session,
    deployment: &DeploymentId,
    state: DeploymentState,
    message: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    session.execute(
        "INSERT INTO events (deployment, seq, at_ms, state, message)
         VALUES (?1, (SELECT COALESCE(MAX(seq), 0) + 1 FROM events WHERE deployment = ?1), ?2, ?3, ?4)",
        &params![deployment.as_str(), now.as_millis(), state.as_str(), message],
    )?;
    Ok(())
}

/// Adds a line of the platform's own to the log in the caller's transaction.
pub(crate) fn add_line(
    session: &Session,
    deployment: &DeploymentId,
    step: &str,
    text: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    session.execute(
        "INSERT INTO log_lines (deployment, seq, at_ms, step, stream, text)
         VALUES (?1, (SELECT COALESCE(MAX(seq), 0) + 1 FROM log_lines WHERE deployment = ?1), ?2, ?3, ?4, ?5)",
        &params![deployment.as_str(), now.as_millis(), step, stream_name(Stream::System), text],
    )?;
    Ok(())
}

const fn stream_name(stream: Stream) -> &'static str {
    match stream {
        Stream::System => "system",
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
    }
}

/// Adds lines behind the last one; returns the number of the last then.
fn append(session: &Session, deployment: &DeploymentId, lines: &[LogLine]) -> Result<i64, StoreError> {
    let last: i64 = session.one(
        "SELECT COALESCE(MAX(seq), 0) AS last FROM log_lines WHERE deployment = ?1",
        &params![deployment.as_str()],
        |row| row.get("last"),
    )?;
    session.execute_each(
        "INSERT INTO log_lines (deployment, seq, at_ms, step, stream, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (last + 1..).zip(lines).map(|(seq, line)| {
            let stream = stream_name(line.stream);
            params![deployment.as_str(), seq, line.at.as_millis(), &line.step, stream, &line.text]
        }),
    )?;
    Ok(last + i64::try_from(lines.len()).unwrap_or(i64::MAX))
}

fn read_line(row: &Row<'_>) -> Result<LogLine, StoreError> {
    let stream: String = row.get("stream")?;
    Ok(LogLine {
        seq: sql::count(row, "seq")?,
        at: sql::time(row, "at_ms")?,
        step: row.get("step")?,
        stream: match stream.as_str() {
            "stdout" => Stream::Stdout,
            "stderr" => Stream::Stderr,
            _ => Stream::System,
        },
        text: row.get("text")?,
    })
}

impl Store {
    /// Adds lines to a deployment's log. The `seq` of each is given here; the caller's is not looked at. The log of a
    /// deployment that has settled is at its end: what a build prints while it is being killed is dropped.
    pub async fn append_log(&self, deployment: DeploymentId, lines: Vec<LogLine>) -> Result<(), StoreError> {
        self.write(move |session| {
            if find(session, &deployment)?.state.is_settled() {
                return Ok(());
            }
            append(session, &deployment, &lines)?;
            Ok(())
        })
        .await
    }

    /// Adds lines that instances of a deployment printed to its log, whatever its state. The oldest of such lines go where
    /// there are too many; those of its build stay.
    pub async fn append_output(&self, deployment: DeploymentId, lines: Vec<LogLine>) -> Result<(), StoreError> {
        self.write(move |session| {
            if !session.exists("SELECT 1 FROM deployments WHERE id = ?1", &params![deployment.as_str()])? {
                return Ok(());
            }
            let last = append(session, &deployment, &lines)?;
            session.execute(
                "DELETE FROM log_lines WHERE deployment = ?1 AND seq <= ?2 AND step LIKE ?3",
                &params![deployment.as_str(), last - OUTPUT_KEPT, format!("{}%", InstanceId::PREFIX).as_str()],
            )?;
            Ok(())
        })
        .await
    }

    /// Lines after `after`, oldest first, at most `limit`.
    pub async fn log_lines(
        &self,
        deployment: DeploymentId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<LogLine>, StoreError> {
        self.read(move |session| {
            session.all(
                "SELECT * FROM log_lines WHERE deployment = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
                &params![deployment.as_str(), sql::signed(after), limit],
                read_line,
            )
        })
        .await
    }

    /// The same, of one step.
    pub async fn log_lines_of(
        &self,
        deployment: DeploymentId,
        step: String,
        after: u64,
        limit: u32,
    ) -> Result<Vec<LogLine>, StoreError> {
        self.read(move |session| {
            session.all(
                "SELECT * FROM log_lines WHERE deployment = ?1 AND seq > ?2 AND step = ?3 ORDER BY seq LIMIT ?4",
                &params![deployment.as_str(), sql::signed(after), &step, limit],
                read_line,
            )
        })
        .await
    }

    /// After which line the last `tail` lines of a step are.
    pub async fn log_tail_of(&self, deployment: DeploymentId, step: String, tail: u64) -> Result<u64, StoreError> {
        self.read(move |session| {
            let found = session.first(
                "SELECT seq FROM log_lines WHERE deployment = ?1 AND step = ?2 ORDER BY seq DESC LIMIT 1 OFFSET ?3",
                &params![deployment.as_str(), &step, sql::signed(tail)],
                |row| sql::count(row, "seq"),
            )?;
            Ok(found.unwrap_or(0))
        })
        .await
    }

    /// How many lines the log has.
    pub async fn log_length(&self, deployment: DeploymentId) -> Result<u64, StoreError> {
        self.read(move |session| {
            let found = session.first(
                "SELECT COALESCE(MAX(seq), 0) AS length FROM log_lines WHERE deployment = ?1",
                &params![deployment.as_str()],
                |row| sql::count(row, "length"),
            )?;
            Ok(found.unwrap_or(0))
        })
        .await
    }

    /// Adds an event that changes no state: progress.
    pub async fn add_event(
        &self,
        deployment: DeploymentId,
        state: DeploymentState,
        message: String,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |session| add_event(session, &deployment, state, &message, now)).await
    }

    /// Events after `after`, oldest first.
    pub async fn events(&self, deployment: DeploymentId, after: u64) -> Result<Vec<Event>, StoreError> {
        self.read(move |session| {
            session.all(
                "SELECT * FROM events WHERE deployment = ?1 AND seq > ?2 ORDER BY seq LIMIT 1000",
                &params![deployment.as_str(), sql::signed(after)],
                |row| {
                    let state: String = row.get("state")?;
                    Ok(Event {
                        seq: sql::count(row, "seq")?,
                        at: sql::time(row, "at_ms")?,
                        state: DeploymentState::from_name(&state)
                            .ok_or_else(|| StoreError::Damaged(format!("state {state:?}")))?,
                        message: row.get("message")?,
                    })
                },
            )
        })
        .await
    }
}
