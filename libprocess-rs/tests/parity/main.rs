//! One suite of behaviours, unchanged on both drivers: what holds in the simulator holds on
//! sockets and threads.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod bed;
mod probe;

mod events;
mod links;
mod tools;
mod web;

/// All behaviours by name.
mod behaviours {
    pub(crate) use crate::events::*;
    pub(crate) use crate::links::*;
    pub(crate) use crate::tools::*;
    pub(crate) use crate::web::*;
}

bed::on_both! {
    messages_between_nodes_arrive_in_order
    messages_of_one_process_are_handled_in_order_and_others_unharmed
    message_to_nobody_is_dropped_silently
    forwarded_message_keeps_its_sender
    delegated_messages_go_to_the_other_process
    handler_is_atomic_though_it_starts_much
    timers_fire_by_deadline_and_not_once_cancelled
    deferred_result_comes_as_an_event
    ask_of_a_process_that_is_gone_says_so
    terminate_at_once_drops_what_is_queued
    terminate_in_turn_handles_what_is_queued
    spawn_of_a_taken_id_fails_until_it_is_free
    panic_ends_one_process_and_tells_its_linkers
    filter_drops_what_it_names
    files_written_are_read_back
    finished_node_has_handled_everything
    link_to_a_dead_process_or_address_exits
    link_twice_to_a_process_exits_once
    link_is_used_up_by_its_event
    link_of_a_linker_that_ended_is_forgotten
    link_to_a_node_exits_for_all_its_linkers_when_it_dies
    link_to_an_unknown_id_on_a_living_node_stays
    route_of_the_longest_prefix_serves
    answers_of_the_runtime_have_their_status_and_text
    delegate_serves_paths_of_no_process
    request_to_a_process_that_ends_is_an_error
    realm_with_an_authenticator_lets_principals_in
    requests_are_served_in_order_though_their_checks_are_not
    authorization_refuses_what_it_says
    disabled_endpoint_is_forbidden
    help_lists_routes_and_metrics_their_values
    assets_are_served_by_their_names
    mutex_is_handed_on_in_order
    rate_limiter_keeps_its_pace
    sequence_does_one_thing_after_another
    queue_and_latch_join_work
    loops_and_throwaway_processes_end_with_a_value
    metrics_are_served_in_both_forms
    verbosity_is_raised_and_reverts
}
