//! What to do about a folder that cannot be sent.

use super::FolderError;

impl FolderError {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Missing(_) | Self::NotAFolder(_) => "name the folder that holds the site or the project",
            Self::Empty(_) => "name the folder that holds the site or the project; files in it are sent",
            Self::AllSkipped { .. } => {
                "`!PATTERN` in .skyliftignore sends what other ignore files leave out; `.env*` and `node_modules` never go"
            }
            Self::Read { .. } => "make it readable, or list it in .skyliftignore",
            Self::NotUtf8(_) => "rename it, or list it in .skyliftignore with a pattern",
            Self::Name { .. } | Self::Manifest(_) => "rename it, or list it in .skyliftignore",
            Self::LinkOutside { .. } => {
                "link to a file inside the folder by a relative path, or list the link in .skyliftignore"
            }
            Self::Changed(_) => "deploy again once nothing writes there",
            Self::Pattern { .. } => "correct the line; the rules are those of .gitignore",
        }
    }
}
