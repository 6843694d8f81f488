//! What is written of a run where there is no room for all of it. Pure.

use skylift_model::run::{Ending, Step};

/// How many bytes of output are kept of one run, of all its starts together: with the rest of it they ride in its row.
const OUTPUT_BYTES_MAX: usize = 24 << 10;

/// The same with the beginning of each output alone, and without files; what was left out is told as cut.
pub(crate) fn shortened(mut ending: Ending) -> Ending {
    let steps = ending.steps.len() + usize::from(ending.compile.is_some());
    let bytes = OUTPUT_BYTES_MAX / (2 * steps.max(1));
    let compiled = ending.compile.iter_mut().map(|compiled| &mut compiled.step);
    for step in ending.steps.iter_mut().chain(compiled) {
        shorten(step, bytes);
    }
    ending.files_truncated |= !ending.files.is_empty();
    ending.files.clear();
    ending
}

fn shorten(step: &mut Step, bytes: usize) {
    let streams = [(&mut step.stdout, &mut step.stdout_truncated), (&mut step.stderr, &mut step.stderr_truncated)];
    for (stream, is_cut) in streams {
        *is_cut |= stream.len() > bytes;
        stream.truncate(bytes);
    }
}
