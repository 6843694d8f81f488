use clap::CommandFactory;

use super::*;

#[test]
fn the_definition_of_the_command_line_is_consistent() {
    CommandLine::command().debug_assert();
}
