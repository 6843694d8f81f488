//! A platform that dies at any step of making a database on the owner's server leaves none there that nobody has.

use std::process::{Child, Command, Stdio};

use skylift_peers::Postgres;
use skylift_tests::platform::Platform;
use skylift_tests::random::rounds;
use skylift_tests::{skip, wait};

use super::servers::{ask, server};

/// More steps than there are of a start and of making one database.
const STEPS_MAX: u64 = 60;

/// Somebody who uses a database, until dropped.
struct Busy(Child);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// A platform with one app, and the server that its databases are made on.
struct Making {
    platform: Platform,
    admin: String,
    _server: (Postgres, tempfile::NamedTempFile),
}

impl Making {
    async fn new() -> Option<Self> {
        if !skip::unless_one_network("a PostgreSQL server on this machine") {
            return None;
        }
        let (server, rules, config) = server()?;
        let admin = config.split('"').nth(1).unwrap().to_owned();
        let mut platform = Platform::configured(&config).await;
        platform.app("shop").await;
        platform.stop().await;
        Some(Self { platform, admin, _server: (server, rules) })
    }

    /// Is killed while the server is in the middle of making one, and started again.
    async fn is_killed_in_the_middle(&mut self) {
        self.platform.up().await;
        let busy = self.someone_keeps_it_waiting().await;
        let role = "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'sky@_%' ESCAPE '@'";
        tokio::select! {
            made = self.platform.cli(&["db", "create", "main", "--app", "shop"]) => panic!("{made:?}"),
            () = wait::until("its role", async || (ask(&self.admin, role) == "1").then_some(())) => {}
        }
        self.platform.kill().await;
        drop(busy);
        self.platform.up().await;
    }

    /// `CREATE DATABASE` copies a database that nobody else may use meanwhile; it waits for seconds, then fails.
    async fn someone_keeps_it_waiting(&self) -> Busy {
        ask(&self.admin, "ALTER DATABASE template0 ALLOW_CONNECTIONS true");
        let copied = format!("{}/template0", self.admin.rsplit_once('/').unwrap().0);
        let mut someone = Command::new("psql");
        someone.args([&copied, "-X", "-q"]).stdin(Stdio::piped()).stdout(Stdio::null());
        let someone = Busy(someone.spawn().unwrap());
        let there =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = 'template0' AND backend_type = 'client backend'";
        wait::until("somebody else uses it", async || (ask(&self.admin, there) == "1").then_some(())).await;
        someone
    }

    /// Dies at a step of its start or of making a database, and is started again. Whether it did.
    async fn dies_at(&mut self, step: u64) -> bool {
        self.platform.set_environment("SKYLIFT_CRASH_AT", &format!("{step}:before"));
        let died = if self.platform.try_up().await {
            let made = self.platform.cli(&["db", "create", "main", "--app", "shop"]).await;
            if made.exit == 0 {
                !self.platform.stop().await.success()
            } else {
                self.platform.reap().await;
                true
            }
        } else {
            true
        };
        self.platform.drop_environment("SKYLIFT_CRASH_AT");
        self.platform.up().await;
        died
    }

    /// How many databases and roles there are beyond those that the app has.
    async fn orphans(&self) -> usize {
        let noted = self.platform.client().databases(&"shop".parse().unwrap()).await.unwrap().databases.len();
        let count = |text: &str| ask(&self.admin, text).parse::<usize>().unwrap();
        let databases = count("SELECT count(*) FROM pg_database WHERE datname LIKE 'sky@_%' ESCAPE '@'");
        let roles = count("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'sky@_%' ESCAPE '@'");
        databases.abs_diff(noted) + roles.abs_diff(noted)
    }

    async fn have_no_orphans(&self) {
        wait::until("there are no orphans", async || (self.orphans().await == 0).then_some(())).await;
    }

    /// Takes the database back, where there is one, and stops.
    async fn starts_over(&mut self) {
        let noted = self.platform.client().databases(&"shop".parse().unwrap()).await.unwrap().databases;
        if !noted.is_empty() {
            self.platform.cli(&["db", "rm", "main", "--app", "shop", "--yes"]).await.ok();
        }
        assert!(self.platform.stop().await.success());
    }
}

#[tokio::test]
async fn a_database_whose_making_fails_or_is_cut_off_is_not_left_to_nobody() {
    let Some(mut making) = Making::new().await else { return };
    making.is_killed_in_the_middle().await;
    making.have_no_orphans().await;
    let busy = making.someone_keeps_it_waiting().await;
    let refused = making.platform.cli(&["db", "create", "main", "--app", "shop"]).await;
    drop(busy);
    assert!(refused.exit != 0 && refused.stderr.contains("did not make a database"), "{}", refused.stderr);
    assert_eq!(making.orphans().await, 0, "at once");
    making.platform.cli(&["db", "create", "main", "--app", "shop"]).await.ok();
    making.starts_over().await;
}

/// Control: where nothing is noted before it is made, something is left.
#[tokio::test]
async fn control_without_a_note_beforehand_an_orphan_is_left() {
    let Some(mut making) = Making::new().await else { return };
    making.platform.set_environment("SKYLIFT_CRASH_WEAKEN", "no-intent");
    making.is_killed_in_the_middle().await;
    making.platform.restart().await;
    assert!(making.orphans().await > 0);
}

/// In the soak: each step of a start and of making one.
#[tokio::test]
async fn a_platform_that_dies_at_any_step_of_making_a_database_leaves_none_to_nobody() {
    if rounds(0, 1) == 0 {
        return;
    }
    let Some(mut making) = Making::new().await else { return };
    let mut deaths = 0;
    for step in 1..=STEPS_MAX {
        if !making.dies_at(step).await {
            break;
        }
        deaths += 1;
        making.have_no_orphans().await;
        making.starts_over().await;
    }
    assert!((3..STEPS_MAX).contains(&deaths), "{deaths} deaths");
}
