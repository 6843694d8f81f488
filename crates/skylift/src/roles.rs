//! What a process does: one role, some, or all.

use std::fmt;
use std::str::FromStr;

use skylift_api::{Part, Parts};

/// What a process may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Serves sites, and leads to the control plane.
    Edge,
    /// Answers the API, but for code that is sent.
    Api,
    /// Takes in code; commits it to Git.
    Upload,
    /// Builds.
    Build,
    /// Makes live what is built; takes back lost work; cleans up.
    Deploy,
    /// Runs instances, and code that is sent.
    Work,
    /// Answers for models.
    Ai,
}

impl Role {
    const ALL: [Self; 7] = [Self::Edge, Self::Api, Self::Upload, Self::Build, Self::Deploy, Self::Work, Self::Ai];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Api => "api",
            Self::Upload => "upload",
            Self::Build => "build",
            Self::Deploy => "deploy",
            Self::Work => "work",
            Self::Ai => "ai",
        }
    }
}

/// The roles of a process, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Roles(Vec<Role>);

impl Roles {
    /// Every role.
    pub(crate) fn all() -> Self {
        Self(Role::ALL.to_vec())
    }

    pub(crate) fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    pub(crate) fn are_all(&self) -> bool {
        Role::ALL.into_iter().all(|role| self.has(role))
    }

    pub(crate) fn are_only(&self, role: Role) -> bool {
        self.0 == [role]
    }

    /// The parts of the API that are answered here.
    pub(crate) fn parts(&self) -> Parts {
        Parts { api: self.has(Role::Api), upload: self.has(Role::Upload) }
    }

    /// Whether anything of the API is answered here.
    pub(crate) fn answer(&self) -> bool {
        self.parts().has(Part::Api) || self.parts().has(Part::Upload)
    }

    /// Whether anybody connects to this process.
    pub(crate) fn listen(&self) -> bool {
        self.has(Role::Edge) || self.answer() || self.has(Role::Ai)
    }

    /// Whether secrets are sealed or opened here.
    pub(crate) fn open_secrets(&self) -> bool {
        self.answer() || self.has(Role::Build) || self.has(Role::Work)
    }

    /// Whether code of users runs here, in sandboxes.
    pub(crate) fn use_sandboxes(&self) -> bool {
        self.answer() || self.has(Role::Build) || self.has(Role::Work)
    }
}

/// A text that names no roles.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}; there are edge, api, upload, build, deploy, work and ai, joined by commas")]
pub(crate) struct NoRoles(String);

impl FromStr for Roles {
    type Err = NoRoles;

    fn from_str(text: &str) -> Result<Self, NoRoles> {
        let mut roles = Vec::new();
        for word in text.split(',').map(str::trim) {
            let role = Role::ALL.into_iter().find(|role| role.as_str() == word);
            let role = role.ok_or_else(|| NoRoles(format!("`{word}` is not a role")))?;
            if roles.contains(&role) {
                return Err(NoRoles(format!("`{word}` is named twice")));
            }
            roles.push(role);
        }
        Ok(Self(roles))
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(|role| role.as_str()).collect();
        out.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_as_they_are_written() {
        let roles: Roles = "edge, api,upload".parse().unwrap();
        assert_eq!(roles.to_string(), "edge,api,upload");
        assert!(roles.has(Role::Edge) && !roles.has(Role::Build) && !roles.are_all());
        assert_eq!(Roles::all().to_string().parse::<Roles>().unwrap(), Roles::all());
        assert!(Roles::all().are_all());
    }

    #[test]
    fn what_is_no_role_is_named() {
        for (text, told) in
            [("edge,bild", "`bild` is not a role"), ("", "`` is not"), ("api,api", "`api` is named twice")]
        {
            let error = text.parse::<Roles>().unwrap_err().to_string();
            assert!(error.contains(told) && error.contains("edge, api, upload"), "{error}");
        }
    }
}
