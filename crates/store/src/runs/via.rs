//! Runs that were asked for by another interface than our own: counted, paged through, bounded and forgotten as that has it.

use skylift_model::{RunId, TokenId};

use super::{RunRow, read};
use crate::session::params;
use crate::{Store, StoreError, sql};

impl Store {
    /// Those of an interface, the newest first, after so many; only this token's, where one is given. And how many there are.
    pub async fn runs_via(
        &self,
        via: &'static str,
        of: Option<TokenId>,
        after: u32,
        most: u32,
    ) -> Result<(Vec<RunRow>, u64), StoreError> {
        self.read(move |session| {
            let of = of.as_ref().map(TokenId::as_str);
            let count = "SELECT COUNT(*) AS n FROM runs WHERE via = ?1 AND (CAST(?2 AS TEXT) IS NULL OR token = ?2)";
            let all = session.one(count, &params![via, of], |row| sql::count(row, "n"))?;
            let page = "SELECT * FROM runs WHERE via = ?1 AND (CAST(?2 AS TEXT) IS NULL OR token = ?2)
                 ORDER BY id DESC LIMIT ?3 OFFSET ?4";
            Ok((session.all(page, &params![via, of, most, after], read)?, all))
        })
        .await
    }

    /// Whether more than so many wait.
    pub async fn are_more_runs_queued(&self, than: u32) -> Result<bool, StoreError> {
        self.read(move |session| {
            session.exists("SELECT 1 FROM runs WHERE state = 'queued' LIMIT 1 OFFSET ?1", &params![than])
        })
        .await
    }

    /// Forgets a run that has settled; whether there was one.
    pub async fn forget_run(&self, id: RunId, of: Option<TokenId>) -> Result<bool, StoreError> {
        self.write(move |session| {
            let sql = "DELETE FROM runs WHERE id = ?1 AND (CAST(?2 AS TEXT) IS NULL OR token = ?2)
                 AND state NOT IN ('queued', 'running')";
            Ok(session.execute(sql, &params![id.as_str(), of.as_ref().map(TokenId::as_str)])? == 1)
        })
        .await
    }
}
