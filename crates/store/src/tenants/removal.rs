//! What has to be out of the way before a role and its database can go, whatever the app did to keep them.

use skylift_model::chain;
use tokio_postgres::Client;

use super::{TenantError, connect, done, within};
use crate::postgres::Server;

/// Databases where a role owns something or has rights, and the one that this client is in, where rights on whole databases are taken back.
const ELSEWHERE: &str = "
    SELECT d.datname::text FROM pg_roles r, pg_database d
    WHERE r.rolname::text = $1 AND d.datname::text <> $1 AND (d.datname = current_database() OR d.oid IN
        (SELECT dbid FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = r.oid))
    ORDER BY d.datname";

/// Lets the role in nowhere any more, then ends its connections: none of them makes anything from here on.
pub(super) async fn cut_off(client: &Client, place: &str) -> Result<(), TenantError> {
    let name = place.trim_matches('"');
    // A database that its owner made a template could not be removed.
    let shut = format!(
        "DO $$ BEGIN
             IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}') THEN ALTER ROLE {place} NOLOGIN; END IF;
             IF EXISTS (SELECT FROM pg_database WHERE datname = '{name}' AND datistemplate) THEN
                 ALTER DATABASE {place} IS_TEMPLATE false;
             END IF;
         END $$"
    );
    done(client, "shut a role out", &shut).await?;
    let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{name}'");
    done(client, "end a role's connections", &end).await
}

/// Drops what the role owns in other databases, with what depends on that, and takes its rights there back.
///
/// It is given to nobody else: a function of an app's making would run with the rights of whoever gets it.
pub(super) async fn clear_elsewhere(server: &Server, client: &Client, place: &str) -> Result<(), TenantError> {
    let name = place.trim_matches('"');
    for row in within("say where a role owns something", client.query(ELSEWHERE, &[&name])).await? {
        let database: String = row.try_get(0).map_err(|error| TenantError::Unreachable(error.into()))?;
        let entered = connect(&server.other(&database)).await.map_err(|error| TenantError::Refused {
            step: "let its user where a role owns something",
            why: format!("database `{database}`: {}", chain(&error)),
        })?;
        done(&entered, "drop what a role owns", &format!("DROP OWNED BY {place} CASCADE")).await?;
    }
    Ok(())
}
