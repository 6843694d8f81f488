//! Where a platform keeps its data, where nobody says otherwise. The server and the command line must agree.

use std::env;
use std::path::{Path, PathBuf};

/// In the data folder: the owner's token.
pub(crate) const OWNER_TOKEN_FILE: &str = "owner-token";
/// In the data folder: the address that the running server answers at.
pub(crate) const LISTEN_FILE: &str = "listen";

/// `$XDG_DATA_HOME/skylift`, else `~/.local/share/skylift`. `None` where no home is known.
pub(crate) fn default_data_dir() -> Option<PathBuf> {
    xdg("XDG_DATA_HOME", ".local/share")
}

/// `$XDG_CONFIG_HOME/skylift`, else `~/.config/skylift`: what `skylift login` remembers.
pub(crate) fn config_dir() -> Option<PathBuf> {
    xdg("XDG_CONFIG_HOME", ".config")
}

/// `$XDG_CACHE_HOME/skylift`, else `~/.cache/skylift`.
pub(crate) fn cache_dir() -> Option<PathBuf> {
    xdg("XDG_CACHE_HOME", ".cache")
}

/// `$XDG_STATE_HOME/skylift`, else `~/.local/state/skylift`: which app a folder belongs to.
pub(crate) fn state_dir() -> Option<PathBuf> {
    xdg("XDG_STATE_HOME", ".local/state")
}

/// The XDG base directory specification: a relative path in the variable counts as none.
fn xdg(variable: &str, below_home: &str) -> Option<PathBuf> {
    let named = env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = named.or_else(|| env::home_dir().filter(|home| home.is_absolute()).map(|home| home.join(below_home)))?;
    Some(base.join(Path::new("skylift")))
}
