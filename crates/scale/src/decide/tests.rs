use super::*;
use crate::observed::Cpu;
use crate::settings::Policy;

/// Ticks of one second over a service that has what was decided, ready at once.
struct Group {
    settings: Settings,
    state: State,
    now_ms: u64,
    desired: u32,
}

impl Group {
    fn of(settings: Settings, desired: u32) -> Self {
        let mut state = State::default();
        state.set_desired(desired);
        Self { settings, state, now_ms: 1_000_000, desired }
    }

    fn tick(&mut self, seen: Observed) -> Decision {
        self.now_ms += 1000;
        let seen = Observed { ready: self.desired.saturating_sub(seen.starting), ..seen };
        let decision = decide(&seen, &self.settings, &mut self.state, self.now_ms);
        self.desired = decision.desired;
        decision
    }

    /// Ticks until the number changes; the seconds it took.
    fn seconds_until_change(&mut self, seen: Observed, most: u64) -> u64 {
        (1..=most).find(|_| self.tick(seen).step != Step::Stay).unwrap_or(u64::MAX)
    }
}

fn work(waiting: f64, in_flight: f64, arrivals_per_s: f64) -> Observed {
    Observed {
        waiting: Some(waiting),
        in_flight: Some(in_flight),
        arrivals_per_s: Some(arrivals_per_s),
        ..Observed::default()
    }
}

fn at_cpu(percent: f64, ready: u32) -> Observed {
    Observed { cpu: Some(Cpu { percent, reporting: ready }), ..work(0.0, 1.0, 1.0) }
}

fn app() -> Settings {
    Settings { max: 100, ..Settings::default() }
}

fn runs() -> Settings {
    Settings { max: 100, ..Settings::for_runs() }
}

#[test]
fn a_busy_processor_scales_out_at_once_in_proportion_and_says_why() {
    let decision = Group::of(app(), 4).tick(at_cpu(75.0, 4));
    assert_eq!((decision.step, decision.desired), (Step::Out, 6));
    assert_eq!(decision.reason, "cpu asks for 6: 4 ready at 75 % of 50 %");
}

#[test]
fn a_ratio_near_its_target_changes_nothing() {
    for percent in [46.0, 50.0, 54.0] {
        assert_eq!(Group::of(app(), 4).tick(at_cpu(percent, 4)).desired, 4);
    }
}

#[test]
fn silent_instances_used_nothing_for_more_and_all_of_it_for_fewer() {
    assert_eq!(Group::of(app(), 4).tick(at_cpu(100.0, 3)).desired, 6);
    assert_eq!(Group::of(app(), 4).tick(at_cpu(60.0, 2)).desired, 4, "60 of 2 is 30 of 4: nobody knows");
    let mut group = Group::of(Settings { in_hold_ms: 0, ..app() }, 4);
    assert_eq!(group.tick(at_cpu(10.0, 2)).desired, 3, "10, 10, 50, 50");
}

#[test]
fn scaling_in_waits_for_the_hold_and_then_goes_by_half() {
    let mut group = Group::of(app(), 40);
    let seconds = (1..200).find(|_| group.tick(at_cpu(1.0, group.desired)).step == Step::In);
    assert_eq!(seconds, Some(91), "the first tick only says what time it is");
    assert_eq!(group.desired, 20);
    let again = (1..200).find(|_| group.tick(at_cpu(1.0, group.desired)).step == Step::In);
    assert_eq!((again, group.desired), (Some(60), 10));
}

#[test]
fn several_policies_go_out_if_any_asks_and_in_only_if_all_agree() {
    let settings = Settings { policies: vec![Policy::Cpu(50.0), Policy::InFlight(2.0)], in_hold_ms: 0, ..app() };
    let seen = |percent, in_flight| Observed { in_flight: Some(in_flight), ..at_cpu(percent, 4) };
    assert_eq!(Group::of(settings.clone(), 4).tick(seen(10.0, 12.0)).desired, 6);
    assert_eq!(Group::of(settings.clone(), 4).tick(seen(10.0, 8.0)).desired, 4);
    assert_eq!(Group::of(settings, 4).tick(seen(10.0, 3.0)).desired, 2);
}

