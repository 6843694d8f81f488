//! Made-up addresses for names, one for each. Where there are no more, the name that nobody has asked for longest gives its own.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};

use crate::host::HostName;

/// Which address of the pool stands for which name.
pub(crate) struct Names {
    /// Addresses begin one after this one.
    base: Ipv4Addr,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    by_name: HashMap<HostName, u32>,
    by_place: Vec<Named>,
    /// Where the next one is looked for that can go, once all are taken.
    hand: usize,
}

struct Named {
    name: HostName,
    /// Since the hand last came by.
    is_asked: bool,
}

/// Names that have an address at a time.
const NAMES_MAX: usize = 4096;

impl Default for Names {
    /// In 198.18.0.0/15, which no host on the internet has and which guests are refused as an address.
    fn default() -> Self {
        Self::after(Ipv4Addr::new(198, 18, 0, 0))
    }
}

impl Names {
    pub(crate) fn after(base: Ipv4Addr) -> Self {
        Self { base, table: Mutex::default() }
    }

    /// The address that stands for `name` from now on.
    pub(crate) fn address_of(&self, name: &HostName) -> Option<Ipv4Addr> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let place = table.place_of(name)?;
        Some(Ipv4Addr::from_bits(self.base.to_bits().checked_add(place + 1)?))
    }

    /// The name that `ip` stands for.
    pub(crate) fn name_of(&self, ip: IpAddr) -> Option<HostName> {
        let IpAddr::V4(ip) = ip else { return None };
        let place = ip.to_bits().checked_sub(self.base.to_bits())?.checked_sub(1)?;
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        Some(table.by_place.get(usize::try_from(place).ok()?)?.name.clone())
    }
}

impl Table {
    fn place_of(&mut self, name: &HostName) -> Option<u32> {
        if let Some(place) = self.by_name.get(name).copied() {
            self.by_place.get_mut(usize::try_from(place).ok()?)?.is_asked = true;
            return Some(place);
        }
        let named = Named { name: name.clone(), is_asked: true };
        let place = if self.by_place.len() < NAMES_MAX {
            self.by_place.push(named);
            self.by_place.len() - 1
        } else {
            let place = self.least_asked()?;
            let gone = std::mem::replace(self.by_place.get_mut(place)?, named);
            self.by_name.remove(&gone.name);
            place
        };
        let place = u32::try_from(place).ok()?;
        self.by_name.insert(name.clone(), place);
        Some(place)
    }

    /// The clock algorithm (Corbató 1968): who was not asked for since the hand came by last. Twice round at most.
    fn least_asked(&mut self) -> Option<usize> {
        loop {
            let at = self.hand;
            self.hand = (at + 1) % self.by_place.len().max(1);
            let named = self.by_place.get_mut(at)?;
            if !std::mem::take(&mut named.is_asked) {
                return Some(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Target;

    fn name(text: &str) -> HostName {
        match Target::parse(text) {
            Ok(Target::Name(name)) => name,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_name_keeps_its_address_and_an_address_its_name() {
        let names = Names::default();
        let (a, b) = (name("a.example"), name("b.example"));
        let (at_a, at_b) = (names.address_of(&a).unwrap(), names.address_of(&b).unwrap());
        assert_ne!(at_a, at_b);
        assert_eq!(names.address_of(&name("A.Example.")), Some(at_a));
        assert_eq!(names.name_of(at_a.into()), Some(a));
        assert_eq!(names.name_of(at_b.into()), Some(b));
        for other in ["198.18.0.0", "198.18.0.3", "0.0.0.0", "203.0.113.1", "::1"] {
            assert_eq!(names.name_of(other.parse().unwrap()), None, "{other}");
        }
    }

    #[test]
    fn in_a_full_table_the_name_that_nobody_asked_for_gives_its_address() {
        let names = Names::default();
        let pool = |ip: Ipv4Addr| matches!(ip.octets(), [198, 18 | 19, _, _]);
        for number in 0..NAMES_MAX {
            assert!(pool(names.address_of(&name(&format!("n{number}.example"))).unwrap()));
        }
        let first = names.address_of(&name("n0.example")).unwrap();
        assert_eq!(names.address_of(&name("one-more.example")), Some(first), "all were asked for: the oldest goes");
        assert_eq!(names.name_of(first.into()), Some(name("one-more.example")));
        let kept = names.address_of(&name("n1.example")).unwrap();
        for number in 0..3 * NAMES_MAX {
            assert!(pool(names.address_of(&name(&format!("flood{number}.example"))).unwrap()));
            assert_eq!(names.address_of(&name("n1.example")), Some(kept), "who is asked for all the time stays");
        }
    }
}
