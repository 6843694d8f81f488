//! Databases of the server that roles of apps could enter besides their own: those that every server has, and the one that its user is in.
//!
//! In one that everybody may enter a role could be in the way of others, leave objects for them, and own what keeps it from being removed.

use tokio_postgres::Client;

use super::{TenantError, done};

/// Closes those that are open, one caller at a time: the server refuses two changes of one database's rights at once. A user that may not
/// close one gets no error for that from every server, so it is looked at.
const CLOSE: &str = r"
DO $$
DECLARE
    entered name;
    left_open text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('skylift closes databases', 0));
    FOR entered IN
        SELECT datname FROM pg_database
        WHERE datname IN ('template1', 'postgres', current_database()) AND has_database_privilege('public', oid, 'CONNECT')
    LOOP
        BEGIN
            -- The user itself may be there as one of everybody.
            EXECUTE format('GRANT CONNECT ON DATABASE %I TO CURRENT_USER', entered);
            EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM PUBLIC', entered);
        EXCEPTION WHEN insufficient_privilege THEN
            NULL;
        END;
    END LOOP;
    SELECT string_agg(format('REVOKE CONNECT ON DATABASE %I FROM PUBLIC', datname), '; ' ORDER BY datname) INTO left_open
    FROM pg_database
    WHERE datname IN ('template1', 'postgres', current_database()) AND has_database_privilege('public', oid, 'CONNECT');
    IF left_open IS NOT NULL THEN
        RAISE EXCEPTION 'every role may enter databases that % may not close; let their owner do it: GRANT CONNECT ON DATABASE % TO %; %',
            quote_ident(current_user), quote_ident(current_database()), quote_ident(current_user), left_open;
    END IF;
END $$";

/// Closes them for everybody but those who were given a right to them, such as this user.
///
/// # Errors
/// Where one stays open, with the statement that closes it.
pub(super) async fn close(client: &Client) -> Result<(), TenantError> {
    done(client, "keep roles of apps out of other databases", CLOSE).await
}
