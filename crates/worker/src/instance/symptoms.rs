//! Why an instance does not answer, as far as its processes show it. Pure.

use skylift_sandbox::{Condition, Listener};

/// So many that nobody waits for are worth a word.
const ZOMBIES_MANY: usize = 16;

/// What stands out of how the processes of an instance fare; empty where nothing does.
pub(super) fn words(condition: &Condition) -> String {
    let mut found = Vec::new();
    match condition.listeners.as_slice() {
        [] => found.push("nothing listens on PORT".to_owned()),
        all => found.extend(all.iter().find_map(trouble).or_else(|| all.first().map(listens))),
    }
    if condition.zombies >= ZOMBIES_MANY {
        found.push(format!("{} of its processes have ended and nobody waits for them", condition.zombies));
    }
    found.join("; ")
}

fn trouble(one: &Listener) -> Option<String> {
    let name = &one.name;
    if one.is_stopped {
        return Some(format!("`{name}`, which listens on PORT, was stopped by a signal"));
    }
    let most = one.files_max.filter(|most| one.files >= *most)?;
    Some(format!("`{name}`, which listens on PORT, has all {most} files and connections open that it may have"))
}

fn listens(one: &Listener) -> String {
    format!("`{}` listens on PORT", one.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(is_stopped: bool, files: usize, zombies: usize) -> String {
        let one = Listener { name: "node".to_owned(), is_stopped, files, files_max: Some(1024) };
        words(&Condition { listeners: vec![one], zombies })
    }

    #[test]
    fn what_stands_out_is_named_and_else_who_holds_the_port() {
        assert_eq!(check(true, 20, 0), "`node`, which listens on PORT, was stopped by a signal");
        assert_eq!(
            check(false, 1024, 2),
            "`node`, which listens on PORT, has all 1024 files and connections open that it may have"
        );
        assert_eq!(
            check(false, 20, 50),
            "`node` listens on PORT; 50 of its processes have ended and nobody waits for them"
        );
        assert_eq!(words(&Condition::default()), "nothing listens on PORT");
    }
}