#[test]
fn a_lost_sensor_holds_and_the_others_still_scale_out() {
    let settings = Settings { policies: vec![Policy::Cpu(50.0), Policy::InFlight(2.0)], in_hold_ms: 0, ..app() };
    let blind = Observed { in_flight: Some(2.0), waiting: Some(0.0), ..Observed::default() };
    let decision = Group::of(settings.clone(), 4).tick(blind);
    assert_eq!(decision.desired, 4);
    assert!(decision.reason.contains("cpu sees nothing"), "{}", decision.reason);
    let with_sight = Observed { cpu: Some(Cpu { percent: 1.0, reporting: 4 }), ..blind };
    assert_eq!(Group::of(settings.clone(), 4).tick(with_sight).desired, 2, "the same, seen, goes in");
    assert_eq!(Group::of(settings, 4).tick(Observed { in_flight: Some(20.0), ..blind }).desired, 10);
}

#[test]
fn nothing_is_scaled_in_while_instances_start_but_not_for_ever() {
    let mut group = Group::of(app(), 4);
    assert_eq!(group.tick(at_cpu(100.0, 4)).desired, 8);
    let starting = Observed { starting: 1, ..at_cpu(1.0, 7) };
    let waited = group.seconds_until_change(starting, 1000);
    assert_eq!(waited, 300, "an instance that never gets ready holds the others for five minutes");
}

#[test]
fn a_drained_burst_goes_in_at_the_next_tick() {
    let mut group = Group::of(runs(), 1);
    assert_eq!(group.tick(work(100.0, 5.0, 100.0)).desired, 20);
    let decision = group.tick(work(0.0, 0.0, 0.0));
    assert_eq!((decision.step, decision.desired), (Step::In, 1));
    assert!(decision.reason.starts_with("drained"));
}

#[test]
fn a_square_wave_of_bursts_does_not_flap() {
    let changes = |settings| {
        let mut group = Group::of(settings, 1);
        let ticks = (0..1200u32).map(|second| match second / 15 % 2 {
            0 => group.tick(work(20.0, 20.0, 20.0)).step,
            _ => group.tick(work(0.0, 0.0, 0.0)).step,
        });
        ticks.filter(|step| *step != Step::Stay).count()
    };
    assert!(changes(runs()) <= 8, "{}", changes(runs()));
    // Without patience every wave is followed: the hold is what keeps it calm.
    assert!(changes(Settings { in_hold_ms: 0, ..runs() }) >= 40);
}

#[test]
fn workers_that_hold_a_job_stay_and_the_others_go_when_it_is_drained() {
    let mut group = Group::of(runs(), 20);
    let decision = group.tick(work(0.0, 3.0, 0.0));
    assert_eq!((decision.desired, decision.step), (3, Step::In));
    assert_eq!(decision.reason, "drained: nothing waits, 3 hold something, 0 are kept busy by what arrives");
    let two_each = Observed { holding: Some(2), ..work(0.0, 4.0, 0.0) };
    assert_eq!(Group::of(runs(), 20).tick(two_each).desired, 2, "as told, where it is told");
    assert_eq!(Group::of(runs(), 20).tick(work(1.0, 3.0, 0.0)).desired, 20, "something waits");
    assert_eq!(Group::of(app(), 20).tick(work(0.0, 3.0, 0.0)).desired, 20, "an app is none");
}

#[test]
fn backlog_per_instance_is_visible_by_in_service_and_says_so() {
    let decision = Group::of(runs(), 4).tick(work(60.0, 4.0, 0.0));
    assert_eq!((decision.step, decision.desired), (Step::Out, 12));
    assert_eq!(
        decision.reason,
        "backlog_per_instance asks for 12: ApproximateNumberOfMessagesVisible 60 ÷ InServiceInstances 4 is 15.0, of 5.0"
    );
    assert_eq!(Group::of(runs(), 4).tick(work(12.0, 40.0, 0.0)).desired, 4, "what is in flight is not backlog");
    assert_eq!(Settings::for_runs().policies, [Policy::BacklogPerInstance(5.0)]);
}

