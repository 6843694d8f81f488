//! Node projects whose build is whatever a test wants it to be. No packages are needed.

pub mod real;

use crate::folder::Folder;

/// A project whose build runs `script` (JavaScript) and whose result is the folder `dist`.
pub fn node(script: &str) -> Folder {
    node_with_command(script, "node build.js")
}

/// Like [`node`], with the command that is to run it.
pub fn node_with_command(script: &str, command: &str) -> Folder {
    let toml = format!("[build]\ninstall = \"\"\ncommand = '{command}'\noutput = \"dist\"\n");
    Folder::new().file("package.json", "{}\n").file("build.js", script).file("skylift.toml", toml)
}

/// The script of a build that makes a page which says `text`.
pub fn page(text: &str) -> String {
    format!("const fs = require('fs'); fs.mkdirSync('dist'); fs.writeFileSync('dist/index.html', {text:?});\n")
}

/// A project whose build says `started`, then goes on for ever, with `marker` among its arguments.
pub fn endless(marker: &str) -> Folder {
    node_with_command("console.log('started'); setInterval(() => {}, 1000);", &format!("node build.js {marker}"))
}

/// A project whose build says `started`, takes `ms` milliseconds and makes a page which says `text`.
pub fn slow(text: &str, ms: u64, marker: &str) -> Folder {
    let script = format!("console.log('started'); setTimeout(() => {{ {} }}, {ms});", page(text));
    node_with_command(&script, &format!("node build.js {marker}"))
}
