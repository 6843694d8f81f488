//! What of an app is live, and what was before. Pure.

use skylift_model::route::{AppRoutes, RoutedDeployment};

/// In how many deployments that were live a file is looked for.
const BEFORE_MAX: usize = 8;

/// The live deployment of an app.
pub(crate) fn live_of(routes: &AppRoutes) -> Option<&RoutedDeployment> {
    let live = routes.live.as_ref()?;
    routes.deployments.iter().find(|deployment| deployment.id == *live)
}

/// The live deployment of an app, where that is a site.
pub(crate) fn site_of(routes: &AppRoutes) -> Option<&RoutedDeployment> {
    live_of(routes).filter(|deployment| !deployment.runs)
}

/// What was live before, the last of them first.
pub(super) fn before_of(routes: &AppRoutes) -> Box<[RoutedDeployment]> {
    let was_live =
        |deployment: &&RoutedDeployment| deployment.replaced.is_some() && Some(&deployment.id) != routes.live.as_ref();
    let mut before: Vec<RoutedDeployment> = routes.deployments.iter().filter(was_live).cloned().collect();
    before.sort_by_key(|deployment| std::cmp::Reverse(deployment.replaced));
    before.truncate(BEFORE_MAX);
    before.into()
}
