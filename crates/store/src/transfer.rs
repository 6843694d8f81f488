//! All rows of one store into another, empty one: in one transaction, compared before it is committed.
//!
//! Neither may serve meanwhile: a file is held by its data folder's lock, a server by [`Store::connect_alone`].

mod tables;

use skylift_model::Digest;
use skylift_model::digest::Hasher;

use crate::session::{Cell, Row, Session, Value, params};
use crate::{Store, StoreError};
use tables::{TABLES, Table};

/// How many rows are read at once.
const PAGE: u32 = 500;
/// The fact by which a store is known to those that its rows were moved to.
const ORIGIN: &str = "origin";
/// In a store that rows are being moved to: where from.
const COMES_FROM: &str = "comes-from";
/// The same, once all rows are there.
const CAME_FROM: &str = "came-from";

/// How many rows of a table were moved, and what they are, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    pub table: &'static str,
    pub rows: u64,
    pub sha256: Digest,
}

/// Whether rows can be moved into a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// It has none; it is held for this move.
    Empty,
    /// The same move put all of them there before.
    Done,
    /// It has others, or another move is under way.
    Taken,
}

impl Store {
    /// A name of this store that no other has.
    pub async fn origin(&self) -> Result<Vec<u8>, StoreError> {
        let made = [crate::sql::random()?, crate::sql::random()?].map(u64::to_be_bytes).concat();
        self.state_fact(ORIGIN, made).await
    }

    /// Makes sure that this store has room for the rows of the one that `origin` names, and holds it for them.
    pub async fn make_room(&self, origin: Vec<u8>) -> Result<Room, StoreError> {
        self.write(move |session| {
            if fact(session, CAME_FROM)?.is_some_and(|came| came == origin) {
                return Ok(Room::Done);
            }
            let held = fact(session, COMES_FROM)?;
            for table in TABLES.iter().filter(|table| table.name != "facts") {
                if session.exists(&format!("SELECT 1 FROM {} LIMIT 1", table.name), &[])? {
                    return Ok(Room::Taken);
                }
            }
            let other_facts = session.exists("SELECT 1 FROM facts WHERE name <> ?1", &params![COMES_FROM])?;
            match held {
                _ if other_facts => Ok(Room::Taken),
                Some(held) if held == origin => Ok(Room::Empty),
                Some(_) => Ok(Room::Taken),
                None => {
                    let sql = "INSERT INTO facts (name, value) VALUES (?1, ?2)";
                    session.execute(sql, &params![COMES_FROM, &origin])?;
                    Ok(Room::Empty)
                }
            }
        })
        .await
    }

    /// Takes over every row of another store, all or none; every row was read back and compared when this returns. This
    /// one must have [room](Store::make_room).
    pub async fn take_over(&self, from: &Self) -> Result<Vec<Moved>, StoreError> {
        let from = from.clone();
        self.write(move |session| {
            let read = |table: &Table, after: &[Cell]| from.0.readers.run(|source| page(source, table, after));
            let origin =
                fact(session, COMES_FROM)?.ok_or_else(|| StoreError::Damaged("no room was made".to_owned()))?;
            session.execute("DELETE FROM facts", &[])?;
            let mut moved = Vec::with_capacity(TABLES.len());
            for table in TABLES {
                let there = each(table, read, |row| insert(session, table, row))?;
                let here = each(table, |table, after| page(session, table, after), |_| Ok(()))?;
                if there != here {
                    return Err(StoreError::Damaged(format!("{} came over as other rows", table.name)));
                }
                moved.push(here);
            }
            session.follow_numbers("activations", "id")?;
            session.execute("DELETE FROM facts WHERE name IN (?1, ?2)", &params![ORIGIN, CAME_FROM])?;
            session.execute("INSERT INTO facts (name, value) VALUES (?1, ?2)", &params![CAME_FROM, &origin])?;
            Ok(moved)
        })
        .await
    }

    /// How many rows each table has, and what they are.
    pub async fn summary(&self) -> Result<Vec<Moved>, StoreError> {
        self.read(|session| {
            TABLES.iter().map(|table| each(table, |table, after| page(session, table, after), |_| Ok(()))).collect()
        })
        .await
    }
}

fn fact(session: &Session, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
    session.first("SELECT value FROM facts WHERE name = ?1", &params![name], |row| row.get("value"))
}

/// Goes through a table page by page, in the order of its key.
fn each(
    table: &Table,
    read: impl Fn(&Table, &[Cell]) -> Result<Vec<Vec<Cell>>, StoreError>,
    mut visit: impl FnMut(&[Cell]) -> Result<(), StoreError>,
) -> Result<Moved, StoreError> {
    let (mut rows, mut hasher, mut after) = (0, Hasher::new(), Vec::new());
    loop {
        let mut page = read(table, &after)?;
        for row in &page {
            visit(row)?;
            row.iter().for_each(|cell| add(&mut hasher, cell));
        }
        rows += page.len() as u64;
        match page.pop() {
            Some(mut last) => {
                last.truncate(table.key);
                after = last;
            }
            None => return Ok(Moved { table: table.name, rows, sha256: hasher.finish() }),
        }
    }
}

fn page(session: &Session, table: &Table, after: &[Cell]) -> Result<Vec<Vec<Cell>>, StoreError> {
    let key = table.columns.iter().take(table.key).copied().collect::<Vec<_>>().join(", ");
    let beyond = match after.len() {
        0 => String::new(),
        count => format!("WHERE ({key}) > ({})", places(count)),
    };
    let sql = format!("SELECT {} FROM {} {beyond} ORDER BY {key} LIMIT {PAGE}", table.columns.join(", "), table.name);
    let parameters: Vec<Value<'_>> = after.iter().map(Value::from).collect();
    session.all(&sql, &parameters, |row: &Row<'_>| table.columns.iter().map(|column| row.get(column)).collect())
}

fn insert(session: &Session, table: &Table, row: &[Cell]) -> Result<(), StoreError> {
    let values: Vec<Value<'_>> = row.iter().map(Value::from).collect();
    let (columns, places) = (table.columns.join(", "), places(row.len()));
    let sql = format!("INSERT INTO {} ({columns}) {} VALUES ({places})", table.name, session.with_own_numbers());
    session.execute(&sql, &values).map(|_| ())
}

fn places(count: usize) -> String {
    (1..=count).map(|number| format!("?{number}")).collect::<Vec<_>>().join(", ")
}

/// Adds a cell so that no two rows add the same bytes.
fn add(hasher: &mut Hasher, cell: &Cell) {
    let (kind, bytes) = match cell {
        Cell::Null => (0, Vec::new()),
        Cell::Integer(value) => (1, value.to_be_bytes().to_vec()),
        // A server's texts hold no NUL; it is replaced on the way there.
        Cell::Text(text) => (2, text.replace('\0', "\u{fffd}").into_bytes()),
        Cell::Bytes(bytes) => (3, bytes.clone()),
    };
    hasher.update(&[kind]);
    hasher.update(&(bytes.len() as u64).to_be_bytes());
    hasher.update(&bytes);
}
