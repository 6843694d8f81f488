//! What the source of routes told, and whether that contradicts itself. Pure.

use std::collections::{BTreeMap, BTreeSet};

use skylift_model::AppName;
use skylift_model::route::AppRoutes;

/// What the source said of an app.
pub(crate) type Said = (AppName, Option<AppRoutes>);

/// Asked for one app, the source told of another.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("asked for the routes of {asked}, the source told those of {told}")]
pub(crate) struct NotAsked {
    pub(crate) asked: AppName,
    pub(crate) told: AppName,
}

/// Each app once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct All {
    /// The routes of apps that were told of in one way.
    pub(crate) routes: BTreeMap<AppName, AppRoutes>,
    /// Apps that were told of twice, and not in the same way: nobody knows which is right.
    pub(crate) doubtful: BTreeSet<AppName>,
}

/// Sorts what was told of every app.
pub(crate) fn parse_all(told: Vec<AppRoutes>) -> All {
    let mut all = All::default();
    for routes in told {
        if let Some(other) = all.routes.get(&routes.app)
            && *other != routes
        {
            all.doubtful.insert(routes.app.clone());
        }
        all.routes.insert(routes.app.clone(), routes);
    }
    all.routes.retain(|app, _| !all.doubtful.contains(app));
    all
}

/// What was told of the one app that was asked for.
pub(crate) fn parse_one(asked: AppName, told: Option<AppRoutes>) -> Result<Said, NotAsked> {
    match told {
        Some(routes) if routes.app != asked => Err(NotAsked { asked, told: routes.app }),
        told => Ok((asked, told)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(app: &str, generation: u64) -> AppRoutes {
        AppRoutes {
            app: app.parse().unwrap(),
            generation,
            live: None,
            deployments: Vec::new(),
            instances: Vec::new(),
            stopped: false,
            share: None,
            net_in: Vec::new(),
        }
    }

    #[test]
    fn an_app_that_is_told_of_twice_is_believed_only_where_both_say_the_same() {
        let told = vec![routes("a", 1), routes("b", 1), routes("b", 2), routes("c", 3), routes("c", 3), routes("b", 2)];
        let all = parse_all(told);
        assert_eq!(all.routes.into_values().collect::<Vec<_>>(), [routes("a", 1), routes("c", 3)]);
        assert_eq!(all.doubtful, BTreeSet::from(["b".parse().unwrap()]));
    }

    #[test]
    fn an_answer_is_of_the_app_that_was_asked_for() {
        let a: AppName = "a".parse().unwrap();
        assert_eq!(parse_one(a.clone(), Some(routes("a", 1))), Ok((a.clone(), Some(routes("a", 1)))));
        assert_eq!(parse_one(a.clone(), None), Ok((a.clone(), None)));
        let told = "b".parse().unwrap();
        assert_eq!(parse_one(a.clone(), Some(routes("b", 1))), Err(NotAsked { asked: a, told }));
    }
}
