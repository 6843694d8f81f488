//! What every store must do, on both databases: files of SQLite, and a real server of PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

#[path = "suite/administrator.rs"]
mod administrator;
#[path = "suite/agreement.rs"]
mod agreement;
#[path = "suite/ai_usage.rs"]
mod ai_usage;
#[path = "suite/bench.rs"]
mod bench;
#[path = "suite/bounds.rs"]
mod bounds;
#[path = "suite/commits.rs"]
mod commits;
#[path = "suite/controls.rs"]
mod controls;
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
#[path = "suite/net.rs"]
mod net;
#[path = "suite/once.rs"]
mod once;
#[path = "suite/owners_server.rs"]
mod owners_server;
#[path = "suite/priority.rs"]
mod priority;
#[path = "suite/processes.rs"]
mod processes;
#[path = "suite/queue.rs"]
mod queue;
#[path = "suite/removed.rs"]
mod removed;
#[path = "suite/rollouts.rs"]
mod rollouts;
#[path = "suite/run_usage.rs"]
mod run_usage;
#[path = "suite/runs.rs"]
mod runs;
#[path = "suite/scaling.rs"]
mod scaling;
#[path = "suite/sharing.rs"]
mod sharing;
#[path = "suite/strangers.rs"]
mod strangers;
#[path = "suite/tables.rs"]
mod tables;
#[path = "suite/templates.rs"]
mod templates;
#[path = "suite/turns.rs"]
mod turns;
#[path = "suite/volumes.rs"]
mod volumes;
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
    runs: a_callback_is_due_once_the_run_has_settled_and_taken_by_one, a_run_is_not_forgotten_before_it_was_told,
        what_is_more_urgent_goes_first_then_what_is_older, a_run_settles_once_and_only_by_whoever_holds_it,
        a_run_that_is_cancelled_stays_so_whoever_has_it, a_run_that_keeps_failing_is_given_up_and_can_be_sent_again,
        what_is_given_back_was_not_tried, what_waits_is_counted_and_what_is_over_is_forgotten_in_time,
        what_is_over_already_is_kept_and_a_blob_is_named_for_as_long;
    turns: keys_take_turns_however_much_one_of_them_queues, what_comes_back_is_next_and_gives_nobody_an_advantage,
        what_was_not_begun_when_its_worker_died_was_not_tried;
    bounds: a_key_has_as_many_runs_under_way_as_it_may_and_holds_up_nobody,
        however_many_runs_a_key_holds_back_the_others_come_in_their_order,
        beside_a_key_that_rests_nobody_gets_its_old_turns,
        a_message_that_may_take_no_run_comes_again_a_little_later, a_key_whose_day_is_used_up_rests_until_the_next,
        what_a_key_holds_back_changes_nobodys_turn, a_key_that_rested_has_no_credit_for_it;
    run_usage:
        a_quota_is_taken_by_one_however_many_ask_at_once_and_is_there_again_the_next_day,
        a_key_that_is_revoked_has_no_run_that_waits_or_works_and_gets_none,
        one_leads_at_a_time_and_another_once_nobody_has_said_so_for_long,
        whoever_scales_sees_what_waits_who_holds_what_and_what_was_queued;
    ai_usage:
        what_models_did_adds_up_for_each_key_and_day;
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
        a_build_adds_to_the_environment_that_its_app_still_has,
        a_rollback_sees_what_the_same_commit_changed_before,
        what_was_answered_is_there_after_reopening;
    processes:
        a_release_is_due_until_one_has_ended_well,
        workers_are_counted_and_never_routed_to,
        what_app_json_counts_holds_until_its_owner_says_otherwise,
        a_restart_and_a_command_need_something_that_runs;
    queue:
        a_lost_lease_commits_nothing,
        what_died_with_the_process_before_is_tried_again_at_once_and_not_for_ever,
        what_a_worker_lost_among_others_is_not_tried_again_at_once,
        a_job_that_keeps_dying_is_given_up_and_can_be_replayed,
        an_attempt_that_could_not_be_made_does_not_count,
        cancelling_ends_once_and_frees_the_queue;
    removed:
        an_app_that_is_missing_is_lost_unless_it_was_removed;
    rollouts:
        a_share_is_routed_and_an_abort_is_one_change,
        what_went_live_is_taken_back_once_and_says_why,
        what_is_on_trial_stays_while_another_is_on_the_way,
        going_live_side_by_side_closes_the_old_ones_in_the_same_change,
        of_a_stopped_app_no_version_stands_beside_another,
        an_attempt_that_was_lost_goes_on_with_its_step,
        a_newer_deployment_takes_the_place_of_what_may_last,
        a_newer_deployment_waits_for_what_just_rolls,
        a_rollback_ends_what_is_under_way_and_goes_no_further_back_unasked,
        where_nothing_runs_every_strategy_just_starts;
    scaling:
        a_decision_counts_only_from_the_number_it_was_made_from,
        bounds_hold_by_hand_and_bring_inside_what_is_outside,
        whoever_scales_sees_what_answers_and_what_starts;
    templates:
        each_content_has_one_number_and_what_comes_back_has_its_old_one,
        instances_from_another_template_are_to_be_replaced,
        what_has_no_room_is_not_started_and_says_what_is_missing;
    priority:
        the_first_instance_of_one_takes_the_room_of_a_spare_one_of_another,
        who_asks_no_more_keeps_no_room,
        nobody_goes_below_its_least_nor_for_nothing,
        a_new_version_and_a_restart_take_the_place_of_old_instances,
        what_replaces_the_only_one_is_given_to_nobody,
        what_does_not_answer_well_goes_first_and_counts_for_nothing,
        the_room_of_one_that_has_to_end_first_is_kept_for_the_next;
    net:
        rules_that_were_set_are_part_of_routes_and_of_instances,
        rules_of_an_app_that_is_not_there_are_refused;
    volumes:
        one_writer_bounds_an_app_unless_its_owner_said_more,
        where_nobody_said_how_many_one_writer_means_one_and_a_restart,
        a_database_that_was_begun_is_known_until_it_is_noted_or_gone,
        what_an_app_keeps_goes_when_its_owner_says_so_and_not_before;
    keeping:
        clean_up_keeps_the_newest_that_were_live_and_what_is_live,
        blobs_are_released_only_if_nothing_new_was_named;
}
