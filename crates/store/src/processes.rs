//! The processes of an app: which its live deployment has, and how many instances of each there should be.

use std::collections::BTreeMap;

use skylift_model::program::WEB;
use skylift_model::{AppName, Timestamp};

use crate::deployments::{DeploymentRow, live_of};
use crate::error::{Conflict, Missing};
use crate::idempotency::{Done, Once};
use crate::session::{Session, params};
use crate::{Store, StoreError, sql};

/// How many instances there should be of each process of a deployment but `web`: what its owner said by command, else its `app.json`,
/// else one.
pub(crate) fn wanted(
    session: &Session,
    app: &AppName,
    deployment: &DeploymentRow,
) -> Result<BTreeMap<String, u32>, StoreError> {
    let mut wanted = BTreeMap::new();
    if let Some(plan) = &deployment.plan {
        let count = |name: &String| plan.app_json.counts.get(name).copied().unwrap_or(1);
        wanted.extend(plan.others.keys().map(|name| (name.clone(), count(name))));
    }
    let set =
        session.all("SELECT process, wanted FROM process_counts WHERE app = ?1", &params![app.as_str()], |row| {
            Ok((row.get::<String>("process")?, u32::try_from(sql::count(row, "wanted")?).unwrap_or(u32::MAX)))
        })?;
    for (process, count) in set {
        wanted.entry(process).and_modify(|wanted| *wanted = count);
    }
    Ok(wanted)
}

/// Files have no instances: whoever scales them is to be told.
pub(crate) fn refuse_sites(session: &Session, app: &AppName) -> Result<(), StoreError> {
    match live_of(session, app)? {
        Some(live) if !live.runs => Err(Conflict::IsSite(app.clone()).into()),
        _ => Ok(()),
    }
}

impl Store {
    /// How many instances there should be of each process but `web` of what is live.
    pub async fn processes(&self, app: AppName) -> Result<BTreeMap<String, u32>, StoreError> {
        self.read(move |session| match live_of(session, &app)? {
            Some(live) => wanted(session, &app, &live),
            None => Ok(BTreeMap::new()),
        })
        .await
    }

    /// Sets how many instances there should be of a process other than `web`. Refused where what is live has none such.
    pub async fn set_process_count(
        &self,
        app: AppName,
        process: String,
        count: u32,
        once: Once<u32>,
        now: Timestamp,
    ) -> Result<Done<u32>, StoreError> {
        self.write_once(once, now, move |session| {
            refuse_sites(session, &app)?;
            let live = live_of(session, &app)?;
            let there = live.map(|live| wanted(session, &app, &live)).transpose()?.unwrap_or_default();
            if !there.contains_key(&process) {
                let has = std::iter::once(WEB.to_owned()).chain(there.into_keys()).collect();
                return Err(StoreError::NotFound(Missing::Process { app, process, has }));
            }
            session.execute(
                "INSERT INTO process_counts (app, process, wanted) VALUES (?1, ?2, ?3)
                 ON CONFLICT (app, process) DO UPDATE SET wanted = excluded.wanted",
                &params![app.as_str(), &process, count],
            )?;
            Ok(count)
        })
        .await
    }
}
