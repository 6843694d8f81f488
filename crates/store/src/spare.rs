//! Instances that their apps could do without, and how they give their room on a full node.

use std::collections::BTreeMap;

use skylift_model::instance_type::{Capacity, InstanceTypes};
use skylift_model::program::WEB;
use skylift_model::{AppName, DeploymentId, InstanceId, InstanceState, Timestamp};

use crate::deployments::live_of;
use crate::instances::{InstanceRow, change};
use crate::room::{capacity, capacity_of, taken};
use crate::session::{Session, params};
use crate::{StoreError, apps, instances, scaling, sql, templates};

/// Who may be asked for room, and for whom.
#[derive(Clone, Copy)]
pub(crate) enum Donors<'a> {
    /// Old instances of the app itself.
    Own(&'a AppName),
    /// Everybody, for that app.
    All(&'a AppName),
}

/// An app that has more than it must have.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Donor {
    app: AppName,
    /// How many healthy ones answer beyond its least.
    beyond: u32,
    /// How many start or are ready, before it gives any.
    there: u32,
    /// Those on the node in question that may go; the one to go first is the last.
    instances: Vec<Spare>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Spare {
    id: InstanceId,
    /// Whether it takes requests, which are to come to their end.
    is_ready: bool,
    /// Whether one that answers well is lost with it.
    counts: bool,
    takes: Capacity,
}

/// Takes instances from those that have the most beyond their least, one by one, until `wanted` fits beside what stays and what
/// is `claimed`. None is taken where that would not do. `deployment`: what the room is for.
pub(crate) fn give(
    session: &Session,
    donors: Donors<'_>,
    deployment: &DeploymentId,
    (node, types): (&str, &InstanceTypes),
    (wanted, claimed): (Capacity, Capacity),
    now: Timestamp,
) -> Result<Vec<AppName>, StoreError> {
    let Some(of) = capacity_of(session, node)? else { return Ok(Vec::new()) };
    let staying = taken(session, node, "'starting', 'ready'")?.and(claimed);
    let fits = |freed: Capacity| of.fits(staying.without(freed), wanted).is_ok();
    let (Donors::Own(to) | Donors::All(to)) = donors;
    let asked = match donors {
        Donors::Own(app) => donor(session, app, Some(deployment), (node, types))?.into_iter().collect(),
        Donors::All(_) => all(session, to, deployment, (node, types))?,
    };
    let mut left: BTreeMap<AppName, u32> = BTreeMap::new();
    for (donor, spare) in chosen(asked, fits) {
        let goes_to = if spare.is_ready { InstanceState::Draining } else { InstanceState::Stopping };
        change(session, &spare.id, goes_to, now)?;
        let left = left.entry(donor.app).or_insert(donor.there);
        *left = left.saturating_sub(1);
    }
    for (donor, there) in &left {
        // What replaces its own old ones is wanted as before.
        if donor != to {
            scaling::lower(session, donor, *there, &format!("the node is full, and `{to}` had too few"), now)?;
        } else if matches!(donors, Donors::All(_)) {
            let why = "the node is full, and new instances take the place of old ones";
            scaling::lower(session, donor, *there, why, now)?;
        }
    }
    Ok(left.into_keys().collect())
}

/// Which give theirs; none where not even all would do, and none in vain. Pure.
fn chosen(mut donors: Vec<Donor>, fits: impl Fn(Capacity) -> bool) -> Vec<(Donor, Spare)> {
    let (mut freed, mut chosen) = (Capacity::default(), Vec::new());
    while !fits(freed) {
        let may_give =
            |donor: &&mut Donor| donor.instances.last().is_some_and(|spare| !spare.counts || donor.beyond > 0);
        let most = donors.iter_mut().filter(may_give).max_by_key(|donor| donor.beyond);
        let Some((donor, spare)) = most.and_then(|donor| donor.instances.pop().map(|spare| (donor, spare))) else {
            return Vec::new();
        };
        let gives = Donor { instances: Vec::new(), ..donor.clone() };
        donor.beyond -= u32::from(spare.counts);
        freed = freed.and(spare.takes);
        chosen.push((gives, spare));
    }
    // A large one that came late may have made small ones needless.
    let mut at = 0;
    while let Some((_, spare)) = chosen.get(at) {
        let without = freed.without(spare.takes);
        if fits(without) {
            freed = without;
            chosen.remove(at);
        } else {
            at += 1;
        }
    }
    chosen
}

/// What each app with instances on the node could give.
fn all(
    session: &Session,
    to: &AppName,
    deployment: &DeploymentId,
    (node, types): (&str, &InstanceTypes),
) -> Result<Vec<Donor>, StoreError> {
    let apps = session.all(
        "SELECT app FROM instances WHERE process = ?1 AND state IN ('starting', 'ready') AND node = ?2
         GROUP BY app ORDER BY app",
        &params![WEB, node],
        |row| sql::parsed::<AppName>(row, "app"),
    )?;
    let donors = apps.iter().map(|app| donor(session, app, Some(deployment).filter(|_| app == to), (node, types)));
    Ok(donors.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// An app with what it could give: unhealthy ones first, then those that do not answer yet, then the youngest. Of an app that
/// replaces its instances, the new ones are not asked for; nothing of one that has fewer healthy ones than its least. `takes_over`:
/// what is about to be live of it.
fn donor(
    session: &Session,
    app: &AppName,
    takes_over: Option<&DeploymentId>,
    (node, types): (&str, &InstanceTypes),
) -> Result<Option<Donor>, StoreError> {
    let row = apps::find(session, app)?;
    let Some(live) = live_of(session, app)?.filter(|live| live.runs) else { return Ok(None) };
    let in_force = templates::version_in_force(session, &row, &live, types)?;
    let sql = "SELECT * FROM instances WHERE app = ?1 AND process = ?2 AND state IN ('starting', 'ready') ORDER BY id";
    let there = session.all(sql, &params![app.as_str(), WEB], |row| Ok((instances::read(row)?, capacity(row)?)))?;
    let next = takes_over.filter(|next| **next != live.id);
    let is_of_it = |one: &InstanceRow| next.map_or(one.deployment == live.id, |next| one.deployment != *next);
    let is_stale = |one: &InstanceRow| one.created_at < row.restarted_at || in_force.outdates(one.template);
    let is_old = |one: &InstanceRow| is_of_it(one) && (next.is_some() || is_stale(one));
    let is_well = |one: &InstanceRow| one.state == InstanceState::Ready && one.unhealthy_since.is_none();
    let healthy = u32::try_from(there.iter().filter(|(one, _)| is_well(one)).count()).unwrap_or(u32::MAX);
    let Some(beyond) = healthy.checked_sub(row.scaling.least()) else { return Ok(None) };
    let is_replacing = there.iter().any(|(one, _)| is_old(one));
    let may_go = |one: &InstanceRow| one.node == node && is_of_it(one) && (!is_replacing || is_old(one));
    let mut spares: Vec<_> = there.iter().filter(|(one, _)| may_go(one)).collect();
    spares.sort_by_key(|(one, _)| (!is_well(one), one.unhealthy_since.is_some()));
    let spare = |(one, takes): &(InstanceRow, Capacity)| Spare {
        id: one.id.clone(),
        is_ready: one.state == InstanceState::Ready,
        counts: is_well(one),
        takes: *takes,
    };
    let instances = spares.into_iter().map(spare).collect();
    Ok(Some(Donor { app: row.name, beyond, there: u32::try_from(there.len()).unwrap_or(u32::MAX), instances }))
}

#[cfg(test)]
mod tests {
    use skylift_model::Timestamp;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn takes(mib: u64) -> Capacity {
        Capacity { memory_bytes: mib * MIB, cpu_millicores: 0 }
    }

    /// All of whose instances are healthy.
    fn donor(app: &str, least: u32, sizes: &[u64]) -> Donor {
        let instances = sizes.iter().zip(0..).map(|(mib, at)| Spare {
            id: InstanceId::new(Timestamp::from_millis(at), 0),
            is_ready: true,
            counts: true,
            takes: takes(*mib),
        });
        let instances: Vec<_> = instances.collect();
        let there = u32::try_from(instances.len()).unwrap();
        Donor { app: app.parse().unwrap(), beyond: there - least, there, instances }
    }

    fn told(donors: Vec<Donor>, needs: u64) -> Vec<String> {
        let fits = |freed: Capacity| freed.memory_bytes >= needs * MIB;
        chosen(donors, fits).into_iter().map(|(donor, _)| format!("{} {}", donor.app, donor.beyond)).collect()
    }

    #[test]
    fn whoever_has_the_most_beyond_its_least_gives_first_and_nobody_below_it() {
        let donors = || vec![donor("a", 1, &[10, 10, 10]), donor("b", 4, &[10; 5]), donor("c", 2, &[10; 2])];
        assert_eq!(told(donors(), 10), ["a 2"]);
        assert_eq!(told(donors(), 20).len(), 2);
        let mut three = told(donors(), 30);
        three.sort();
        assert_eq!(three, ["a 1", "a 2", "b 1"], "c has no more than its least");
        assert_eq!(told(donors(), 31), [""; 0], "where all of it is not enough, nobody gives any");
        assert_eq!(told(donors(), 0), [""; 0]);
    }

    #[test]
    fn the_last_goes_first_and_nobody_goes_in_vain() {
        let gone = chosen(vec![donor("a", 1, &[1, 2, 3])], |freed| freed.memory_bytes >= MIB);
        assert_eq!(gone.iter().map(|(_, spare)| spare.takes).collect::<Vec<_>>(), [takes(3)]);
        let many = vec![donor("a", 1, &[1; 9]), donor("b", 1, &[20, 20])];
        let gone = chosen(many, |freed| freed.memory_bytes >= 20 * MIB);
        assert_eq!(gone.iter().map(|(_, spare)| spare.takes).collect::<Vec<_>>(), [takes(20)]);
    }

    #[test]
    fn who_gives_is_counted_as_it_was_whatever_turned_out_to_be_needless() {
        let many = vec![donor("a", 1, &[1; 4]), donor("b", 3, &[8; 3])];
        let gone = chosen(many, |freed| freed.memory_bytes >= 2 * MIB);
        assert_eq!(gone.iter().map(|(donor, _)| (donor.app.as_str(), donor.there)).collect::<Vec<_>>(), [("a", 4); 2]);
    }

    #[test]
    fn what_does_not_answer_well_goes_without_being_beyond_the_least() {
        let mut sick = donor("a", 1, &[5, 5]);
        sick.beyond = 0;
        sick.instances[1].counts = false;
        let gone = chosen(vec![sick.clone()], |freed| freed.memory_bytes >= 5 * MIB);
        assert_eq!(gone.len(), 1);
        assert!(chosen(vec![sick], |freed| freed.memory_bytes >= 10 * MIB).is_empty(), "the other one is all it has");
    }
}
