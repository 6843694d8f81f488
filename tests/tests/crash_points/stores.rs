//! Where a platform that is to die or to fail has its rows and blobs.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use skylift_peers::{FakeS3, Postgres};
use skylift_tests::Platform;
use skylift_tests::random::rounds;

/// Little is kept, and at once forgotten, so that clean-up has something to do.
const CONFIG: &str = "[keep]\ndeployments = 1\nunnamed_seconds = 0";

/// Servers that hold what is otherwise in the data folder.
#[derive(Clone, Copy, Default)]
pub(crate) struct Stores<'s> {
    pub(crate) rows: Option<&'s Postgres>,
    pub(crate) blobs: Option<&'s FakeS3>,
}

impl fmt::Display for Stores<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = if self.rows.is_some() { "rows on a server" } else { "rows in a file" };
        let blobs = if self.blobs.is_some() { ", blobs on an object store" } else { "" };
        write!(to, "{rows}{blobs}")
    }
}

impl<'s> Stores<'s> {
    pub(crate) fn with_rows_on(server: &'s Postgres) -> Self {
        Self { rows: Some(server), blobs: None }
    }

    /// Whether one step is enough, chosen by the seed: in the ordinary run, where servers take long.
    pub(crate) fn are_sampled(self) -> bool {
        (self.rows.is_some() || self.blobs.is_some()) && rounds(0, 1) == 0
    }

    /// A platform that is not started yet, with a database and a place in the bucket of its own.
    pub(crate) fn platform(self) -> Platform {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let blobs = self.blobs.map(|server| {
            let (endpoint, bucket) = (server.endpoint(), FakeS3::BUCKET);
            format!(
                "[blob.s3]\nendpoint = \"{endpoint}\"\nallow_http = true\nbucket = \"{bucket}\"\nprefix = \"{number}/\"\n\
                 access_key_id = \"test-key\"\nsecret_access_key = \"test-secret\"\n"
            )
        });
        let config = format!("{CONFIG}\n{}", blobs.unwrap_or_default());
        match self.rows {
            Some(server) => Platform::prepared_on(server.new_database(), &config),
            None => Platform::prepared(&config),
        }
    }
}
