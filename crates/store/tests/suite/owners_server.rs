//! Databases of apps on the owner's server: what a role cannot do to others, and that it goes whatever it did.

use skylift_peers::Postgres;
use skylift_store::{Tenant, TenantError, TenantServer};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

const CONNECTIONS_MAX: usize = 20;

struct Bench {
    server: Postgres,
    tenants: TenantServer,
    admin: Client,
}

impl Bench {
    async fn new() -> Option<Self> {
        let server = Postgres::start()?;
        let tenants = TenantServer::parse(&server.url()).unwrap();
        let admin = connect(&server.url()).await.unwrap();
        Some(Self { server, tenants, admin })
    }

    async fn make(&self) -> Tenant {
        let tenant = Tenant::random().unwrap();
        self.tenants.make(&tenant).await.unwrap();
        tenant
    }

    /// The way to a database as a role.
    fn url(&self, role: &str, database: &str) -> String {
        let url = self.server.url().replace("postgres@", &format!("{role}@"));
        format!("{}/{database}", url.rsplit_once('/').unwrap().0)
    }

    async fn enter(&self, tenant: &Tenant, database: &str) -> Result<Client, tokio_postgres::Error> {
        connect(&self.url(&tenant.place, database)).await
    }

    async fn count(&self, from: &str) -> i64 {
        self.admin.query_one(&format!("SELECT count(*) FROM {from}"), &[]).await.unwrap().get(0)
    }

    async fn left_of(&self, tenant: &Tenant) -> (i64, i64) {
        let place = &tenant.place;
        let roles = self.count(&format!("pg_roles WHERE rolname = '{place}'")).await;
        (roles, self.count(&format!("pg_database WHERE datname = '{place}'")).await)
    }

    async fn do_as_admin(&self, sql: &str) {
        self.admin.batch_execute(sql).await.unwrap();
    }

    /// A user that may make roles and databases and nothing more, in a database of its own.
    async fn lesser(&self, rights: &str) -> TenantServer {
        self.do_as_admin(&format!("CREATE ROLE lesser LOGIN {rights}")).await;
        self.do_as_admin("CREATE DATABASE lessers OWNER lesser").await;
        TenantServer::parse(&self.url("lesser", "lessers")).unwrap()
    }
}

async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

