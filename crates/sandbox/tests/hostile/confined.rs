//! A payload runs, and how it ended is told.

use skylift_sandbox::{Exit, Spec, spawn};

#[test]
fn a_program_runs_and_its_exit_code_is_told() {
    for (program, code) in [("/bin/true", 0), ("/bin/false", 1)] {
        let outcome = spawn(&Spec::new([program])).unwrap().wait().unwrap();
        assert_eq!(outcome.exit, Exit::Code(code));
    }
}
