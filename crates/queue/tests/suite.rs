//! What every queue of runs must do: on the rows alone, of both databases, and on rows with a real queue service beside them.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends where something is not as it must be")]

#[path = "suite/bench.rs"]
mod bench;
#[path = "suite/bounds.rs"]
mod bounds;
#[path = "suite/controls.rs"]
mod controls;
#[path = "suite/crowd.rs"]
mod crowd;
#[path = "suite/deaths.rs"]
mod deaths;
#[path = "suite/delivery.rs"]
mod delivery;
#[path = "suite/loss.rs"]
mod loss;
#[path = "suite/waiters.rs"]
mod waiters;
#[path = "suite/watched.rs"]
mod watched;

/// Makes a test of each case on each queue.
macro_rules! on_all {
    ($($module:ident: $($case:ident),+;)+) => {
        on_all!(@queue sqlite, $($module: $($case),+;)+);
        on_all!(@queue postgres, $($module: $($case),+;)+);
        on_all!(@queue redis, $($module: $($case),+;)+);
        #[cfg(feature = "sqs")]
        on_all!(@queue moto, $($module: $($case),+;)+);
        #[cfg(feature = "sqs")]
        on_all!(@queue fauxqs, $($module: $($case),+;)+);
    };
    (@queue $queue:ident, $($module:ident: $($case:ident),+;)+) => {
        mod $queue {
            $($(
                #[tokio::test(flavor = "multi_thread")]
                async fn $case() {
                    if let Some(bench) = crate::bench::Bench::$queue().await {
                        crate::$module::$case(bench).await;
                    }
                }
            )+)+
        }
    };
}

on_all! {
    delivery:
        what_waits_is_taken_in_batches_once_and_as_it_is_due,
        who_queues_much_holds_up_nobody_else,
        a_lease_that_runs_out_leads_to_another_and_the_first_commits_nothing,
        who_renews_keeps_what_it_has,
        what_is_given_back_is_there_for_others_at_once_and_was_not_tried,
        what_fails_comes_again_is_given_up_and_can_be_sent_again,
        what_was_cancelled_reaches_nobody,
        what_is_counted_is_the_same_everywhere;
    crowd:
        thousands_are_settled_once_each_whoever_dies_and_whatever_comes_twice,
        workers_run_what_waits;
    bounds:
        a_key_has_as_many_under_way_as_it_may_whoever_runs_them;
    deaths:
        what_a_worker_that_dies_had_only_taken_ahead_was_not_tried,
        what_was_taken_ahead_is_others_where_runs_take_long;
    loss:
        what_the_queue_has_lost_is_found_by_its_rows,
        a_queue_that_is_away_is_done_without;
}
