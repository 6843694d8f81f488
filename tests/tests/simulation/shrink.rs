//! A history that fails, made as short as it still fails.

use crate::op::Op;

/// How often a shorter history is tried.
const ATTEMPTS: usize = 600;

/// Leaves out operations, many at once first, for as long as what is left still fails.
pub(crate) fn shrink(mut ops: Vec<Op>, fails: impl Fn(&[Op]) -> bool) -> Vec<Op> {
    let mut attempts = 0;
    let mut chunk = ops.len().div_ceil(2);
    while chunk > 0 && attempts < ATTEMPTS {
        let mut from = 0;
        let mut shorter = false;
        while from < ops.len() && attempts < ATTEMPTS {
            let without: Vec<Op> = ops.iter().take(from).chain(ops.iter().skip(from + chunk)).copied().collect();
            attempts += 1;
            if fails(&without) {
                ops = without;
                shorter = true;
            } else {
                from += chunk;
            }
        }
        if chunk > 1 || !shorter {
            chunk /= 2;
        }
    }
    ops
}

/// A history as it is written in a test.
pub(crate) fn as_rust(ops: &[Op]) -> String {
    let lines: Vec<String> = ops.iter().map(|op| format!("    Op::{op:?},\n")).collect();
    format!("let ops = [\n{}];", lines.concat())
}

#[test]
fn only_what_makes_it_fail_is_left() {
    let (one, other) = (Op::Deploy { app: 1, page: 2 }, Op::RollBack { app: 1 });
    let ops = [vec![Op::Commit; 20], vec![one], vec![Op::Reap; 30], vec![other], vec![Op::Look; 7]].concat();
    let fails = |ops: &[Op]| {
        let first = ops.iter().position(|op| *op == one);
        first.is_some_and(|first| ops[first..].contains(&other))
    };
    let shrunk = shrink(ops, fails);
    assert_eq!(shrunk, [one, other]);
    assert_eq!(as_rust(&shrunk), "let ops = [\n    Op::Deploy { app: 1, page: 2 },\n    Op::RollBack { app: 1 },\n];");
}