#[test]
fn with_none_in_service_the_backlog_is_as_ones() {
    let wake = |visible| {
        let mut group = Group::of(Settings { min: 0, ..runs() }, 0);
        group.tick(work(visible, 0.0, 0.0))
    };
    assert_eq!((wake(0.0).desired, wake(1.0).desired, wake(5.0).desired, wake(6.0).desired), (0, 1, 1, 2));
    let decision = wake(3.0);
    assert!(decision.reason.ends_with("3 ÷ InServiceInstances 0 is 3.0, of 5.0"), "{}", decision.reason);
}

#[test]
fn between_half_the_target_and_the_target_nothing_changes() {
    let settings = || Settings { in_hold_ms: 0, drained: Drained::Hold, ..runs() };
    for (visible, desired) in [(19.0, 5), (25.0, 10), (50.0, 10), (51.0, 11)] {
        assert_eq!(Group::of(settings(), 10).tick(work(visible, 0.0, 0.0)).desired, desired, "{visible}");
    }
}

/// A burst of tasks of some milliseconds: a surge, over before what it started is ready, and somebody goes on sending one now and then.
#[test]
fn a_burst_of_micro_tasks_is_over_at_the_next_tick_whatever_it_was() {
    let micro =
        |waiting, arrivals| Observed { service_s: Some(0.010), boot_s: Some(1.0), ..work(waiting, 0.0, arrivals) };
    let mut group = Group::of(runs(), 1);
    for _ in 0..60 {
        assert_eq!(group.tick(micro(0.0, 1.0)).desired, 1);
    }
    assert!(group.tick(micro(300.0, 1000.0)).desired >= 60);
    let decision = group.tick(Observed { starting: 50, ..micro(0.0, 1.0) });
    assert_eq!((decision.step, decision.desired), (Step::In, 1), "{}", decision.reason);
    // What comes in for good is no burst.
    let mut group = Group::of(runs(), 20);
    assert_eq!(group.tick(micro(0.0, 400.0)).desired, 5, "400 a second of 10 ms, with a fifth to spare");
}

#[test]
fn the_last_instance_goes_after_idle_and_grace_and_comes_back_for_the_first_request() {
    let mut group = Group::of(Settings { min: 0, policies: vec![Policy::InFlight(10.0)], ..app() }, 1);
    group.tick(work(0.0, 1.0, 1.0));
    assert_eq!(group.seconds_until_change(work(0.0, 0.0, 0.0), 1000), 91);
    assert_eq!(group.desired, 0);
    let woken = group.tick(work(1.0, 0.0, 1.0));
    assert_eq!((woken.step, woken.desired), (Step::Out, 1));
}

#[test]
fn what_came_before_it_was_idle_keeps_nothing_awake_and_wakes_nothing() {
    let settings = Settings { min: 0, idle_ms: 5000, idle_grace_ms: 0, in_hold_ms: 5000, ..app() };
    let seen = |rate, percent| Observed { arrivals_per_s: Some(rate), ..at_cpu(percent, 1) };
    let mut group = Group::of(settings, 1);
    for _ in 0..60 {
        group.tick(Observed { waiting: Some(0.0), in_flight: Some(0.0), ..seen(0.0, 0.0) });
    }
    for _ in 0..10 {
        group.tick(Observed { waiting: Some(0.0), in_flight: Some(1.0), ..seen(4.0, 20.0) });
    }
    assert!(group.desired >= 1);
    let idle = Observed { waiting: Some(0.0), in_flight: Some(0.0), ..seen(0.0, 0.0) };
    while group.desired > 1 {
        group.tick(idle);
    }
    assert!(group.seconds_until_change(idle, 100) <= 6, "{}", group.desired);
    let asleep = Observed { cpu: None, ..idle };
    assert_eq!((group.desired, group.seconds_until_change(asleep, 100)), (0, u64::MAX));
    let woken = group.tick(Observed { waiting: Some(1.0), ..asleep });
    assert_eq!((woken.desired, woken.reason.as_str()), (1, "requests came while none was there"));
}

