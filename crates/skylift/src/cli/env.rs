//! `skylift env`: an app's environment variables. Values go in and never come out.

use std::collections::BTreeMap;
use std::io::Read;

use clap::{Args, Subcommand};
use skylift_model::wire::{EnvChange, EnvList};
use skylift_model::{AppName, EnvName};

use super::Context;
use super::output::say;
use super::problem::Problem;
use super::quantity::{ago, now};
use super::standing::Standing;
use super::table::table;

/// Set, remove and list an app's environment variables
#[derive(Args)]
pub(crate) struct EnvArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Set variables; instances are replaced one by one, builds have them from the next deploy on
    Set {
        /// The app
        app: AppName,
        /// What to set; `NAME=-` reads the value from standard input, where no list of processes shows it
        #[arg(required = true, value_name = "NAME=VALUE")]
        variables: Vec<String>,
    },
    /// Remove variables
    Unset {
        /// The app
        app: AppName,
        /// What to remove
        #[arg(required = true, value_name = "NAME")]
        names: Vec<EnvName>,
    },
    /// List the names of variables
    Ls {
        /// The app
        app: AppName,
    },
}

pub(super) async fn run(args: EnvArgs, context: &Context) -> Result<(), Problem> {
    let (app, change) = match args.verb {
        Verb::Ls { app } => return show(&context.client()?.env(&app).await?, context),
        Verb::Set { app, variables } => (app, EnvChange { set: parse(&variables, read_stdin)?, unset: Vec::new() }),
        Verb::Unset { app, names } => (app, EnvChange { set: BTreeMap::new(), unset: names }),
    };
    let client = context.client()?;
    let list = client.change_env(&app, &change).await?;
    let standing = Standing::of(&client, &app).await.unwrap_or(Standing::Runs);
    say(&format!("version {} of {app}'s environment; {}", list.version, who_has_it(&app, standing)));
    show(&list, context)
}

fn show(list: &EnvList, context: &Context) -> Result<(), Problem> {
    if list.variables.is_empty() {
        say("no variables are set; `skylift env set APP NAME=VALUE` sets one");
    }
    context.output.result(list, |list| {
        let rows = list.variables.iter().map(|variable| [variable.name.to_string(), ago(variable.updated_at, now())]);
        table(["NAME", "SET"], rows)
    })
}

/// Who has what was set, and when.
fn who_has_it(app: &AppName, standing: Standing) -> String {
    let builds = "builds have it from the next deploy on";
    match standing {
        Standing::Undeployed => "the first deploy has it".to_owned(),
        Standing::Site => format!("{app} is a site without instances; {builds}"),
        Standing::Stopped => {
            format!("{app} is stopped: instances have it once `skylift scale {app} 1` starts it; {builds}")
        }
        Standing::Asleep => format!("{app} sleeps: the instance that the next request starts has it; {builds}"),
        Standing::Runs => {
            format!(
                "instances are being replaced by ones that have it, `skylift ps {app}` shows how far that is; {builds}"
            )
        }
    }
}

fn parse(
    variables: &[String],
    read_stdin: impl Fn() -> Result<String, Problem>,
) -> Result<BTreeMap<EnvName, String>, Problem> {
    let mut set = BTreeMap::new();
    let mut is_stdin_read = false;
    for variable in variables {
        let Some((name, value)) = variable.split_once('=') else {
            // Not quoting it: it may be a value whose name was forgotten.
            return Err(Problem::usage("each variable is given as NAME=VALUE"));
        };
        let name: EnvName =
            name.parse().map_err(|error: skylift_model::name::InvalidName| Problem::usage(error.to_string()))?;
        let value = match value {
            "-" if std::mem::replace(&mut is_stdin_read, true) => {
                return Err(Problem::usage("only one value can be read from standard input"));
            }
            "-" => read_stdin()?,
            value => value.to_owned(),
        };
        if set.insert(name.clone(), value).is_some() {
            return Err(Problem::usage(format!("{name} is given twice")));
        }
    }
    Ok(set)
}

/// All of standard input, without the line end that `echo` adds.
fn read_stdin() -> Result<String, Problem> {
    let mut text = String::new();
    std::io::stdin().lock().read_to_string(&mut text).map_err(|source| Problem::read("standard input", source))?;
    let text = text.strip_suffix('\n').map_or(&*text, |text| text.strip_suffix('\r').unwrap_or(text));
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[&str]) -> Result<String, String> {
        let variables: Vec<String> = variables.iter().map(|&variable| variable.to_owned()).collect();
        let set = parse(&variables, || Ok("from stdin".to_owned())).map_err(|problem| problem.to_string())?;
        Ok(set.iter().map(|(name, value)| format!("{name}:{value}")).collect::<Vec<_>>().join(","))
    }

    #[test]
    fn variables_are_names_and_values() {
        assert_eq!(read(&["B=1=2", "A="]).unwrap(), "A:,B:1=2");
        assert_eq!(read(&["KEY=-"]).unwrap(), "KEY:from stdin");
        assert!(read(&["A=1", "A=2"]).unwrap_err().contains("twice"));
        assert!(read(&["A=-", "B=-"]).unwrap_err().contains("only one"));
        assert!(read(&["1A=x"]).is_err());
    }

    #[test]
    fn nothing_is_said_to_be_replaced_where_nothing_runs() {
        let app = "shop".parse().unwrap();
        assert!(
            who_has_it(&app, Standing::Runs).contains("are being replaced by ones that have it, `skylift ps shop`")
        );
        for standing in [Standing::Undeployed, Standing::Site, Standing::Stopped, Standing::Asleep] {
            assert!(!who_has_it(&app, standing).contains("replaced"), "{standing:?}");
        }
    }

    #[test]
    fn a_value_without_a_name_is_not_repeated_in_the_error() {
        assert!(!read(&["hunter2"]).unwrap_err().contains("hunter2"));
    }
}
