//! What rules make of a request.

/// What to do with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision<'r> {
    /// No rule has a say: serve the file, or what the site serves where there is none.
    Serve,
    /// Send the client elsewhere. The location is ASCII without control characters; one that begins with `/` is on this site.
    Redirect {
        /// 300–399.
        status: u16,
        /// For the `Location` field.
        location: String,
    },
    /// Serve another path of the site, without asking the rules again; 404 where there is nothing.
    Rewrite {
        /// The path, escaped; begins with a single `/`. Part of it may come from the request, so it is to be read as
        /// strictly as a request's own path.
        path: String,
        /// The query, without `?`.
        query: Option<String>,
        /// The status to send it with.
        status: u16,
    },
    /// Pass the request on to another host, and its answer back.
    Proxy {
        /// `http://…` or `https://…`. Which addresses may be reached is not decided here.
        url: String,
        /// Fields to add to the request.
        headers: &'r [(String, String)],
    },
    /// 404 whatever there is: the address is for visitors with a role, and we can tell of nobody that they have it; or the
    /// request costs more than it may, so that nobody can tell what it is for.
    Denied,
}

/// Whether a file answers the path, in one of its spellings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileExists {
    /// One does.
    Yes,
    /// None does.
    No,
}

impl<'r> Decision<'r> {
    /// What a rule with this status and this target comes to.
    pub(crate) fn of(status: u16, to: String, headers: &'r [(String, String)]) -> Self {
        if (300..400).contains(&status) {
            return Self::Redirect { status, location: to };
        }
        if !to.starts_with('/') {
            return Self::Proxy { url: to, headers };
        }
        let before = to.split('#').next().unwrap_or_default();
        let (path, query) = before.split_once('?').map_or((before, None), |(path, query)| (path, Some(query)));
        Self::Rewrite { path: path.to_owned(), query: query.map(str::to_owned), status }
    }
}
