//! What a zygote of Node forks into a sandbox is as confined as what is executed there, and as ordinary a program.

use crate::cells::{Forks, cell};

#[test]
fn hello() {
    let forks = Forks::node(cell());
    for _ in 0..3 {
        let ended = forks.run("console.log(40 + 2, Math.random(), process.pid)");
        println!("{:?} {}", ended.outcome, ended.said);
    }
    panic!();
}
