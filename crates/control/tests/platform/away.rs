//! Rows that cannot be written for now, while a deployment is to go live.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use skylift_bus::{Applied, Bus, Received};
use skylift_control::deploy::{go_live, run};
use skylift_control::reconcile::Reconciler;
use skylift_control::worker::{LEASE, Queue};
use skylift_model::source::Source;
use skylift_model::{Clock, DeploymentId, DeploymentState, Digest, Timestamp};
use skylift_peers::Postgres;
use skylift_store::{JobKind, NewDeployment, Once, SentBytes, Store};
use tokio::sync::watch;

use crate::{Artifact, app, plan};

/// How often it is tried in vain: more often than an attempt that counts would be.
const ATTEMPTS: usize = 5;

/// A queue with one built deployment, and a clock that its holder moves.
async fn queue(server: &Postgres, artifact: Artifact) -> (Queue, DeploymentId, Arc<AtomicI64>) {
    let store = Store::connect(&server.url()).await.unwrap();
    let moved = Arc::new(AtomicI64::new(1));
    let read = moved.clone();
    let clock = Clock::new(move || Timestamp::from_millis(read.load(Ordering::SeqCst)));
    store.create_app(app(), Once::default(), clock.now()).await.unwrap();
    let new = NewDeployment { app: app(), source: Source::Archive, dir: None, bytes: SentBytes::None, secret: None };
    let id = store.create_deployment(new, Once::default(), clock.now()).await.unwrap().made().unwrap().deployment.id;
    let build = store.lease(JobKind::Build, clock.now(), LEASE).await.unwrap().unwrap();
    store.begin_build(build.clone(), clock.now()).await.unwrap();
    if let Artifact::Program(_) = artifact {
        store.set_plan(build.clone(), plan()).await.unwrap();
    }
    store.finish_build(build, Digest::of(b"artifact"), clock.now()).await.unwrap();
    (Queue { store, bus: Bus::in_process(), clock }, id, moved)
}

/// Tries to make it live, again and again, as long as there is a job to do.
async fn attempt(queue: &Queue, moved: &AtomicI64) {
    for _ in 0..ATTEMPTS {
        moved.fetch_add(Duration::from_secs(600).as_millis() as i64, Ordering::SeqCst);
        if let Some(lease) = queue.store.lease(JobKind::Deploy, queue.clock.now(), LEASE).await.unwrap() {
            go_live(queue, lease).await;
        }
    }
}

/// What the server says of each attempt to make something live.
fn refuse(server: &Postgres, code: &str) {
    server.by_hand(&format!(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN RAISE EXCEPTION 'not now' USING ERRCODE = '{code}'; END $$;
         CREATE TRIGGER refuse AFTER INSERT ON activations FOR EACH ROW EXECUTE FUNCTION refuse()"
    ));
}

#[tokio::test]
async fn what_is_accepted_goes_live_however_long_the_rows_could_not_be_written() {
    // Not to be locked; no memory left; and, as the control, what does not pass.
    for (code, passes) in [("55P03", true), ("53200", true), ("23514", false)] {
        let Some(server) = Postgres::start() else { return };
        let (queue, id, moved) = queue(&server, Artifact::Site).await;
        refuse(&server, code);
        attempt(&queue, &moved).await;
        let waits = queue.store.deployment(id.clone()).await.unwrap().state;
        assert_eq!(waits == DeploymentState::Deploying, passes, "{code}: {waits}");
        assert_eq!(waits == DeploymentState::Failed, !passes, "{code}: {waits}");
        server.by_hand("DROP TRIGGER refuse ON activations");
        attempt(&queue, &moved).await;
        let ended = queue.store.deployment(id).await.unwrap().state;
        assert_eq!(ended == DeploymentState::Live, passes, "{code}: {ended}");
    }
}

/// No connection is left for who only reads, say, while who writes has one.
#[tokio::test]
async fn a_program_that_cannot_be_looked_at_does_not_go_live_as_if_it_were_files() {
    for unreadable in [true, false] {
        let Some(server) = Postgres::start() else { return };
        let artifact = if unreadable { Artifact::Program("built") } else { Artifact::Site };
        let (queue, id, _moved) = queue(&server, artifact).await;
        if unreadable {
            server.by_hand(
                "CREATE FUNCTION is_readable() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
                     IF current_setting('transaction_read_only') = 'on' THEN RAISE 'not now' USING ERRCODE = '53300'; END IF;
                     RETURN true; END $$;
                 ALTER TABLE deployments RENAME TO hidden;
                 CREATE VIEW deployments AS SELECT * FROM hidden WHERE is_readable()",
            );
        }
        let mut woken = queue.bus.subscribe();
        let applied = Applied::follow(&queue.bus, Arc::new(|| Box::pin(async { None })));
        let reconciler = Reconciler::new(queue.clone(), applied, None, Duration::ZERO);
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(run(reconciler, stopped));
        // The end of an attempt.
        while woken.next().await != Received::Message(skylift_bus::Message::JobReady) {}
        stop.send(true).unwrap();
        running.await.unwrap();
        let live = queue.store.app(app()).await.unwrap().live;
        assert_eq!(live, (!unreadable).then_some(id), "control: files go live");
        assert_eq!(
            queue.store.jobs(None).await.unwrap().iter().any(|job| job.kind == Some(JobKind::Deploy)),
            unreadable
        );
    }
}
