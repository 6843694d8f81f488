//! The platform's own secrets: made at the first start, never a default.

use anyhow::{Context, bail};
use ring::rand::{SecureRandom, SystemRandom};
use skylift_model::{Clock, Digest};
use skylift_store::Store;
use skylift_store::seal::{KEY_BYTES, MasterKey};

use super::folder::DataFolder;
use crate::data_dir::OWNER_TOKEN_FILE;

const MASTER_KEY_FILE: &str = "master-key";
const OWNER: &str = "owner";

/// What was loaded or made.
pub(crate) struct Secrets {
    pub(crate) master_key: MasterKey,
}

/// Loads the secrets, and makes what is missing. The owner's token is what its file says: replacing the file and
/// starting again replaces the token.
pub(crate) async fn load_or_create(folder: &DataFolder, store: &Store, clock: &Clock) -> anyhow::Result<Secrets> {
    let master_key = master_key(folder, store).await?;
    let token = owner_token(folder)?;
    let digest = Digest::of(token.as_bytes());
    store.add_token(OWNER.to_owned(), digest, clock.now()).await.context("store the owner's token")?;
    store.revoke_tokens_except(OWNER.to_owned(), digest, clock.now()).await.context("revoke earlier tokens")?;
    Ok(Secrets { master_key })
}

async fn master_key(folder: &DataFolder, store: &Store) -> anyhow::Result<MasterKey> {
    let bytes = match folder.read_private(MASTER_KEY_FILE)? {
        Some(text) => {
            from_hex(&text).context("the file `master-key` in the data folder is damaged; restore it from a backup")?
        }
        // A new key could open nothing that was sealed before: say so now, not at the first deploy.
        None if !store.apps().await.context("read the apps")?.is_empty() => bail!(
            "the file `master-key` in the data folder is missing, yet there are apps whose secrets it opens; \
             restore it from a backup"
        ),
        None => {
            let bytes = random::<KEY_BYTES>()?;
            folder.write_private(MASTER_KEY_FILE, to_hex(&bytes).as_bytes())?;
            bytes.to_vec()
        }
    };
    MasterKey::from_bytes(&bytes).context("the master key has the wrong length")
}

fn owner_token(folder: &DataFolder) -> anyhow::Result<String> {
    if let Some(bytes) = folder.read_private(OWNER_TOKEN_FILE)? {
        let token = String::from_utf8(bytes).unwrap_or_default().trim().to_owned();
        if token.len() < 32 {
            bail!(
                "the file `{OWNER_TOKEN_FILE}` in the data folder has no token of 32 characters or more; remove it to have one made"
            );
        }
        return Ok(token);
    }
    let token = format!("skylift_{}", to_hex(&random::<32>()?));
    folder.write_private(OWNER_TOKEN_FILE, token.as_bytes())?;
    Ok(token)
}

fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).ok().context("the system gave no random bytes")?;
    Ok(bytes)
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let digits = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    if text.len() % 2 == 0 { (0..text.len()).step_by(2).map(digits).collect() } else { None }
}
