//! What every store must do, on both databases: files of SQLite, and a real server of PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

#[path = "suite/agreement.rs"]
mod agreement;
#[path = "suite/bench.rs"]
mod bench;
#[path = "suite/commits.rs"]
mod commits;
#[path = "suite/crowd.rs"]
mod crowd;
#[path = "suite/deploying.rs"]
mod deploying;
#[path = "suite/failover.rs"]
mod failover;
#[path = "suite/keeping.rs"]
mod keeping;
#[path = "suite/live.rs"]
mod live;
#[path = "suite/loss.rs"]
mod loss;
#[path = "suite/model.rs"]
mod model;
#[path = "suite/moving.rs"]
mod moving;
#[path = "suite/once.rs"]
mod once;
#[path = "suite/queue.rs"]
mod queue;
#[path = "suite/sharing.rs"]
mod sharing;
#[path = "suite/strangers.rs"]
mod strangers;
#[path = "suite/tables.rs"]
mod tables;
#[path = "suite/way.rs"]
mod way;

/// Makes two tests of each case.
macro_rules! on_both {
    ($($module:ident: $($case:ident),+;)+) => {
        mod sqlite {
            $($(
                #[tokio::test]
                async fn $case() {
                    crate::$module::$case(crate::bench::Bench::sqlite().await).await;
                }
            )+)+
        }
        mod postgres {
            $($(
                #[tokio::test]
                async fn $case() {
                    if let Some(bench) = crate::bench::Bench::postgres().await {
                        crate::$module::$case(bench).await;
                    }
                }
            )+)+
        }
    };
}

on_both! {
    deploying:
        an_upload_asks_only_for_what_this_app_never_sent,
        a_deployment_of_an_incomplete_or_foreign_upload_is_refused,
        a_newer_deploy_supersedes_what_waits_but_not_what_is_being_built,
        a_failed_build_leaves_what_is_live;
    once:
        one_key_makes_one_deployment_however_many_ask_at_once,
        a_change_that_fails_leaves_its_key_unused,
        an_answer_is_there_after_reopening_and_stays_the_first;
    live:
        repeated_rollbacks_go_further_back_and_an_explicit_one_goes_anywhere,
        a_rollback_brings_its_environment_back,
        what_was_answered_is_there_after_reopening;
    queue:
        a_lost_lease_commits_nothing,
        a_job_that_keeps_dying_is_given_up_and_can_be_replayed,
        an_attempt_that_could_not_be_made_does_not_count,
        cancelling_ends_once_and_frees_the_queue;
    keeping:
        clean_up_keeps_the_newest_that_were_live_and_what_is_live,
        blobs_are_released_only_if_nothing_new_was_named;
}
