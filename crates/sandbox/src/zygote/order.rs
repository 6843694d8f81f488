//! An order in the words of a payload that waits: fields that end with a NUL each, which none of them can hold.

use crate::control::Fallback;
use crate::spawn::fallback;
use crate::spec::Order;

/// Limits of the process, the folder to start in, how many arguments, those, and then `name=value` of the environment.
pub(super) fn words(order: &Order) -> Vec<u8> {
    let Order { argv, env, cwd, limits } = order;
    let processes = match fallback() {
        Fallback::None => String::new(),
        Fallback::CountByUser => limits.pids.to_string(),
    };
    let mut words = Vec::with_capacity(1024);
    let mut say = |word: &str| {
        // What holds a NUL would be taken for two, so the rest of it is left out, as the kernel would.
        words.extend(word.split('\0').next().unwrap_or_default().as_bytes());
        words.push(0);
    };
    for number in [limits.file_bytes.to_string(), limits.open_files.to_string(), processes] {
        say(&number);
    }
    say(&cwd.to_string_lossy());
    say(&argv.len().to_string());
    argv.iter().for_each(|word| say(word));
    env.iter().for_each(|(name, value)| say(&format!("{name}={value}")));
    words
}