/// A server's own timers, and the last instance while it drains, are no reason to run.
#[test]
fn what_is_used_though_nobody_asks_keeps_nothing_awake_and_wakes_nothing() {
    let settings = Settings { min: 0, idle_ms: 5000, idle_grace_ms: 0, in_hold_ms: 5000, ..app() };
    let idle = Observed { arrivals_per_s: Some(0.0), waiting: Some(0.0), in_flight: Some(0.0), ..at_cpu(0.1, 1) };
    let mut group = Group::of(settings, 1);
    assert!(group.seconds_until_change(idle, 100) <= 7, "{}", group.desired);
    assert_eq!((group.desired, group.seconds_until_change(idle, 100)), (0, u64::MAX), "it drains, and is still seen");
}

#[test]
fn a_few_requests_tell_nothing_of_what_one_costs() {
    let settings = app();
    let mut group = Group::of(settings, 1);
    for second in 0..120 {
        // Two requests, and timers.
        let rate = if second == 10 { 2.0 } else { 0.0 };
        group.tick(Observed { arrivals_per_s: Some(rate), ..at_cpu(2.0, 1) });
    }
    for _ in 0..5 {
        group.tick(Observed { arrivals_per_s: Some(50.0), ..at_cpu(4.0, 1) });
    }
    assert_eq!(group.desired, 1);
}

#[test]
fn a_burst_that_was_worked_off_is_not_expected_once_more() {
    let seen = |waiting, in_flight, rate| Observed {
        service_s: Some(0.3),
        boot_s: Some(1.0),
        holding: Some(0),
        ..work(waiting, in_flight, rate)
    };
    let mut group = Group::of(runs(), 1);
    group.tick(seen(0.0, 0.0, 0.0));
    group.tick(seen(300.0, 4.0, 300.0));
    assert!(group.desired >= 60, "{}", group.desired);
    group.tick(seen(20.0, 4.0, 0.0));
    let drained = group.tick(seen(0.0, 0.0, 0.0));
    assert_eq!((drained.step, drained.desired), (Step::In, 1), "{}", drained.reason);
    assert_eq!(group.seconds_until_change(seen(0.0, 0.0, 0.0), 200), u64::MAX);
}

#[test]
fn a_surge_is_anticipated_before_the_backlog_is_there() {
    let seen = |rate| Observed { service_s: Some(2.0), boot_s: Some(20.0), ..work(0.0, 4.0, rate) };
    let mut group = Group::of(runs(), 5);
    for _ in 0..120 {
        group.tick(seen(2.0));
    }
    assert_eq!(group.desired, 5, "2 a second of 2 s, with a fifth to spare");
    for _ in 0..5 {
        group.tick(seen(20.0));
    }
    assert!(group.desired >= 50, "{}", group.desired);
}

#[test]
fn what_a_request_costs_is_known_where_a_full_processor_says_nothing() {
    let mut group = Group::of(app(), 4);
    for _ in 0..120 {
        group.tick(Observed { arrivals_per_s: Some(10.0), ..at_cpu(50.0, 4) });
    }
    for _ in 0..5 {
        group.tick(Observed { arrivals_per_s: Some(100.0), ..at_cpu(100.0, 4) });
    }
    assert!((38..=42).contains(&group.desired), "{}", group.desired);
}

#[test]
fn a_number_set_by_hand_is_where_scaling_goes_on() {
    let mut group = Group::of(app(), 4);
    group.state.set_desired(30);
    group.desired = 30;
    let decision = group.tick(at_cpu(1.0, 30));
    assert_eq!((decision.from, decision.desired), (30, 30));
    assert!(decision.reason.contains("30 were wanted in the last 90 s"), "{}", decision.reason);
}
