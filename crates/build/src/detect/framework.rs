//! The Node frameworks that are known: by what each is recognised, how it builds, and where its result lies.
//!
//! Each framework's own reading of its configuration is one function in the modules below; it says whether the result
//! is files or a server.

mod angular;
mod generators;
mod meta;
mod single_page;

pub(crate) use single_page::routes_in_browser;

use super::error::DetectError;
use super::js_text::{JsText, Value};
use super::package_json::PackageJson;
use super::script::{self, Call};
use super::view::{View, join, resolve};

/// A value with where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sourced<T> {
    pub(crate) value: T,
    pub(crate) from: String,
}

impl<T> Sourced<T> {
    pub(crate) fn new(value: T, from: impl Into<String>) -> Self {
        Self { value, from: from.into() }
    }
}

/// The start of the `from` of a value that could not be read for certain.
pub(crate) const GUESS: &str = "guess";

/// What a framework's build leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Files in a folder, relative to the project's.
    Static { output: Sourced<String>, spa: Sourced<bool> },
    /// A program that listens; `from` is what says so. `start` starts what was built, where that is known.
    Server { from: String, start: Option<Sourced<String>> },
}

pub(crate) struct Framework {
    pub(crate) name: &'static str,
    /// The packages whose presence means it.
    packages: &'static [&'static str],
    /// The programs that build with it.
    programs: &'static [&'static str],
    /// Whether such a program means it even where `package.json` names no such package.
    program_alone: bool,
    /// Scripts that build with it, besides `build`.
    scripts: &'static [&'static str],
    /// What builds it where there is no script.
    pub(crate) command: &'static str,
    /// Whether it may be the client part of a server, so that a `start` script that runs one wins. Frameworks that know
    /// servers themselves say so in their configuration.
    start_wins: bool,
    outcome: fn(&Site<'_>) -> Result<Outcome, DetectError>,
}

/// In order: what builds on another framework stands before it.
const FRAMEWORKS: &[Framework] = &[
    Framework {
        name: "next",
        packages: &["next"],
        programs: &["next"],
        command: "next build",
        start_wins: false,
        outcome: meta::next,
        ..PLAIN
    },
    Framework {
        name: "nuxt",
        packages: &["nuxt", "nuxt3", "nuxt-edge"],
        programs: &["nuxt", "nuxi"],
        scripts: &["generate"],
        command: "nuxt build",
        start_wins: false,
        outcome: meta::nuxt,
        ..PLAIN
    },
    Framework {
        name: "sveltekit",
        packages: &["@sveltejs/kit"],
        programs: &["vite", "svelte-kit"],
        program_alone: false,
        command: "vite build",
        start_wins: false,
        outcome: meta::sveltekit,
        ..PLAIN
    },
    Framework {
        name: "astro",
        packages: &["astro"],
        programs: &["astro"],
        command: "astro build",
        start_wins: false,
        outcome: meta::astro,
        ..PLAIN
    },
    Framework {
        name: "react-router",
        packages: &["@react-router/dev"],
        programs: &["react-router"],
        command: "react-router build",
        start_wins: false,
        outcome: meta::react_router,
        ..PLAIN
    },
    Framework {
        name: "remix",
        packages: &["@remix-run/dev"],
        programs: &["remix"],
        command: "remix vite:build",
        start_wins: false,
        outcome: meta::remix,
        ..PLAIN
    },
    Framework {
        name: "gatsby",
        packages: &["gatsby"],
        programs: &["gatsby"],
        command: "gatsby build",
        outcome: generators::gatsby,
        ..PLAIN
    },
    Framework {
        name: "docusaurus",
        packages: &["@docusaurus/core"],
        programs: &["docusaurus"],
        command: "docusaurus build",
        outcome: generators::docusaurus,
        ..PLAIN
    },
    Framework {
        name: "angular",
        packages: &["@angular/core", "@angular/cli"],
        programs: &["ng"],
        command: "ng build",
        start_wins: false,
        outcome: angular::outcome,
        ..PLAIN
    },
    Framework {
        name: "eleventy",
        packages: &["@11ty/eleventy"],
        programs: &["eleventy", "@11ty/eleventy"],
        command: "eleventy",
        outcome: generators::eleventy,
        ..PLAIN
    },
    Framework {
        name: "vue-cli",
        packages: &["@vue/cli-service"],
        programs: &["vue-cli-service"],
        command: "vue-cli-service build",
        outcome: single_page::vue_cli,
        ..PLAIN
    },
    Framework {
        name: "create-react-app",
        // An ejected project keeps only the second.
        packages: &["react-scripts", "react-dev-utils"],
        programs: &["react-scripts", "react-app-rewired", "craco"],
        command: "react-scripts build",
        outcome: single_page::create_react_app,
        ..PLAIN
    },
    Framework {
        name: "vitepress",
        packages: &["vitepress"],
        programs: &["vitepress"],
        scripts: &["docs:build"],
        command: "vitepress build",
        outcome: generators::vitepress,
        ..PLAIN
    },
    Framework {
        name: "vite",
        packages: &["vite"],
        programs: &["vite"],
        command: "vite build",
        outcome: single_page::vite,
        ..PLAIN
    },
    Framework {
        name: "parcel",
        packages: &["parcel", "parcel-bundler"],
        programs: &["parcel"],
        command: "parcel build",
        outcome: single_page::parcel,
        ..PLAIN
    },
];

