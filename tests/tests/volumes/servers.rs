//! Databases on the owner's PostgreSQL server: each reached by its app alone.

use std::net::TcpListener;

use skylift_peers::Postgres;
use skylift_tests::app::App;
use skylift_tests::folder::Folder;
use skylift_tests::platform::Platform;
use skylift_tests::skip;

use super::keeper::says;

/// A server in Node that has the machine's `psql` ask what it is asked, of the database that `DATABASE_URL` names or another.
fn asker(version: &str) -> Folder {
    let program = r#"
        const { spawnSync } = require('child_process');
        require('http').createServer((request, response) => {
            const url = new URL(request.url, 'http://x');
            if (url.pathname === '/env') return response.end(process.env[url.searchParams.get('name')] ?? '-');
            if (url.pathname !== '/sql') return response.end('VERSION');
            const at = url.searchParams.get('at') ?? process.env.DATABASE_URL;
            const line = 'exec /usr/lib/postgresql/*/bin/psql "$0" -X -q -At -c "$1"';
            const ran = spawnSync('/bin/sh', ['-c', line, at, url.searchParams.get('text')], { encoding: 'utf8', timeout: 20000 });
            response.end(ran.status === 0 ? ran.stdout.trim() : 'refused ' + ran.stderr);
        }).listen(process.env.PORT);
        process.on('SIGTERM', () => process.exit(0));
    "#;
    Folder::new()
        .file("package.json", r#"{"name":"asker","scripts":{"start":"exec node server.js"}}"#)
        .file("server.js", program.replace("VERSION", version))
}

async fn sql(app: &App<'_>, text: &str) -> String {
    says(app, &format!("/sql?text={}", escaped(text))).await
}

async fn sql_at(app: &App<'_>, at: &str, text: &str) -> String {
    says(app, &format!("/sql?at={}&text={}", escaped(at), escaped(text))).await
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A server that asks roles of apps for their passwords, and the settings that name it.
pub(super) fn server() -> Option<(Postgres, tempfile::NamedTempFile, String)> {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    let mut rules = tempfile::NamedTempFile::new().unwrap();
    rules.write_all(b"host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n").unwrap();
    std::fs::set_permissions(rules.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings = [
        "fsync=off".to_owned(),
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        format!("hba_file={}", rules.path().display()),
    ];
    let server = Postgres::start_with(&settings.each_ref().map(String::as_str))?;
    let config = format!("[database]\nurl = \"postgres://postgres@127.0.0.1:{port}/postgres\"\n");
    Some((server, rules, config))
}

#[tokio::test]
async fn an_app_has_a_database_of_its_own_on_the_owners_server_and_nobody_elses() {
    if !skip::unless_one_network("a PostgreSQL server on this machine") {
        return;
    }
    let Some((_server, _rules, config)) = server() else { return };
    let platform = Platform::configured(&config).await;
    let (shop, other, none) = (platform.app("shop").await, platform.app("other").await, platform.app("none").await);
    for app in [&shop, &other, &none] {
        app.deploy(&asker("one")).await;
    }
    platform.cli(&["db", "create", "main", "--app", "shop"]).await.ok();
    platform.cli(&["db", "create", "main", "--app", "other", "--kind", "postgres"]).await.ok();
    assert_eq!(sql(&shop, "CREATE TABLE words (word TEXT); INSERT INTO words VALUES ('mine')").await, "");
    shop.deploy(&asker("two")).await;
    assert_eq!((says(&shop, "/").await, sql(&shop, "SELECT word FROM words").await), ("two".into(), "mine".into()));
    platform.cli(&["scale", "shop", "--max", "3"]).await.ok();

    let (ours, theirs) = (says(&shop, "/env?name=DATABASE_URL").await, says(&other, "/env?name=MAIN_URL").await);
    let database = |url: &str| url.rsplit('/').next().unwrap().to_owned();
    let beside = format!("{}/{}", ours.rsplit_once('/').unwrap().0, database(&theirs));
    assert_eq!(sql_at(&shop, &ours, "SELECT 1").await, "1", "the control: its own");
    let refused = sql_at(&shop, &beside, "SELECT 1").await;
    assert!(refused.contains("permission denied for database"), "{beside}: {refused}");
    for closed in ["postgres", "template1"] {
        let at = format!("{}/{closed}", ours.rsplit_once('/').unwrap().0);
        let refused = sql_at(&shop, &at, "SELECT 1").await;
        assert!(refused.contains(&format!("permission denied for database \"{closed}\"")), "{refused}");
    }
    let names = sql(&shop, "SELECT string_agg(datname, ' ') FROM pg_database").await;
    assert!(names.contains(&database(&theirs)) && !names.contains("other"), "names are seen and tell nothing: {names}");
    let guessed = theirs.replace(&password(&theirs), "guessed");
    let refused = sql_at(&shop, &guessed, "SELECT 1").await;
    assert!(refused.contains("password authentication failed"), "{refused}");
    let refused = sql(&shop, "CREATE DATABASE more").await;
    assert!(refused.contains("permission denied"), "{refused}");
    for at in [ours.as_str(), config.split('"').nth(1).unwrap()] {
        let refused = sql_at(&none, at, "SELECT 1").await;
        assert!(refused.starts_with("refused"), "an app without one has no way there: {refused}");
    }

    let admin = config.split('"').nth(1).unwrap();
    let named = format!("SELECT count(*) FROM pg_roles WHERE rolname = '{}'", database(&ours));
    assert_eq!(ask(admin, &named), "1", "the control");
    let listed = platform.cli(&["db", "ls", "--app", "shop"]).await.ok().stdout;
    assert!(listed.contains("PostgreSQL") && !listed.contains(&password(&ours)), "{listed}");
    platform.cli(&["db", "rm", "main", "--app", "shop", "--yes"]).await.ok();
    platform.cli(&["rm", "other", "--yes", "--with-data"]).await.ok();
    assert_eq!(ask(admin, "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'sky@_%' ESCAPE '@'"), "0");
    assert_eq!(ask(admin, "SELECT count(*) FROM pg_database WHERE datname LIKE 'sky@_%' ESCAPE '@'"), "0");
    assert_eq!(says(&shop, "/env?name=DATABASE_URL").await, "-");
}

fn password(url: &str) -> String {
    url.split("//").nth(1).unwrap().split(['@', ':']).nth(1).unwrap().to_owned()
}

/// What the server itself says.
pub(super) fn ask(at: &str, text: &str) -> String {
    let programs = std::fs::read_dir("/usr/lib/postgresql").unwrap();
    let psql = programs.map(|entry| entry.unwrap().path().join("bin/psql")).find(|path| path.exists()).unwrap();
    let ran = std::process::Command::new(psql).args([at, "-X", "-At", "-c", text]).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap().trim().to_owned()
}
