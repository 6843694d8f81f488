//! Refuses a file that the server would not take, before minutes go into reading and sending.

use skylift_client::Client;
use skylift_client::folder::Walked;

use super::blocking;
use crate::cli::problem::Problem;
use crate::cli::quantity::bytes;

/// Up to this size a file is read in a moment, and the server says itself what it does not take.
const READ_AT_ONCE_BYTES: u64 = 64 << 20;

/// Refuses a folder with a file beyond the server's limit. Where the limit is not known, the server is left to tell.
pub(super) async fn refuse(client: &Client, walked: Walked) -> Result<Walked, Problem> {
    let looking = move || {
        let largest = walked.largest().map(|(path, size)| (path.to_string(), size));
        Ok((walked, largest))
    };
    let (walked, largest) = blocking(looking).await?;
    let Some((path, size)) = largest.filter(|(_, size)| *size > READ_AT_ONCE_BYTES) else { return Ok(walked) };
    match client.status().await.ok().and_then(|status| status.file_bytes_max) {
        Some(most) if size > most => Err(beyond(&path, size, most)),
        Some(_) | None => Ok(walked),
    }
}

fn beyond(path: &str, size: u64, most: u64) -> Problem {
    Problem::refused(
        format!("`{path}` has {}, and this server takes files up to {}", bytes(size), bytes(most)),
        "leave it out with .skyliftignore, or ask the owner to raise `[upload] file_bytes_max` in config.toml",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_the_same_unit() {
        let told = beyond("big.bin", 600 << 20, 512 << 20).to_string();
        assert_eq!(told, "`big.bin` has 600.0 MiB, and this server takes files up to 512.0 MiB");
    }
}
