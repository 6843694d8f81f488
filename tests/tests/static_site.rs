//! Static sites: from a folder to an address, forth and back again.

#[path = "static_site/deploy.rs"]
mod deploy;
#[path = "static_site/rollback.rs"]
mod rollback;
#[path = "static_site/serve.rs"]
mod serve;
