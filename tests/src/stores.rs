//! Which stores platforms use: those in the data folder, or, with `SKYLIFT_TEST_STORES=distributed`, a Redis and an S3
//! server that `scripts/with-stores.sh` started.

use std::path::Path;

/// What the settings of a platform get added; each has a place of its own in the shared stores.
pub(crate) fn settings(home: &Path) -> String {
    if std::env::var("SKYLIFT_TEST_STORES").as_deref() != Ok("distributed") {
        return String::new();
    }
    let variable = |name: &str| std::env::var(name).expect("started by scripts/with-stores.sh");
    let (redis, s3) = (variable("SKYLIFT_TEST_REDIS"), variable("SKYLIFT_TEST_S3"));
    let own = own_prefix(home);
    format!(
        r#"
[bus]
url = "{redis}"
prefix = "{own}"

[blob.s3]
endpoint = "{s3}"
bucket = "skylift"
prefix = "{own}/"
access_key_id = "test-key"
secret_access_key = "test-secret"
"#
    )
}

/// What is put before all names of a platform in stores that others use too.
pub(crate) fn own_prefix(home: &Path) -> String {
    home.file_name().and_then(|name| name.to_str()).unwrap().replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}
