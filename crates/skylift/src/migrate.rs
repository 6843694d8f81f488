//! `skylift migrate`: a platform that is stopped, from its stores into others.
//!
//! 1. both ends held, nobody serves from them · 2. the other end has room, and is held for this move · 3. blobs, by digest ·
//! 4. rows, all in one transaction, read back and compared · 5. named objects and Git histories · 6. secrets, for a folder.
//!
//! Killed anywhere and begun again it goes on: what is there is not copied twice, and rows are there all or none. Where it
//! was moved from stays as it was.

mod files;
mod histories;
mod side;

use std::path::Path;

use anyhow::{Context, bail};
use skylift_store::{Moved, Room};

use crate::cli::{MigrateArgs, Migrated, MovedTable, NotUp};
use crate::data_dir::OWNER_TOKEN_FILE;
use crate::up::presence::NAME_FILE;
use crate::up::secrets::{FINGERPRINT, MASTER_KEY_FILE, fingerprint, to_hex};
use side::{Place, Side};

/// Moves a platform.
pub(crate) fn run(arguments: &MigrateArgs) -> Result<Migrated, NotUp> {
    crate::logging::start();
    let looked = Place::source(&arguments.from).and_then(|from| Ok((from, Place::destination(&arguments.to)?)));
    let (from, to) = looked.map_err(NotUp::Refused)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let moved = runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(between(from, to)));
    moved.map_err(NotUp::Failed)
}

async fn between(from: Place, to: Place) -> anyhow::Result<Migrated> {
    let work = to.work_folder().or_else(|| from.work_folder());
    let work = work.unwrap_or_else(|| Ok(std::env::temp_dir().join(format!("skylift-move-{}", std::process::id()))))?;
    let from = from.open(&work.join("from")).await?;
    let to = to.open(&work.join("to")).await?;
    let moved = move_all(&from, &to).await;
    if let Err(error) = std::fs::remove_dir_all(&work) {
        tracing::warn!(path = %work.display(), error = &error as &dyn std::error::Error, "copies are left over");
    }
    moved
}

async fn move_all(from: &Side, to: &Side) -> anyhow::Result<Migrated> {
    let key = key_of(from).await?;
    if to.folder.is_some() && key.is_none() {
        bail!("the master key is not known; name its file with master_key_file or SKYLIFT_MASTER_KEY_FILE");
    }
    let room = to.store.make_room(from.store.origin().await?).await?;
    if room == Room::Taken {
        bail!("there is a platform already where this one is to be moved, or another move into it was begun");
    }
    tracing::info!("copying files");
    let (blobs, bytes) = files::copy_all(&from.blobs, &to.blobs).await?;
    tracing::info!(blobs, bytes, "copying rows");
    if room == Room::Empty {
        to.store.take_over(&from.store).await?;
    }
    files::copy_named(&to.store, &from.blobs, &to.blobs).await.context("copy the lists of files")?;
    let repositories = histories::copy_all(from, to).await?;
    let next = hand_over_secrets(from, to, key.as_deref())?;
    let volumes = from.store.kept_volumes().await?;
    let volumes: Vec<String> = volumes.into_iter().map(|(app, name)| format!("{app}/{name}")).collect();
    let next = if volumes.is_empty() { next } else { format!("{}\n{next}", volumes_stay(from, to, &volumes)) };
    // As they lie there, what was made on the way included.
    let tables = to.store.summary().await?;
    let rows = tables.iter().map(|table| table.rows).sum();
    let tables = tables.into_iter().map(shown).collect();
    Ok(Migrated { rows, tables, blobs, bytes, repositories, volumes, next })
}

fn shown(Moved { table, rows, sha256 }: Moved) -> MovedTable {
    MovedTable { name: table, rows, sha256: sha256.to_string() }
}

/// The master key, where it is known; an error where it is not the one that the secrets are sealed with.
async fn key_of(from: &Side) -> anyhow::Result<Option<Vec<u8>>> {
    let Some(key) = &from.key else { return Ok(None) };
    let stated = from.store.fact(FINGERPRINT).await?;
    if stated.is_some_and(|stated| stated != fingerprint(key).as_bytes()) {
        bail!("the master key that is named is not the one of this platform");
    }
    Ok(Some(key.clone()))
}

/// Volumes belong to the node whose instances have them: what is left to be done for them.
fn volumes_stay(from: &Side, to: &Side, volumes: &[String]) -> String {
    let names = volumes.join(", ");
    let (Some(old), new) = (&from.folder, &to.folder) else {
        return format!("volumes were not moved, and are still in the data folder of their node: {names}");
    };
    let old = old.path().display();
    let into = new.as_ref().map_or("the data folder of the process with the role `work`".to_owned(), |folder| {
        folder.path().display().to_string()
    });
    format!(
        "volumes and SQLite databases were NOT moved: {names}\nthey are still in {old}/volumes; before you start, move that folder and the file {old}/{NAME_FILE}, \
         which names their node, into {into}, and remove nothing of {old} until then"
    )
}

/// Puts the secrets into a data folder, or says where they are.
fn hand_over_secrets(from: &Side, to: &Side, key: Option<&[u8]>) -> anyhow::Result<String> {
    let in_folder = |side: &Side, name: &str| side.folder.as_ref().map(|folder| folder.path().join(name));
    let Some(folder) = &to.folder else {
        let key = in_folder(from, MASTER_KEY_FILE).unwrap_or_else(|| Path::new("the same file").to_owned());
        return Ok(format!(
            "start its processes with SKYLIFT_MASTER_KEY_FILE={}; the owner's token stays",
            key.display()
        ));
    };
    if let Some(key) = key {
        folder.write_private(MASTER_KEY_FILE, to_hex(key).as_bytes())?;
    }
    let token = match &from.folder {
        Some(from) => from.read_private(OWNER_TOKEN_FILE)?,
        None => None,
    };
    match token {
        Some(token) => {
            folder.write_private(OWNER_TOKEN_FILE, &token)?;
            Ok(format!("start it with `skylift up --data {}`", folder.path().display()))
        }
        None => Ok(format!(
            "start it with `skylift up --data {}`; put the file `{OWNER_TOKEN_FILE}` there first, or a new token is made",
            folder.path().display()
        )),
    }
}
