//! Made-up addresses for names, one for each, as long as the gateway lives.

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
    by_place: Vec<HostName>,
}

/// Names one guest may ask for; then no further one gets an address.
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

    /// The address that stands for `name`; `None` once the table is full.
    pub(crate) fn address_of(&self, name: &HostName) -> Option<Ipv4Addr> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let place = match table.by_name.get(name) {
            Some(place) => *place,
            None if table.by_place.len() >= NAMES_MAX => return None,
            None => {
                let place = u32::try_from(table.by_place.len()).ok()?;
                table.by_place.push(name.clone());
                table.by_name.insert(name.clone(), place);
                place
            }
        };
        Some(Ipv4Addr::from_bits(self.base.to_bits().checked_add(place + 1)?))
    }

    /// The name that `ip` stands for.
    pub(crate) fn name_of(&self, ip: IpAddr) -> Option<HostName> {
        let IpAddr::V4(ip) = ip else { return None };
        let place = ip.to_bits().checked_sub(self.base.to_bits())?.checked_sub(1)?;
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.by_place.get(usize::try_from(place).ok()?).cloned()
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
    fn a_full_table_takes_no_further_name_and_keeps_the_old_ones() {
        let names = Names::default();
        let pool = |ip: Ipv4Addr| matches!(ip.octets(), [198, 18 | 19, _, _]);
        for number in 0..NAMES_MAX {
            assert!(pool(names.address_of(&name(&format!("n{number}.example"))).unwrap()));
        }
        assert_eq!(names.address_of(&name("one-more.example")), None);
        assert!(names.address_of(&name("n0.example")).is_some());
    }
}
