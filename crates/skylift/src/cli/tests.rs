use clap::CommandFactory;

use super::*;

#[test]
fn the_definition_of_the_command_line_is_consistent() {
    CommandLine::command().debug_assert();
}

/// Names of all commands, below `name`.
fn commands(name: &str, command: &clap::Command, found: &mut Vec<String>) {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help") {
        let name = format!("{name} {}", below.get_name());
        commands(&name, below, found);
        found.push(name);
    }
}

#[test]
fn every_command_and_flag_is_documented() {
    let page = include_str!("../../../../docs/cli.md");
    let mut found = Vec::new();
    commands("skylift", &CommandLine::command(), &mut found);
    assert!(found.len() > 20);
    for name in found {
        // What is done with an app may be named behind it.
        let behind = name.rsplit_once(' ').map(|(before, verb)| format!("`{before} APP {verb}"));
        let is_there = page.contains(&format!("`{name}")) || behind.is_some_and(|behind| page.contains(&behind));
        assert!(is_there, "docs/cli.md does not mention `{name}`");
    }
    for command in CommandLine::command().get_subcommands() {
        for flag in command.get_arguments().filter_map(|argument| argument.get_long()) {
            assert!(page.contains(&format!("--{flag}")), "docs/cli.md: {} --{flag}", command.get_name());
        }
    }
}

#[test]
fn every_exit_code_is_documented() {
    let page = include_str!("../../../../docs/cli.md");
    for line in include_str!("exit.rs").lines().filter_map(|line| line.strip_prefix("pub(crate) const ")) {
        let code = line.rsplit("= ").next().unwrap().trim_end_matches(';');
        assert!(page.contains(&format!("| {code} |")), "docs/cli.md does not list exit code {code}");
    }
}

#[test]
fn up_takes_the_global_data_folder() {
    let arguments = ["skylift", "up", "--data", "/srv", "--listen", "0.0.0.0:80", "--domain", "example.com"];
    let Ok(CommandLine { command: Command::Up(up), .. }) = parse(arguments.map(OsString::from)) else {
        panic!("`up` is a command");
    };
    assert_eq!(up.data.as_deref(), Some(Path::new("/srv")));
    assert_eq!(up.listen.map(|address| address.port()), Some(80));
}
