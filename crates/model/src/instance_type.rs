//! Instance types: named amounts of CPU and memory, and what of them fits a node. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The type of whoever chooses none. It is what `[instances]` of the platform's settings says.
pub const DEFAULT: &str = "default";

/// How much memory and processor an instance may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct InstanceType {
    /// What it is called.
    pub name: String,
    /// Thousandths of a CPU.
    pub cpu_millicores: u32,
    /// Memory, in bytes.
    pub memory_bytes: u64,
}

/// Those there are, each name once; the first is the default one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceTypes(Vec<InstanceType>);

/// A name that no instance type has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no instance type `{name}`; there are {}", known.join(", "))]
pub struct UnknownType {
    pub name: String,
    pub known: Vec<String>,
}

impl Default for InstanceTypes {
    fn default() -> Self {
        Self::new(1000, 512 << 20, &[])
    }
}

impl InstanceTypes {
    /// The default one as given, the built-in ones, and those of the platform's owner, which take the place of built-in ones of
    /// the same name.
    pub fn new(cpu_millicores: u32, memory_bytes: u64, owners: &[InstanceType]) -> Self {
        let one = |name: &str, cpu_millicores, mib: u64| InstanceType {
            name: name.to_owned(),
            cpu_millicores,
            memory_bytes: mib << 20,
        };
        let mut types = vec![
            InstanceType { name: DEFAULT.to_owned(), cpu_millicores, memory_bytes },
            one("nano", 250, 128),
            one("small", 500, 256),
            one("medium", 1000, 1024),
            one("large", 2000, 2048),
        ];
        for own in owners {
            match types.iter_mut().find(|there| there.name == own.name) {
                Some(there) => *there = own.clone(),
                None => types.push(own.clone()),
            }
        }
        Self(types)
    }

    /// All of them.
    pub fn all(&self) -> &[InstanceType] {
        &self.0
    }

    /// The one of that name, or the default one.
    ///
    /// # Errors
    /// Where none has that name.
    pub fn get(&self, name: Option<&str>) -> Result<&InstanceType, UnknownType> {
        let name = name.unwrap_or(DEFAULT);
        let unknown =
            || UnknownType { name: name.to_owned(), known: self.0.iter().map(|there| there.name.clone()).collect() };
        self.0.iter().find(|there| there.name == name).ok_or_else(unknown)
    }
}

impl InstanceType {
    /// What it takes of a node.
    pub const fn takes(&self) -> Capacity {
        Capacity { memory_bytes: self.memory_bytes, cpu_millicores: self.cpu_millicores as u64 }
    }
}

impl fmt::Display for InstanceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {})", self.name, cpus(u64::from(self.cpu_millicores)), memory(self.memory_bytes))
    }
}

/// Memory and processor, of a node or of instances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    pub memory_bytes: u64,
    /// Thousandths of a CPU.
    pub cpu_millicores: u64,
}

/// What is missing for one more instance, in words for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    #[error("needs {}, the node has {} left of {}", memory(*needs), memory(*left), memory(*of))]
    Memory { needs: u64, left: u64, of: u64 },
    #[error("needs {}, the node has {} left of {}", cpus(*needs), cpus(*left), cpus(*of))]
    Cpu { needs: u64, left: u64, of: u64 },
}

impl Capacity {
    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            memory_bytes: self.memory_bytes.saturating_add(other.memory_bytes),
            cpu_millicores: self.cpu_millicores.saturating_add(other.cpu_millicores),
        }
    }

    /// What is left of it without another.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self {
            memory_bytes: self.memory_bytes.saturating_sub(other.memory_bytes),
            cpu_millicores: self.cpu_millicores.saturating_sub(other.cpu_millicores),
        }
    }

    /// Whether a node of this capacity, of which `used` is taken, has room for `wanted`.
    ///
    /// # Errors
    /// What is missing.
    pub const fn fits(self, used: Self, wanted: Self) -> Result<(), NoRoom> {
        let (needs, of) = (wanted.memory_bytes, self.memory_bytes);
        let left = of.saturating_sub(used.memory_bytes);
        if needs > left {
            return Err(NoRoom::Memory { needs, left, of });
        }
        let (needs, of) = (wanted.cpu_millicores, self.cpu_millicores);
        let left = of.saturating_sub(used.cpu_millicores);
        if needs > left {
            return Err(NoRoom::Cpu { needs, left, of });
        }
        Ok(())
    }
}

/// Such as `512 MiB` or `1.5 GiB`.
fn memory(bytes: u64) -> String {
    let mib = bytes >> 20;
    match mib {
        1024.. if mib.is_multiple_of(1024) => format!("{} GiB", mib / 1024),
        10_240.. => format!("{}.{} GiB", mib / 1024, mib % 1024 * 10 / 1024),
        _ => format!("{mib} MiB"),
    }
}

/// Such as `0.5 CPU`.
pub fn cpus(millicores: u64) -> String {
    let (whole, rest) = (millicores / 1000, millicores % 1000);
    if rest == 0 {
        return format!("{whole} CPU");
    }
    format!("{whole}.{} CPU", format!("{rest:03}").trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owners_type_takes_the_place_of_a_built_in_one() {
        let own = InstanceType { name: "small".to_owned(), cpu_millicores: 100, memory_bytes: 64 << 20 };
        let types = InstanceTypes::new(1000, 512 << 20, std::slice::from_ref(&own));
        assert_eq!(types.get(Some("small")), Ok(&own));
        assert_eq!(types.get(None).unwrap().to_string(), "default (1 CPU, 512 MiB)");
        let told = types.get(Some("huge")).unwrap_err().to_string();
        assert_eq!(told, "there is no instance type `huge`; there are default, nano, small, medium, large");
    }

    #[test]
    fn what_is_missing_is_said_in_round_words() {
        let node = Capacity { memory_bytes: 2 << 30, cpu_millicores: 2000 };
        let wanted = Capacity { memory_bytes: 512 << 20, cpu_millicores: 750 };
        let used = |mib: u64, cpu_millicores| Capacity { memory_bytes: mib << 20, cpu_millicores };
        assert_eq!(node.fits(used(1536, 1250), wanted), Ok(()), "to the last byte");
        let told = |used| node.fits(used, wanted).unwrap_err().to_string();
        assert_eq!(told(used(1848, 0)), "needs 512 MiB, the node has 200 MiB left of 2 GiB");
        assert_eq!(told(used(0, 1500)), "needs 0.75 CPU, the node has 0.5 CPU left of 2 CPU");
        assert_eq!(told(used(9999, 9999)), "needs 512 MiB, the node has 0 MiB left of 2 GiB");
    }
}
