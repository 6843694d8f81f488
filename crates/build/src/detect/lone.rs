//! A program of one file that needs no packages, and so has no list of them: what somebody would start as
//! `python app.py` or `node server.js`.

use super::node_start::MAIN_FILES;
use super::python::PROGRAMS;
use super::view::{View, join};

/// A Python program.
pub(crate) fn python(view: &View<'_>, root: &str) -> Option<String> {
    view.first_of(root, PROGRAMS)
}

/// A Node program: beside a page, or where it listens to nothing, a script is the browser's.
pub(crate) fn node(view: &View<'_>, root: &str) -> Option<String> {
    if view.has(&join(root, "index.html")) {
        return None;
    }
    let listens = |text: &str| text.contains("createServer(") || text.contains(".listen(");
    MAIN_FILES.iter().map(|name| join(root, name)).find(|path| listens(&view.glance(path)))
}

/// Whether a command runs Python by its short name, which only a virtual environment has everywhere.
pub(crate) fn runs_python(command: &str) -> bool {
    command.split_whitespace().any(|word| matches!(word, "python" | "python3"))
}
