//! What an instance is an instance of, and what follows from that. Pure.

use skylift_log::Keep;
use skylift_model::Program;
use skylift_model::program::{RELEASE, WEB};
use skylift_store::InstanceRow;

/// What an instance is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It answers requests: probed, and reached through a door.
    Web,
    /// Another process of the Procfile: nobody speaks to it.
    Worker,
    /// A release command: it is to come to an end, in time.
    Release,
    /// A command of its owner's, once: it is to come to an end, too.
    OneOff,
}

impl Kind {
    pub(crate) fn of(row: &InstanceRow) -> Self {
        if row.command.is_some() {
            return Self::OneOff;
        }
        match row.process.as_str() {
            WEB => Self::Web,
            RELEASE => Self::Release,
            _ => Self::Worker,
        }
    }

    /// Whether it does its work by coming to an end.
    pub(crate) fn is_to_end(self) -> bool {
        matches!(self, Self::Release | Self::OneOff)
    }

    /// What is kept of what it prints: of a release command what would be of a build, of the others the end.
    pub(crate) fn keep(self) -> Keep {
        if self == Self::Release { Keep::First } else { Keep::Last }
    }
}

/// What an instance runs: a line that is for a shell, or words. `None` where its program has no such process.
pub(crate) fn command<'p>(program: &'p Program, row: &'p InstanceRow) -> Option<Command<'p>> {
    let line = match Kind::of(row) {
        Kind::Web => Some(&program.web),
        Kind::Release => program.release.as_ref(),
        Kind::Worker => program.others.get(&row.process),
        Kind::OneOff => match row.command.as_deref() {
            Some([line]) => Some(line),
            words => return words.map(Command::Words),
        },
    };
    line.map(|line| Command::Line(line))
}

/// What is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command<'p> {
    /// As it would be typed.
    Line(&'p str),
    /// A program and its arguments, as they are.
    Words(&'p [String]),
}

impl std::fmt::Display for Command<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(line) => f.write_str(line),
            Self::Words(words) => f.write_str(&words.join(" ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use skylift_model::{DeploymentId, InstanceId, InstanceState, Timestamp};

    use super::*;

    fn row(process: &str, command: Option<&[&str]>) -> InstanceRow {
        let now = Timestamp::from_millis(1);
        InstanceRow {
            id: InstanceId::new(now, 1),
            app: "shop".parse().unwrap(),
            deployment: DeploymentId::new(now, 1),
            node: "n".to_owned(),
            state: InstanceState::Starting,
            serves: false,
            process: process.to_owned(),
            created_at: now,
            ready_at: None,
            ended_at: None,
            reason: None,
            exit_code: None,
            template: None,
            unhealthy_since: None,
            command: command.map(|words| words.iter().map(|&word| word.to_owned()).collect()),
        }
    }

    #[test]
    fn each_process_has_its_line_and_one_word_of_an_owner_is_a_line_too() {
        let program: Program = serde_json::from_value(serde_json::json!({
            "files": skylift_model::Digest::of(b""), "folder": "", "web": "w", "release": "r", "others": { "run": "o" }
        }))
        .unwrap();
        let told = |process, words| command(&program, &row(process, words)).map(|command| format!("{command:?}"));
        assert_eq!(told("web", None).unwrap(), "Line(\"w\")");
        assert_eq!(told("release", None).unwrap(), "Line(\"r\")");
        assert_eq!(told("run", None).unwrap(), "Line(\"o\")");
        assert_eq!(told("gone", None), None);
        assert_eq!(told("run", Some(&["ls | wc"])).unwrap(), "Line(\"ls | wc\")");
        assert_eq!(told("run", Some(&["ls", "a b"])).unwrap(), "Words([\"ls\", \"a b\"])");
    }
}
