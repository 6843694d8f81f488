use serde_json::json;
use skylift_model::run::Usage;

use super::*;

fn note(more: &serde_json::Value) -> Note {
    let mut note = json!({
        "language_id": 71, "has_stdin": false, "expected_output": null, "number_of_runs": 1, "cpu_time_limit": 5.0,
        "cpu_extra_time": 1.0, "wall_time_limit": 10.0, "memory_limit": 1, "stack_limit": 1, "processes": 1,
        "max_file_size": 1, "compiler_options": null, "command_line_arguments": null,
        "redirect_stderr_to_stdout": false, "callback_url": null,
    });
    note.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(note).unwrap()
}

fn step(status: RunStatus) -> Step {
    Step {
        status,
        stdout: b"42\n".to_vec(),
        usage: Usage { cpu_us: 2_000, wall_us: 3_000, peak_memory_bytes: 2048 },
        ..Step::exited(0)
    }
}

fn ending(steps: Vec<Step>) -> Ending {
    Ending::of_steps(steps, "1")
}

fn judged(expected: &str, printed: &str) -> u8 {
    let note = note(&json!({ "expected_output": super::super::submission::encode(expected.as_bytes()) }));
    let step = Step { stdout: printed.as_bytes().to_vec(), ..step(RunStatus::Ok) };
    Verdict::of_ending(&note, &ending(vec![step])).status
}

#[test]
fn blanks_at_the_ends_of_lines_do_not_make_an_answer_wrong() {
    for (expected, printed) in
        [("42", "42\n"), ("42\n", "42"), ("a \nb\t\n\n", "a\nb"), ("a\r\nb", "a\nb\n"), ("", ""), ("a\n\nb", "a\n\nb")]
    {
        assert_eq!(judged(expected, printed), status::ACCEPTED, "{expected:?} {printed:?}");
    }
    for (expected, printed) in [("42", "43"), (" 42", "42"), ("a\nb", "a b"), ("a\n\nb", "a\nb"), ("", "x"), ("x", "")]
    {
        assert_eq!(judged(expected, printed), status::WRONG, "{expected:?} {printed:?}");
    }
}

#[test]
fn every_end_has_its_number() {
    let signal = |signal| Step { signal: Some(signal), exit_code: Some(128 + signal), ..step(RunStatus::Signal) };
    let exits = Step { exit_code: Some(3), ..step(RunStatus::ExitNonzero) };
    let slow = Step { usage: Usage { cpu_us: 5_000_001, ..Usage::default() }, ..step(RunStatus::Ok) };
    for (step, status, message, exit_code, exit_signal) in [
        (step(RunStatus::Ok), 3, None, 0, None),
        (slow, 5, Some("Time limit exceeded"), 0, None),
        (step(RunStatus::CpuLimit), 5, Some("Time limit exceeded"), 0, None),
        (step(RunStatus::TimeLimit), 5, Some("Time limit exceeded (wall clock)"), 0, None),
        (signal(11), 7, Some("Caught fatal signal 11"), 0, Some(11)),
        (signal(25), 8, Some("Caught fatal signal 25"), 0, Some(25)),
        (step(RunStatus::OutputLimit), 8, Some("Caught fatal signal 25 (output limit exceeded)"), 0, Some(25)),
        (signal(8), 9, Some("Caught fatal signal 8"), 0, Some(8)),
        (signal(6), 10, Some("Caught fatal signal 6"), 0, Some(6)),
        (exits, 11, Some("Exited with error status 3"), 3, None),
        (signal(15), 12, Some("Caught fatal signal 15"), 0, Some(15)),
        (step(RunStatus::MemoryLimit), 12, Some("Caught fatal signal 9 (memory limit exceeded)"), 0, Some(9)),
        (step(RunStatus::Internal), 13, None, 0, None),
    ] {
        let told = Verdict::of_ending(&note(&json!({})), &ending(vec![step]));
        assert_eq!((told.status, told.message.as_deref()), (status, message));
        assert_eq!((told.exit_code, told.exit_signal), (Some(exit_code), exit_signal));
        assert_eq!(told.stdout.as_deref(), Some(&b"42\n"[..]), "what was printed is there whatever the end");
    }
}

#[test]
fn what_does_not_compile_says_why_and_what_does_may_warn() {
    let complains = Step { stderr: b"warning".to_vec(), stdout: Vec::new(), ..step(RunStatus::Ok) };
    let with = |status, steps| Ending {
        compile: Some(Compiled { step: Step { status, ..complains.clone() }, cached: false }),
        ..ending(steps)
    };
    let note = note(&json!({}));
    let failed = Verdict::of_ending(&note, &with(RunStatus::ExitNonzero, Vec::new()));
    assert_eq!((failed.status, failed.compile_output.as_deref()), (6, Some(&b"warning"[..])));
    assert_eq!((failed.stdout, failed.time_us, failed.exit_code), (None, None, None));
    let late = Verdict::of_ending(&note, &with(RunStatus::TimeLimit, Vec::new()));
    assert_eq!(late.compile_output.as_deref(), Some(&b"Compilation time limit exceeded."[..]));
    let fine = Verdict::of_ending(&note, &with(RunStatus::Ok, vec![step(RunStatus::Ok)]));
    assert_eq!((fine.status, fine.compile_output.as_deref()), (3, Some(&b"warning"[..])));
    assert_eq!(Verdict::of_ending(&note, &ending(Vec::new())).status, status::INTERNAL);
}

#[test]
fn of_several_runs_the_first_that_is_not_accepted_is_told_and_times_are_averages() {
    let usage = |cpu_us, kb: u64| Usage { cpu_us, wall_us: 1, peak_memory_bytes: kb * 1024 };
    let used = |status, usage| Step { usage, ..step(status) };
    let steps = vec![
        used(RunStatus::Ok, usage(1_000, 10)),
        used(RunStatus::ExitNonzero, usage(3_000, 30)),
        used(RunStatus::Ok, usage(90_000, 900)),
    ];
    let told = Verdict::of_ending(&note(&json!({})), &ending(steps));
    assert_eq!((told.status, told.time_us, told.memory_kb), (11, Some(2_000), Some(20)));
}

#[test]
fn what_is_complained_goes_with_what_is_printed_where_that_is_asked_for() {
    let both = Step { stderr: b"no\n".to_vec(), ..step(RunStatus::Ok) };
    let apart = Verdict::of_ending(&note(&json!({})), &ending(vec![both.clone()]));
    assert_eq!((apart.stdout.as_deref(), apart.stderr.as_deref()), (Some(&b"42\n"[..]), Some(&b"no\n"[..])));
    let together = note(&json!({ "redirect_stderr_to_stdout": true }));
    let told = Verdict::of_ending(&together, &ending(vec![both]));
    assert_eq!((told.stdout.as_deref(), told.stderr), (Some(&b"42\nno\n"[..]), None));
}