const PLAIN: Framework = Framework {
    name: "",
    packages: &[],
    programs: &[],
    program_alone: true,
    scripts: &[],
    command: "",
    start_wins: true,
    outcome: |_| Ok(Outcome::Server { from: String::new(), start: None }),
};

/// The framework of a project and the script that builds it.
pub(crate) struct Choice {
    pub(crate) framework: &'static Framework,
    pub(crate) script: Option<String>,
    pub(crate) from: String,
    pub(crate) outcome: Outcome,
}

/// Which framework builds a project: first the one whose program the `build` script runs, then one whose package is
/// there. `serves` says that the `start` script runs a server, which wins over a framework that may be its client.
pub(crate) fn choose(
    view: View<'_>,
    root: &str,
    package: &PackageJson,
    serves: bool,
) -> Result<Option<Choice>, DetectError> {
    let builds = script::calls(&package.scripts, "build");
    let run = FRAMEWORKS.iter().find(|framework| {
        framework.runs_in(&builds) && (framework.program_alone || package.naming(framework.packages).is_some())
    });
    let present = || FRAMEWORKS.iter().find(|framework| framework.is_present(view, root, package, &builds));
    let Some(framework) = run.or_else(present).filter(|framework| !(serves && framework.start_wins)) else {
        return Ok(None);
    };
    let script = framework.script(package, run.is_some());
    let calls = script.as_deref().map(|name| script::calls(&package.scripts, name)).unwrap_or_default();
    let script_field = script.as_deref().map(|name| package.field(&format!("scripts.{name}")));
    let from = package.naming(framework.packages).or_else(|| script_field.clone()).unwrap_or_default();
    let site = Site { view, root, package, calls, script: script_field.unwrap_or_default(), name: framework.name };
    let outcome = (framework.outcome)(&site)?;
    Ok(Some(Choice { framework, script, from, outcome }))
}

impl Framework {
    fn runs_in(&self, calls: &[Call]) -> bool {
        calls.iter().any(|call| self.programs.contains(&call.program.as_str()))
    }

    /// Whether its package is there. Vite comes along with test runners and libraries, so it must also have a page.
    fn is_present(&self, view: View<'_>, root: &str, package: &PackageJson, builds: &[Call]) -> bool {
        let named = package.naming(self.packages).is_some();
        let has_page =
            || view.has(&join(root, "index.html")) || view.first_of(root, single_page::VITE_CONFIG).is_some();
        named && (self.name != "vite" || builds.is_empty() || has_page())
    }

    fn script(&self, package: &PackageJson, build_runs_it: bool) -> Option<String> {
        let others = self.scripts.iter().find(|name| self.runs_in(&script::calls(&package.scripts, name)));
        match others {
            Some(name) if !build_runs_it => Some((*name).to_owned()),
            _ => package.scripts.contains_key("build").then(|| "build".to_owned()),
        }
    }
}

/// A project as its framework sees it.
pub(crate) struct Site<'a> {
    view: View<'a>,
    root: &'a str,
    package: &'a PackageJson,
    /// What the script that builds it calls.
    calls: Vec<Call>,
    /// The field of that script.
    script: String,
    name: &'static str,
}

impl Site<'_> {
    fn has(&self, path: &str) -> bool {
        self.view.has(&join(self.root, path))
    }

    /// The first of these configuration files, with its path.
    fn config(&self, names: &[&str]) -> Option<(String, JsText)> {
        let file = self.view.first_of(self.root, names)?;
        let text = JsText::new(&self.view.glance(&file));
        Some((file, text))
    }

    /// The call of one of these programs in the build script.
    fn call(&self, programs: &[&str]) -> Option<&Call> {
        self.calls.iter().find(|call| programs.contains(&call.program.as_str()))
    }

    /// The output folder that a build script's option names.
    fn option(&self, programs: &[&str], options: &[&str]) -> Option<Sourced<String>> {
        let folder = resolve("", self.call(programs)?.option(options)?)?;
        Some(Sourced::new(folder, self.script.clone()))
    }

    /// The output folder that a configuration file's setting names, relative to `base`, or the framework's default.
    fn folder(&self, base: &str, default: &str, setting: Option<(Value, String)>) -> Sourced<String> {
        let default = join(base, default);
        match setting {
            None => Sourced::new(default, format!("default of {}", self.name)),
            Some((Value::Text(text), from)) => match resolve(base, &text) {
                Some(folder) => Sourced::new(folder, from),
                None => Sourced::new(default, format!("{GUESS}: {from} leads out of the project")),
            },
            Some((_, from)) => Sourced::new(default, format!("{GUESS}: {from} is computed")),
        }
    }

    fn static_site(&self, output: Sourced<String>, spa: bool) -> Outcome {
        Outcome::Static { output, spa: self.spa(spa) }
    }

    /// Whether unknown pages get `index.html`, unless the project brings a page for them.
    fn spa(&self, default: bool) -> Sourced<bool> {
        let own_page = ["public/404.html", "static/404.html", "404.html"].into_iter().find(|path| self.has(path));
        match own_page {
            Some(path) if default => Sourced::new(false, join(self.root, path)),
            _ => Sourced::new(default, format!("default of {}", self.name)),
        }
    }
}