fn refused(done: Result<(), TenantError>) -> String {
    match done {
        Err(error @ TenantError::Refused { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_role_enters_its_own_database_and_no_other() {
    let Some(bench) = Bench::new().await else { return };
    let (one, other) = (bench.make().await, bench.make().await);
    for database in ["template1", "postgres", &other.place] {
        let shut = bench.enter(&one, database).await.err().unwrap();
        assert_eq!(shut.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{database}: {shut}");
        connect(&bench.url("postgres", database)).await.expect("the owner's user enters");
    }
    bench.enter(&one, &one.place).await.expect("the control: its own");
    bench.do_as_admin("GRANT CONNECT ON DATABASE template1, postgres TO PUBLIC").await;
    for database in ["template1", "postgres"] {
        bench.enter(&one, database).await.expect("the control: open to everybody");
    }
    bench.make().await;
    bench.enter(&one, "template1").await.map(drop).expect_err("closed with the next one");
}

#[tokio::test]
async fn what_somebody_holds_or_left_in_a_template_is_in_nobodys_way() {
    let Some(bench) = Bench::new().await else { return };
    let template = connect(&bench.url("postgres", "template1")).await.unwrap();
    template.batch_execute("SELECT lo_from_bytea(0, 'left for others')").await.unwrap();
    let made = bench.make().await;
    let own = bench.enter(&made, &made.place).await.unwrap();
    let large = "SELECT count(*) FROM pg_largeobject_metadata";
    assert_eq!(own.query_one(large, &[]).await.unwrap().get::<_, i64>(0), 0);
    // The control: what the server copies unless told otherwise.
    let busy = bench.admin.batch_execute("CREATE DATABASE copied").await.unwrap_err();
    assert_eq!(busy.code(), Some(&SqlState::OBJECT_IN_USE), "{busy}");
    assert_eq!(template.query_one(large, &[]).await.unwrap().get::<_, i64>(0), 1);
}

#[tokio::test]
async fn many_make_databases_at_once_while_others_are_open_to_all() {
    let Some(bench) = Bench::new().await else { return };
    let (a, b, c) = tokio::join!(bench.make(), bench.make(), bench.make());
    for tenant in [a, b, c] {
        bench.enter(&tenant, "postgres").await.err().unwrap();
    }
}

#[tokio::test]
async fn a_user_that_may_not_close_databases_is_told_what_to_do_and_goes_on_once_it_is_done() {
    let Some(bench) = Bench::new().await else { return };
    let lesser = bench.lesser("CREATEDB CREATEROLE").await;
    let tenant = Tenant::random().unwrap();
    let told = refused(lesser.make(&tenant).await);
    assert!(told.contains("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC"), "{told}");
    assert!(told.contains("REVOKE CONNECT ON DATABASE template1 FROM PUBLIC"), "{told}");
    assert_eq!(bench.left_of(&tenant).await, (0, 0));
    bench.do_as_admin("REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC").await;
    lesser.make(&tenant).await.unwrap();
    let shut = bench.enter(&tenant, "lessers").await.err().unwrap();
    assert_eq!(shut.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "its user's own is closed: {shut}");
    let _using = bench.enter(&tenant, &tenant.place).await.unwrap();
    lesser.remove(&tenant.place).await.unwrap();
    assert_eq!(bench.left_of(&tenant).await, (0, 0));
}

#[tokio::test]
async fn a_failed_database_leaves_no_role() {
    let Some(bench) = Bench::new().await else { return };
    let lesser = bench.lesser("CREATEROLE").await;
    bench.do_as_admin("REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC").await;
    let tenant = Tenant::random().unwrap();
    let told = refused(lesser.make(&tenant).await);
    assert!(told.contains("did not make a database"), "after its role: {told}");
    assert_eq!(bench.left_of(&tenant).await, (0, 0));
}

#[tokio::test]
async fn one_app_does_not_take_every_connection() {
    let Some(bench) = Bench::new().await else { return };
    let (greedy, other) = (bench.make().await, bench.make().await);
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        held.push(bench.enter(&greedy, &greedy.place).await.unwrap());
    }
    held[0].batch_execute(&format!("ALTER DATABASE {} CONNECTION LIMIT -1", greedy.place)).await.unwrap();
    let full = bench.enter(&greedy, &greedy.place).await.err().unwrap();
    assert_eq!(full.code(), Some(&SqlState::TOO_MANY_CONNECTIONS), "{full}");
    held[0].batch_execute(&format!("ALTER ROLE {} CONNECTION LIMIT -1", greedy.place)).await.unwrap_err();
    bench.enter(&other, &other.place).await.unwrap();
    bench.do_as_admin(&format!("ALTER ROLE {} CONNECTION LIMIT -1", greedy.place)).await;
    bench.enter(&greedy, &greedy.place).await.expect("the control: without a limit there is room");
}

/// What a role can do to stay: it owns things elsewhere, others use those, its database is a template, and it is connected to both.
async fn dig_in(bench: &Bench, tenant: &Tenant) -> [Client; 2] {
    bench.do_as_admin("GRANT CONNECT ON DATABASE postgres TO PUBLIC; GRANT ALL ON SCHEMA public TO PUBLIC").await;
    let elsewhere = bench.enter(tenant, "postgres").await.unwrap();
    elsewhere
        .batch_execute("CREATE TABLE stays (n INT); SELECT lo_from_bytea(0, 'stays'); GRANT SELECT ON stays TO PUBLIC")
        .await
        .unwrap();
    bench.do_as_admin("CREATE TABLE owners (n INT); CREATE VIEW uses AS SELECT n FROM stays").await;
    let own = bench.enter(tenant, &tenant.place).await.unwrap();
    own.batch_execute(&format!("ALTER DATABASE {} IS_TEMPLATE true", tenant.place)).await.unwrap();
    [elsewhere, own]
}

#[tokio::test]
async fn a_database_goes_with_its_role_whatever_the_app_did_to_keep_them() {
    let Some(bench) = Bench::new().await else { return };
    let (stays, other) = (bench.make().await, bench.make().await);
    let _held = dig_in(&bench, &stays).await;
    let place = &stays.place;
    // The control: neither goes by itself.
    let template = bench.admin.batch_execute(&format!("DROP DATABASE {place} WITH (FORCE)")).await.unwrap_err();
    assert_eq!(template.code(), Some(&SqlState::WRONG_OBJECT_TYPE), "{template}");
    let owns = bench.admin.batch_execute(&format!("DROP ROLE {place}")).await.unwrap_err();
    assert_eq!(owns.code(), Some(&SqlState::DEPENDENT_OBJECTS_STILL_EXIST), "{owns}");
    bench.tenants.remove(place).await.unwrap();
    assert_eq!(bench.left_of(&stays).await, (0, 0));
    assert_eq!(bench.count("pg_class WHERE relname IN ('stays', 'owners')").await, 1, "the owner's own");
    assert_eq!(bench.count("pg_largeobject_metadata").await, 0);
    bench.enter(&other, &other.place).await.unwrap();
    bench.tenants.remove(place).await.expect("once more");
}

#[tokio::test]
async fn a_removal_that_fails_leaves_the_database_and_is_done_when_tried_again() {
    let Some(bench) = Bench::new().await else { return };
    let stays = bench.make().await;
    bench.do_as_admin("CREATE DATABASE shut").await;
    let shut = connect(&bench.url("postgres", "shut")).await.unwrap();
    shut.batch_execute(&format!("CREATE TABLE stays (n INT); ALTER TABLE stays OWNER TO {}", stays.place))
        .await
        .unwrap();
    bench.do_as_admin("ALTER DATABASE shut ALLOW_CONNECTIONS false").await;
    let told = refused(bench.tenants.remove(&stays.place).await);
    assert!(told.contains("database `shut`"), "{told}");
    assert_eq!(bench.left_of(&stays).await, (1, 1), "what is noted is there");
    bench.enter(&stays, &stays.place).await.map(drop).expect_err("nobody makes anything more in it");
    bench.do_as_admin("ALTER DATABASE shut ALLOW_CONNECTIONS true").await;
    bench.tenants.remove(&stays.place).await.unwrap();
    assert_eq!(bench.left_of(&stays).await, (0, 0));
}
