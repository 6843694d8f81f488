//! `skylift languages`: what code can be written in here.

use clap::Args;
use skylift_model::run::Warmth;
use skylift_model::wire::{Language, LanguageList, PackageSet};

use super::Context;
use super::output::say;
use super::problem::Problem;
use super::table::table;

/// List the languages that code can be run in, and the sets of packages
#[derive(Args)]
pub(crate) struct LanguagesArgs {}

pub(super) async fn run(_: LanguagesArgs, context: &Context) -> Result<(), Problem> {
    let list = context.client()?.languages().await?;
    if list.languages.is_empty() {
        say("no language was found where runs are run: install one, such as `python3`, and start the platform again");
    }
    context.output.result(&list, whole)
}

fn whole(list: &LanguageList) -> String {
    table(["LANGUAGE", "VERSION", "ALSO CALLED", "ITS FILE", "INTERPRETER", "PACKAGES"], list.languages.iter().map(row))
}

fn row(language: &Language) -> [String; 6] {
    let waits = match language.start {
        Some(Warmth::Fork) => "loaded, to be forked",
        Some(Warmth::Prestarted) => "started ahead",
        Some(Warmth::Pool | Warmth::Cold) | None => "-",
    };
    let packages: Vec<String> = language.package_sets.iter().map(|PackageSet { name, .. }| name.clone()).collect();
    let or_none = |list: String| if list.is_empty() { "-".to_owned() } else { list };
    [
        language.name.clone(),
        language.version.clone(),
        or_none(language.aliases.join(", ")),
        language.file_name.clone(),
        waits.to_owned(),
        or_none(packages.join(", ")),
    ]
}
