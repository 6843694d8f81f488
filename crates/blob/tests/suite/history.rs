//! Random histories of two processes, step by step against a model that fits on a page.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use skylift_blob::Blobs;
use skylift_model::Digest;

use crate::Place;

const KINDS: u64 = 12;
const STEPS: usize = 60;
const GRACE: Duration = Duration::from_secs(100);

#[derive(Clone, Copy, Debug)]
enum Op {
    Put(u64),
    PutAll(u64),
    Write(u64),
    Read(u64),
    PutObject(u64),
    NameObject(u64),
    DeleteObject(u64),
    /// Clean-up finds that nothing names the blobs of this remainder by three, long after they were stored.
    CleanUp(u64),
}

/// What must be there, and what may be gone.
#[derive(Default)]
struct Model {
    stored: BTreeSet<u64>,
    released: BTreeSet<u64>,
    objects: BTreeMap<u64, u64>,
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn op(&mut self) -> Op {
        let which = self.below(KINDS);
        match self.below(14) {
            0..3 => Op::Put(which),
            3 => Op::PutAll(which),
            4 => Op::Write(which),
            5..9 => Op::Read(which),
            9 => Op::PutObject(which),
            10 => Op::NameObject(which),
            11 => Op::DeleteObject(which),
            _ => Op::CleanUp(which % 3),
        }
    }
}

fn bytes(which: u64) -> Vec<u8> {
    vec![which as u8; 1000 * which as usize]
}

fn key(which: u64) -> skylift_blob::ObjectKey {
    format!("build/d-{}/manifest.json", which % 3).parse().unwrap()
}

pub(crate) async fn agrees_with_the_model(place: &Place, seed: u64) {
    let mut random = Random(seed);
    let processes = [place.open().await, place.open().await];
    let mut model = Model::default();
    let mut now = SystemTime::now();
    for which in 0..3 {
        processes[0].1.delete_object(key(which)).await.unwrap();
    }
    for step in 0..STEPS {
        let op = random.op();
        let (_, blobs) = &processes[random.below(2) as usize];
        now += GRACE * 2;
        apply(blobs, &mut model, op, now).await.unwrap_or_else(|why| panic!("seed {seed}, step {step}, {op:?}: {why}"));
    }
    for _ in 0..2 {
        now += GRACE * 2;
        let released = model.released.iter().map(|which| Digest::of(&bytes(*which))).collect();
        processes[1].1.delete_stale(released, GRACE, now).await.unwrap();
    }
    let listed: BTreeSet<Digest> = processes[0].1.list().await.unwrap().into_iter().map(|(digest, _)| digest).collect();
    for which in 0..KINDS {
        let is_listed = listed.contains(&Digest::of(&bytes(which)));
        assert!(!model.released.contains(&which) || !is_listed, "seed {seed}: {which} never goes");
        assert!(!model.stored.contains(&which) || is_listed, "seed {seed}: {which} is lost");
    }
}

async fn apply(blobs: &Blobs, model: &mut Model, op: Op, now: SystemTime) -> Result<(), String> {
    let said = |error: skylift_blob::BlobError| error.to_string();
    match op {
        Op::Put(which) => {
            blobs.put(bytes(which)).await.map_err(said)?;
            model.store(which);
        }
        Op::PutAll(which) => {
            let all = [which, (which + 1) % KINDS, which];
            blobs.put_all(all.map(bytes).to_vec()).await.map_err(said)?;
            all.iter().for_each(|which| model.store(*which));
        }
        Op::Write(which) => {
            let mut writer = blobs.writer().await.map_err(said)?;
            writer.write(bytes(which)).await.map_err(said)?;
            writer.finish(None).await.map_err(said)?;
            model.store(which);
        }
        Op::Read(which) => {
            let found = blobs.get(&Digest::of(&bytes(which)), 1 << 20).await.map_err(said)?;
            if found.as_ref().is_some_and(|found| *found != bytes(which)) {
                return Err("wrong bytes".to_owned());
            }
            if found.is_none() && model.stored.contains(&which) {
                return Err("it is lost".to_owned());
            }
        }
        Op::PutObject(which) => {
            blobs.put_object(key(which), bytes(which)).await.map_err(said)?;
            model.objects.insert(which % 3, which);
            model.check_object(blobs, which).await?;
        }
        Op::NameObject(which) if model.stored.contains(&which) => {
            blobs.name_object(key(which), &Digest::of(&bytes(which))).await.map_err(said)?;
            model.objects.insert(which % 3, which);
            model.check_object(blobs, which).await?;
        }
        Op::NameObject(which) => model.check_object(blobs, which).await?,
        Op::DeleteObject(which) => {
            blobs.delete_object(key(which)).await.map_err(said)?;
            model.objects.remove(&(which % 3));
            model.check_object(blobs, which).await?;
        }
        Op::CleanUp(rest) => {
            let unnamed: Vec<u64> = (0..KINDS).filter(|which| which % 3 == rest).collect();
            let digests = unnamed.iter().map(|which| Digest::of(&bytes(*which))).collect();
            blobs.delete_stale(digests, GRACE, now).await.map_err(said)?;
            for which in unnamed {
                if model.stored.remove(&which) {
                    model.released.insert(which);
                }
            }
        }
    }
    Ok(())
}

impl Model {
    fn store(&mut self, which: u64) {
        self.stored.insert(which);
        self.released.remove(&which);
    }

    async fn check_object(&self, blobs: &Blobs, which: u64) -> Result<(), String> {
        let found = blobs.get_object(key(which)).await.map_err(|error| error.to_string())?;
        let expected = self.objects.get(&(which % 3)).map(|which| bytes(*which));
        if found == expected { Ok(()) } else { Err("the object is another one".to_owned()) }
    }
}
