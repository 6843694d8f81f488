//! Where routes come from. The edge knows nothing of the store behind it.

use std::pin::Pin;

use skylift_model::route::AppRoutes;
use skylift_model::{AppName, DeploymentId, DeploymentState};

/// Why routes could not be read.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// Routes on their way.
pub type SourceFuture<'s, T> = Pin<Box<dyn Future<Output = Result<T, SourceError>> + Send + 's>>;

/// The truth about routes.
pub trait RouteSource: Send + Sync {
    /// The routes of every app.
    fn all(&self) -> SourceFuture<'_, Vec<AppRoutes>>;

    /// The routes of one app; `None` where there is none of this name.
    fn app<'s>(&'s self, app: &'s AppName) -> SourceFuture<'s, Option<AppRoutes>>;

    /// The state of a deployment that has no route; `None` where there is none of this id.
    fn state<'s>(&'s self, id: &'s DeploymentId) -> SourceFuture<'s, Option<DeploymentState>>;

    /// Those of these apps that the source does not have although nobody removed them: what it knew of them was lost. Of what
    /// is removed, the source must remember that; a name that is given to another app is not removed any more.
    fn lost(&self, apps: Vec<AppName>) -> SourceFuture<'_, Vec<AppName>>;

    /// What the source is called for good: the same for as long as it is the one that knows these apps, wherever its rows are
    /// moved to; another one where it was begun anew. Only a source that is called as it was is believed that an app is gone.
    fn origin(&self) -> SourceFuture<'_, String>;
}
