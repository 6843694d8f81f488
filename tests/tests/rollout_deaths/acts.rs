//! What somebody does to an app that runs, in order.

/// How a canary ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Canary {
    Promoted,
    Aborted,
}

/// What somebody does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Create,
    /// Says how many instances there are to be, no more and no fewer.
    Scale(u32),
    /// Deploys a version, which takes the place of what is live instance by instance.
    Roll(&'static str),
    /// Deploys a version, gives it half of the requests, then ends that.
    Canary(&'static str, Canary),
    /// Deploys a version that has a release command, beside what is live, and then switches.
    BlueGreen(&'static str),
    /// Goes back to a version.
    RollBack(&'static str),
    /// From here on clients ask.
    Watch,
    /// Up to here.
    Leave,
    Delete,
}

pub(crate) const ACTS: &[Act] = &[
    Act::Create,
    Act::Scale(1),
    Act::Roll("v0"),
    Act::Watch,
    Act::Roll("v1"),
    Act::Scale(2),
    Act::Canary("v2", Canary::Promoted),
    Act::Canary("v3", Canary::Aborted),
    Act::RollBack("v1"),
    Act::BlueGreen("v4"),
    Act::Scale(1),
    Act::Leave,
    Act::Delete,
];
