//! The object that a Python server serves, found by a plain look at the text of a few files.

use crate::detect::view::{View, join};

/// Where it is looked for, as files and as modules.
const PLACES: &[(&str, &str)] = &[
    ("wsgi.py", "wsgi"),
    ("asgi.py", "asgi"),
    ("app.py", "app"),
    ("main.py", "main"),
    ("server.py", "server"),
    ("application.py", "application"),
    ("api.py", "api"),
    ("app/main.py", "app.main"),
    ("app/app.py", "app.app"),
    ("app/__init__.py", "app"),
    ("api/main.py", "api.main"),
];

/// Classes whose objects answer through WSGI, and through ASGI.
const WSGI: &[&str] = &["Flask", "Dash", "Bottle"];
const ASGI: &[&str] = &["FastAPI", "Starlette", "Quart", "Litestar", "Sanic"];

/// How a server speaks to the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interface {
    Wsgi,
    Asgi,
}

/// The object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AppObject {
    /// As servers are told it, such as `app:app`.
    pub(super) name: String,
    pub(super) interface: Interface,
    /// The file it stands in.
    pub(super) file: String,
    /// Whether that file speaks of `PORT`, as one does that listens by itself.
    pub(super) reads_port: bool,
}

/// Finds it. `default` is how a server speaks to an object whose class does not stand there.
pub(super) fn find(view: &View<'_>, root: &str, default: Interface) -> Option<AppObject> {
    PLACES.iter().find_map(|(path, module)| {
        let file = join(root, path);
        let text = view.glance(&file);
        let takes_imported = matches!(*path, "wsgi.py" | "asgi.py");
        let (object, interface) = text.lines().find_map(|line| object_of(line, takes_imported, default))?;
        Some(AppObject { name: format!("{module}:{object}"), interface, file, reads_port: text.contains("PORT") })
    })
}

/// The object that a line at the top of a module makes.
fn object_of(line: &str, takes_imported: bool, default: Interface) -> Option<(String, Interface)> {
    if let Some(imported) = line.strip_prefix("from ").filter(|_| takes_imported).and_then(imported) {
        return Some((imported, default));
    }
    if let Some(rest) = line.strip_prefix("def create_app(") {
        let takes_nothing = rest.trim_start().starts_with(')') || rest.split(')').next()?.contains('=');
        return (takes_nothing && default == Interface::Wsgi).then(|| ("create_app()".to_owned(), default));
    }
    let (name, value) = line.split_once('=')?;
    // `app: Flask = Flask(…)` as well.
    let name = name.split(':').next()?.trim_end();
    let class = value.trim_start().split_once('(')?.0.trim_end();
    let class = class.rsplit('.').next()?;
    if !is_identifier(name) {
        return None;
    }
    if class == "create_app" || class == "make_app" {
        return Some((name.to_owned(), default));
    }
    let is_in = |classes: &[&str]| classes.contains(&class);
    let interface = if is_in(WSGI) { Interface::Wsgi } else { is_in(ASGI).then_some(Interface::Asgi)? };
    Some((name.to_owned(), interface))
}

/// `from shop import app`, `from shop import create as application`.
fn imported(rest: &str) -> Option<String> {
    let (_, names) = rest.split_once(" import ")?;
    let last = |name: &str| name.rsplit(" as ").next().map(|name| name.trim().to_owned());
    names.split(',').filter_map(last).find(|name| matches!(name.as_str(), "app" | "application" | "server"))
}

fn is_identifier(name: &str) -> bool {
    let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_word && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Option<&str>) {
        let found = object_of(line, true, Interface::Wsgi).map(|(name, interface)| format!("{name} {interface:?}"));
        assert_eq!(found.as_deref(), expected, "{line}");
    }

    #[test]
    fn objects_are_found_where_they_stand_at_the_top() {
        check("app = Flask(__name__)", Some("app Wsgi"));
        check("api: FastAPI = fastapi.FastAPI(title='x')", Some("api Asgi"));
        check("application = create_app()", Some("application Wsgi"));
        check("def create_app(config=None):", Some("create_app() Wsgi"));
        check("def create_app():", Some("create_app() Wsgi"));
        check("from shop import db, make as app", Some("app Wsgi"));
    }

    #[test]
    fn other_lines_are_none() {
        for line in [
            "    app = Flask(__name__)",
            "# app = Flask(__name__)",
            "app == Flask(x)",
            "app = Flasky(x)",
            "x.y = Flask(x)",
            "def create_app(config):",
            "from shop import apple",
            "app = Flask",
            "1 = Flask()",
        ] {
            check(line, None);
        }
    }
}
