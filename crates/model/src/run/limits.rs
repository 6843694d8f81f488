//! What a run may use.

use serde::{Deserialize, Serialize};

/// What a client asks for; what is left out is as usual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct LimitsAsked {
    /// Time from its start to its end, in milliseconds.
    pub wall_ms: Option<u64>,
    /// Time of processors, of all its processes together, in milliseconds.
    pub cpu_ms: Option<u64>,
    /// Memory of all its processes, files in memory included, in bytes.
    pub memory_bytes: Option<u64>,
    /// Processes and threads at one time.
    pub pids: Option<u32>,
    /// What it prints to each of stdout and stderr, in bytes.
    pub output_bytes: Option<u64>,
    /// What its files take together, in bytes. They lie in memory.
    pub disk_bytes: Option<u64>,
    /// Open files of each process.
    pub nofile: Option<u64>,
}

/// What a run may use, each as in [`LimitsAsked`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Limits {
    /// Time from its start to its end, in milliseconds.
    pub wall_ms: u64,
    /// Time of processors, of all its processes together, in milliseconds.
    pub cpu_ms: u64,
    /// Memory of all its processes, files in memory included, in bytes.
    pub memory_bytes: u64,
    /// Processes and threads at one time.
    pub pids: u32,
    /// What it prints to each of stdout and stderr, in bytes.
    pub output_bytes: u64,
    /// What its files take together, in bytes.
    pub disk_bytes: u64,
    /// Open files of each process.
    pub nofile: u64,
}

/// What a run may use where nothing is asked for, and what may be asked for at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LimitsKnown {
    /// Where nothing is asked for.
    pub usual: Limits,
    /// At most.
    pub most: Limits,
    /// What compiling may use; not to be chosen.
    pub compile: Limits,
}

/// What a platform has where its owner says nothing.
pub const LIMITS: LimitsKnown = LimitsKnown {
    usual: Limits {
        wall_ms: 10_000,
        cpu_ms: 5_000,
        memory_bytes: 256 << 20,
        pids: 64,
        output_bytes: 1 << 20,
        disk_bytes: 64 << 20,
        nofile: 256,
    },
    most: Limits {
        wall_ms: 60_000,
        cpu_ms: 60_000,
        memory_bytes: 1 << 30,
        pids: 512,
        output_bytes: 8 << 20,
        disk_bytes: 512 << 20,
        nofile: 1024,
    },
    compile: Limits {
        wall_ms: 30_000,
        cpu_ms: 30_000,
        memory_bytes: 1 << 30,
        pids: 128,
        output_bytes: 64 << 10,
        disk_bytes: 256 << 20,
        nofile: 1024,
    },
};

/// A limit above what may be asked for, or of nothing at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{asked} is not between {least} and {most}")]
pub struct LimitsAbove {
    /// The limit's name.
    pub name: &'static str,
    /// What was asked for.
    pub asked: u64,
    /// The least that anything runs with.
    pub least: u64,
    /// What may be asked for at most.
    pub most: u64,
}

/// Less than this no interpreter starts with.
const MEMORY_BYTES_MIN: u64 = 8 << 20;
const NOFILE_MIN: u64 = 16;

impl LimitsKnown {
    /// What holds for a run. Nothing is cut down in silence: what is too much is refused, and the answer says what would not be.
    ///
    /// # Errors
    /// For the first limit that is out of its bounds.
    pub fn resolve(&self, asked: &LimitsAsked) -> Result<Limits, LimitsAbove> {
        let Self { usual, most, .. } = self;
        let pids = within("pids", asked.pids.map(u64::from), u64::from(usual.pids), 1, u64::from(most.pids))?;
        Ok(Limits {
            wall_ms: within("wall_ms", asked.wall_ms, usual.wall_ms, 1, most.wall_ms)?,
            cpu_ms: within("cpu_ms", asked.cpu_ms, usual.cpu_ms, 1, most.cpu_ms)?,
            memory_bytes: within(
                "memory_bytes",
                asked.memory_bytes,
                usual.memory_bytes,
                MEMORY_BYTES_MIN,
                most.memory_bytes,
            )?,
            pids: u32::try_from(pids).unwrap_or(most.pids),
            output_bytes: within("output_bytes", asked.output_bytes, usual.output_bytes, 0, most.output_bytes)?,
            disk_bytes: within("disk_bytes", asked.disk_bytes, usual.disk_bytes, 4096, most.disk_bytes)?,
            nofile: within("nofile", asked.nofile, usual.nofile, NOFILE_MIN, most.nofile)?,
        })
    }
}

fn within(name: &'static str, asked: Option<u64>, usual: u64, least: u64, most: u64) -> Result<u64, LimitsAbove> {
    match asked {
        None => Ok(usual.min(most)),
        Some(asked) if (least..=most).contains(&asked) => Ok(asked),
        Some(asked) => Err(LimitsAbove { name, asked, least, most }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCS: &str = include_str!("../../../../docs/runs.md");

    #[test]
    fn the_docs_have_what_holds() {
        let LimitsKnown { usual, most, compile } = LIMITS;
        let row = |name: &str, of: fn(&Limits) -> u64, least: u64| {
            let row = format!("| `{name}` | {} | {} | {least} | {} |", of(&usual), of(&most), of(&compile));
            assert!(DOCS.contains(&row), "{row}");
            let asked = |value: u64| {
                let text = format!(r#"{{"{name}":{value}}}"#);
                LIMITS.resolve(&serde_json::from_str(&text).unwrap()).is_ok()
            };
            assert!(asked(least) && asked(of(&most)) && !asked(of(&most) + 1), "{name}");
            assert!(least == 0 || !asked(least - 1), "{name}");
        };
        row("wall_ms", |limits| limits.wall_ms, 1);
        row("cpu_ms", |limits| limits.cpu_ms, 1);
        row("memory_bytes", |limits| limits.memory_bytes, MEMORY_BYTES_MIN);
        row("pids", |limits| u64::from(limits.pids), 1);
        row("output_bytes", |limits| limits.output_bytes, 0);
        row("disk_bytes", |limits| limits.disk_bytes, 4096);
        row("nofile", |limits| limits.nofile, NOFILE_MIN);
    }

    #[test]
    fn what_is_left_out_is_as_usual_and_what_is_too_much_is_named() {
        let asked = LimitsAsked { wall_ms: Some(500), ..LimitsAsked::default() };
        let limits = LIMITS.resolve(&asked).unwrap();
        assert_eq!(limits, Limits { wall_ms: 500, ..LIMITS.usual });
        let above = LIMITS.resolve(&LimitsAsked { pids: Some(513), ..asked }).unwrap_err();
        assert_eq!((above.name, above.to_string().as_str()), ("pids", "513 is not between 1 and 512"));
        assert!(LIMITS.resolve(&LimitsAsked { memory_bytes: Some(1), ..asked }).is_err());
        assert!(LIMITS.resolve(&LimitsAsked { wall_ms: Some(0), ..asked }).is_err());
    }

    #[test]
    fn an_owner_who_allows_less_than_is_usual_is_obeyed() {
        let known = LimitsKnown { most: Limits { wall_ms: 1_000, ..LIMITS.most }, ..LIMITS };
        assert_eq!(known.resolve(&LimitsAsked::default()).unwrap().wall_ms, 1_000);
    }
}
