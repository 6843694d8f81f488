//! What somebody does to the platform, in order.

/// What somebody does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Create {
        app: &'static str,
    },
    /// Deploys an archive.
    Deploy {
        app: &'static str,
        page: &'static str,
    },
    /// Deploys a folder: a list of its files, those that are missing, then the order to build it.
    DeployFolder {
        app: &'static str,
        page: &'static str,
    },
    /// Deploys what a command in a sandbox makes a site of.
    Build {
        app: &'static str,
        page: &'static str,
    },
    /// Goes back to the deployment that brought `page`.
    RollBack {
        app: &'static str,
        page: &'static str,
    },
    /// Deploys and cancels at once; either may win.
    DeployAndCancel {
        app: &'static str,
        page: &'static str,
    },
    SetEnv {
        app: &'static str,
    },
    CleanUp,
    Delete {
        app: &'static str,
    },
    /// From here on a client asks for the page of [`STEADY`], whatever happens.
    Watch,
}

/// An app that stays as it is while all else happens.
pub(crate) const STEADY: &str = "steady";

pub(crate) const ACTS: &[Act] = &[
    Act::Create { app: STEADY },
    Act::Deploy { app: STEADY, page: STEADY },
    Act::Watch,
    Act::Create { app: "shop" },
    Act::Create { app: "gone" },
    Act::Deploy { app: "shop", page: "shop one" },
    Act::SetEnv { app: "shop" },
    Act::Deploy { app: "shop", page: "shop two" },
    Act::Deploy { app: "gone", page: "gone one" },
    Act::RollBack { app: "shop", page: "shop one" },
    Act::CleanUp,
    Act::DeployAndCancel { app: "shop", page: "shop three" },
    Act::Delete { app: "gone" },
    Act::DeployFolder { app: "shop", page: "shop four" },
    Act::Build { app: "shop", page: "shop five" },
    Act::CleanUp,
];
