//! Instances that their apps could do without, and how they give their room on a full node.

use skylift_model::instance_type::Capacity;
use skylift_model::program::WEB;
use skylift_model::{AppName, InstanceId, InstanceState, Timestamp};

use crate::instances::change;
use crate::room::{capacity, capacity_of, taken};
use crate::session::{Session, params};
use crate::{StoreError, scaling, sql};

/// An app that has more instances than its least.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Donor {
    app: AppName,
    least: u32,
    /// How many start or are ready, on every node.
    there: u32,
    /// Those on the node in question, and what each takes; the one to go first is the last.
    instances: Vec<Spare>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Spare {
    id: InstanceId,
    /// Whether it takes requests, which are to come to their end.
    is_ready: bool,
    takes: Capacity,
}

/// Takes instances from those that have the most beyond their least, one by one, until `wanted` fits beside what stays and what
/// is `claimed`. None is taken where that would not do.
pub(crate) fn give(
    session: &Session,
    to: &AppName,
    node: &str,
    (wanted, claimed): (Capacity, Capacity),
    now: Timestamp,
) -> Result<Vec<AppName>, StoreError> {
    let Some(of) = capacity_of(session, node)? else { return Ok(Vec::new()) };
    let staying = taken(session, node, "'starting', 'ready'")?.and(claimed);
    let fits = |freed: Capacity| of.fits(staying.without(freed), wanted).is_ok();
    let mut gave = Vec::new();
    for (donor, spare) in chosen(donors(session, node)?, fits) {
        change(
            session,
            &spare.id,
            if spare.is_ready { InstanceState::Draining } else { InstanceState::Stopping },
            now,
        )?;
        let why = if donor.app == *to {
            "the node is full, and new instances take the place of old ones".to_owned()
        } else {
            format!("the node is full, and `{to}` had too few")
        };
        scaling::lower(session, &donor.app, donor.there, why.as_str(), now)?;
        gave.push(donor.app);
    }
    gave.dedup();
    Ok(gave)
}

/// Which give theirs, each as it is then; none where not even all would do. Pure.
fn chosen(mut donors: Vec<Donor>, fits: impl Fn(Capacity) -> bool) -> Vec<(Donor, Spare)> {
    let (mut freed, mut chosen) = (Capacity::default(), Vec::new());
    while !fits(freed) {
        let most = donors
            .iter_mut()
            .filter(|donor| donor.there > donor.least && !donor.instances.is_empty())
            .max_by_key(|donor| donor.there - donor.least);
        let Some((donor, spare)) = most.and_then(|donor| donor.instances.pop().map(|spare| (donor, spare))) else {
            return Vec::new();
        };
        donor.there -= 1;
        freed = freed.and(spare.takes);
        chosen.push((Donor { instances: Vec::new(), ..donor.clone() }, spare));
    }
    chosen
}

/// Apps with instances on a node of what is live, beyond their least.
fn donors(session: &Session, node: &str) -> Result<Vec<Donor>, StoreError> {
    let donors = session.all(
        "SELECT apps.name, apps.scaling, deployments.plan AS live_plan, COUNT(*) AS there
         FROM apps JOIN activations ON activations.id = apps.activation
         JOIN deployments ON deployments.id = activations.deployment
         JOIN instances AS i ON i.app = apps.name AND i.deployment = deployments.id
             AND i.process = ?1 AND i.state IN ('starting', 'ready')
         GROUP BY apps.name, apps.scaling, deployments.plan HAVING COUNT(*) > 1 ORDER BY apps.name",
        &params![WEB],
        |row| {
            let there = u32::try_from(sql::count(row, "there")?).unwrap_or(u32::MAX);
            let least = scaling::read(row)?.least();
            Ok(Donor { app: sql::parsed(row, "name")?, least, there, instances: Vec::new() })
        },
    )?;
    let beyond = donors.into_iter().filter(|donor| donor.there > donor.least);
    beyond.map(|donor| Ok(Donor { instances: spares(session, node, &donor.app)?, ..donor })).collect()
}

/// Those of an app on a node: the old ones, which have proven themselves, first, and those that do not answer yet last.
fn spares(session: &Session, node: &str, app: &AppName) -> Result<Vec<Spare>, StoreError> {
    session.all(
        "SELECT i.id, i.state, i.memory_bytes, i.cpu_millicores FROM instances AS i
         JOIN apps ON apps.name = i.app JOIN activations ON activations.id = apps.activation
         WHERE i.app = ?1 AND i.node = ?2 AND i.process = ?3 AND i.state IN ('starting', 'ready')
             AND i.deployment = activations.deployment
         ORDER BY CASE i.state WHEN 'ready' THEN 0 ELSE 1 END, i.id",
        &params![app.as_str(), node, WEB],
        |row| {
            let is_ready = row.get::<String>("state")? == InstanceState::Ready.as_str();
            Ok(Spare { id: sql::parsed(row, "id")?, is_ready, takes: capacity(row)? })
        },
    )
}

#[cfg(test)]
mod tests {
    use skylift_model::Timestamp;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn takes(mib: u64) -> Capacity {
        Capacity { memory_bytes: mib * MIB, cpu_millicores: 0 }
    }

    fn donor(app: &str, least: u32, sizes: &[u64]) -> Donor {
        let instances = sizes.iter().zip(0..).map(|(mib, at)| Spare {
            id: InstanceId::new(Timestamp::from_millis(at), 0),
            is_ready: true,
            takes: takes(*mib),
        });
        let instances: Vec<_> = instances.collect();
        Donor { app: app.parse().unwrap(), least, there: u32::try_from(instances.len()).unwrap(), instances }
    }

    fn told(donors: Vec<Donor>, needs: u64) -> Vec<String> {
        let fits = |freed: Capacity| freed.memory_bytes >= needs * MIB;
        chosen(donors, fits).into_iter().map(|(donor, _)| format!("{} {}", donor.app, donor.there)).collect()
    }

    #[test]
    fn whoever_has_the_most_beyond_its_least_gives_first_and_nobody_below_it() {
        let donors = || vec![donor("a", 1, &[10, 10, 10]), donor("b", 4, &[10; 5]), donor("c", 2, &[10; 2])];
        assert_eq!(told(donors(), 10), ["a 2"]);
        assert_eq!(told(donors(), 20).len(), 2);
        let mut three = told(donors(), 30);
        three.sort();
        assert_eq!(three, ["a 1", "a 2", "b 4"], "c has no more than its least");
        assert_eq!(told(donors(), 31), [""; 0], "where all of it is not enough, nobody gives any");
        assert_eq!(told(donors(), 0), [""; 0]);
    }

    #[test]
    fn the_youngest_goes_first() {
        let gone = chosen(vec![donor("a", 1, &[1, 2, 3])], |freed| freed.memory_bytes >= MIB);
        assert_eq!(gone.iter().map(|(_, spare)| spare.takes).collect::<Vec<_>>(), [takes(3)]);
    }
}
