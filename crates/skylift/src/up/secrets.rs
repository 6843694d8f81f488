//! The platform's own secrets: made at the first start, never a default.

use std::path::Path;

use anyhow::{Context, bail};
use ring::rand::{SecureRandom, SystemRandom};
use skylift_model::{Clock, Digest};
use skylift_store::Store;
use skylift_store::seal::{KEY_BYTES, MasterKey, new_secret};

use super::folder::DataFolder;
use super::sticky;
use crate::data_dir::OWNER_TOKEN_FILE;

pub(crate) const MASTER_KEY_FILE: &str = "master-key";
const NO_RANDOMNESS: &str = "the system gave no random bytes";
const OWNER: &str = "owner";

/// The fact that tells whether a key is the platform's, without telling anything of it.
pub(crate) const FINGERPRINT: &str = "master-key";

/// Loads the master key, and makes it where this is the first process of the platform. `named`: the file it is in, if
/// not in the data folder. An error where it is not the key that other processes seal with.
pub(crate) async fn master_key(folder: &DataFolder, named: Option<&Path>, store: &Store) -> anyhow::Result<MasterKey> {
    let (bytes, is_new) = match named {
        Some(path) => {
            let text = std::fs::read(path).with_context(|| format!("read the master key {}", path.display()))?;
            (from_hex(&text).with_context(|| format!("{} is no master key", path.display()))?, false)
        }
        None => own_key(folder, store).await?,
    };
    let key = MasterKey::from_bytes(&bytes).context("the master key has the wrong length")?;
    let fingerprint = fingerprint(&bytes);
    let stated = store.state_fact(FINGERPRINT, fingerprint.as_bytes().to_vec()).await;
    if stated.context("compare the master key")? == fingerprint.as_bytes() {
        sticky::state(&bytes, store).await.context("state the key of sticky cookies")?;
        return Ok(key);
    }
    if is_new {
        folder.remove(MASTER_KEY_FILE)?;
    }
    bail!("{NOT_THE_KEY}")
}

const NOT_THE_KEY: &str = "this process has another master key than the platform; copy the file `master-key` from the data \
    folder of the platform's first process, and name it with `master_key_file` or SKYLIFT_MASTER_KEY_FILE";

/// What is stored of a key: nothing of it can be learned from that.
pub(crate) fn fingerprint(key: &[u8]) -> Digest {
    Digest::of(&[b"the fingerprint of a Skylift master key\n", key].concat())
}

/// The key in the data folder, and whether it was just made.
async fn own_key(folder: &DataFolder, store: &Store) -> anyhow::Result<(Vec<u8>, bool)> {
    if let Some(text) = folder.read_private(MASTER_KEY_FILE)? {
        let bytes =
            from_hex(&text).context("the file `master-key` in the data folder is damaged; restore it from a backup")?;
        return Ok((bytes, false));
    }
    if store.is_shared() && store.fact(FINGERPRINT).await.context("look for the platform's master key")?.is_some() {
        bail!("{NOT_THE_KEY}");
    }
    // A new key could open nothing that was sealed before: say so now, not at the first deploy.
    if !store.apps().await.context("read the apps")?.is_empty() {
        bail!(
            "the file `master-key` in the data folder is missing, yet there are apps whose secrets it opens; \
             restore it from a backup"
        );
    }
    let bytes = random::<KEY_BYTES>()?;
    folder.write_private(MASTER_KEY_FILE, to_hex(&bytes).as_bytes())?;
    Ok((bytes.to_vec(), true))
}

/// Makes the owner's token work, and makes one where there is none. The token is what its file says: replacing the file
/// and starting again replaces the token. Where other processes answer for the same platform, a data folder without the
/// file is in order: the token that they know works here too.
pub(crate) async fn owner_token(folder: &DataFolder, store: &Store, clock: &Clock) -> anyhow::Result<()> {
    if store.is_shared() && folder.read_private(OWNER_TOKEN_FILE)?.is_none() {
        let tokens = store.tokens(clock.now()).await.context("read the tokens")?;
        if tokens.iter().any(|token| token.name == OWNER && token.grant.is_none()) {
            return Ok(());
        }
    }
    let digest = Digest::of(own_token(folder)?.as_bytes());
    store.add_token(OWNER.to_owned(), digest, clock.now()).await.context("store the owner's token")?;
    store.revoke_tokens_except(OWNER.to_owned(), digest, clock.now()).await.context("revoke earlier tokens")?;
    Ok(())
}

fn own_token(folder: &DataFolder) -> anyhow::Result<String> {
    if let Some(bytes) = folder.read_private(OWNER_TOKEN_FILE)? {
        let token = String::from_utf8(bytes).unwrap_or_default().trim().to_owned();
        if token.len() < 32 {
            bail!(
                "the file `{OWNER_TOKEN_FILE}` in the data folder has no token of 32 characters or more; remove it to have one made"
            );
        }
        return Ok(token);
    }
    let token = format!("skylift_{}", new_secret().ok().context(NO_RANDOMNESS)?);
    folder.write_private(OWNER_TOKEN_FILE, token.as_bytes())?;
    Ok(token)
}

/// A name that nobody else has.
pub(crate) fn random_name() -> anyhow::Result<String> {
    Ok(to_hex(&random::<8>()?))
}

fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).ok().context(NO_RANDOMNESS)?;
    Ok(bytes)
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let digits = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    if text.len() % 2 == 0 { (0..text.len()).step_by(2).map(digits).collect() } else { None }
}
