//! How a Python project is started where no Procfile says it.

use super::app_object::{self, AppObject, Interface};
use crate::detect::recipe::Start;
use crate::detect::view::{View, join};

/// Files that are a project's program as a rule.
pub(crate) const PROGRAMS: &[&str] = &["app.py", "main.py", "server.py"];
const DEVELOPMENT: &str = "this is a server for development: name gunicorn among the requirements";

/// The command; `framework` is the one that the project names.
pub(crate) fn start(view: &View<'_>, root: &str, framework: Option<&str>) -> Start {
    let names = Names::of(view, root);
    match framework {
        Some("django") => return django(view, root, &names),
        Some("streamlit") => {
            if let Some(program) = program(view, root, |name| {
                format!("streamlit run {name} --server.address 0.0.0.0 --server.port $PORT --server.headless true")
            }) {
                return program;
            }
        }
        _ => {}
    }
    let default = if framework == Some("fastapi") { Interface::Asgi } else { Interface::Wsgi };
    if let Some(object) = app_object::find(view, root, default)
        && let Some(start) = served(&object, &names, framework)
    {
        return start;
    }
    program(view, root, |name| format!("python {name}")).unwrap_or_else(|| {
        Start::unknown(format!("there is none of {}, and no app that a server could be told of", PROGRAMS.join(", ")))
    })
}

/// The server that the project names, told of its object.
fn served(object: &AppObject, names: &Names, framework: Option<&str>) -> Option<Start> {
    let AppObject { name, file, .. } = object;
    let shown = if name.contains('(') { format!("'{name}'") } else { name.clone() };
    let command = match object.interface {
        Interface::Wsgi if names.has("gunicorn") => format!("gunicorn --bind 0.0.0.0:$PORT {shown}"),
        Interface::Asgi if names.has("uvicorn") || names.has_fastapi_standard => {
            format!("uvicorn {shown} --host 0.0.0.0 --port $PORT")
        }
        Interface::Asgi if names.has("hypercorn") => format!("hypercorn {shown} --bind 0.0.0.0:$PORT"),
        Interface::Wsgi if framework == Some("flask") && !object.reads_port => {
            let command = format!("flask --app {shown} run --host 0.0.0.0 --port $PORT");
            return Some(Start::warned(command, file, DEVELOPMENT));
        }
        Interface::Wsgi => return None,
        Interface::Asgi if object.reads_port => return None,
        Interface::Asgi => return Some(Start::unknown("no server for it is required: add uvicorn")),
    };
    Some(Start::known(command, file))
}

fn program(view: &View<'_>, root: &str, command: impl Fn(&str) -> String) -> Option<Start> {
    let name = PROGRAMS.iter().find(|name| view.has(&join(root, name)))?;
    Some(Start::known(command(name), join(root, name)))
}

/// Django: the module of the settings, which `manage.py` names, has `wsgi` and `asgi` beside it.
fn django(view: &View<'_>, root: &str, names: &Names) -> Start {
    let manage = join(root, "manage.py");
    let text = view.glance(&manage);
    let settings = text.split(['"', '\'']).find_map(|word| word.strip_suffix(".settings"));
    let Some(module) = settings.filter(|module| is_module(module)) else {
        return Start::unknown("manage.py names no module of settings");
    };
    let has = |name: &str| view.has(&join(root, &format!("{}/{name}.py", module.replace('.', "/"))));
    if names.has("gunicorn") && has("wsgi") {
        return Start::known(format!("gunicorn --bind 0.0.0.0:$PORT {module}.wsgi"), manage);
    }
    if names.has("uvicorn") && has("asgi") {
        return Start::known(format!("uvicorn {module}.asgi:application --host 0.0.0.0 --port $PORT"), manage);
    }
    Start::warned("python manage.py runserver --noreload 0.0.0.0:$PORT", manage, DEVELOPMENT)
}

fn is_module(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
}

/// The packages that a project names.
struct Names {
    names: Vec<String>,
    has_fastapi_standard: bool,
}

impl Names {
    fn of(view: &View<'_>, root: &str) -> Self {
        let mut names = Vec::new();
        let mut has_fastapi_standard = false;
        for file in ["requirements.txt", "pyproject.toml", "uv.lock", "Pipfile"] {
            let text = view.glance(&join(root, file)).to_ascii_lowercase();
            for line in text.lines().filter_map(|line| line.split('#').next()) {
                has_fastapi_standard |= line.contains("fastapi[") && line.contains("standard");
                let words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
                names.extend(words.filter(|word| !word.is_empty()).map(str::to_owned));
            }
        }
        Self { names, has_fastapi_standard }
    }

    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|other| other == name)
    }
}
