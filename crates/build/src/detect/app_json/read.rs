//! The file as it is written. Of what is not named here only the keys are kept.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// The most instances that a plan may ask for, of each process.
const INSTANCES_MAX: u64 = 100;

type Others = BTreeMap<String, IgnoredAny>;

#[derive(Default, Deserialize)]
#[serde(default, expecting = "an object, `{ … }`")]
pub(super) struct File {
    pub(super) env: BTreeMap<String, Variable>,
    pub(super) formation: BTreeMap<String, Process>,
    pub(super) healthchecks: BTreeMap<String, Vec<Check>>,
    pub(super) scripts: Scripts,
    #[serde(flatten)]
    pub(super) others: Others,
}

/// A variable: its value alone, or what there is to say of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) value: String,
    pub(super) is_required: bool,
    pub(super) generator: Option<String>,
    pub(super) is_synced: bool,
}

#[derive(Deserialize)]
struct LongVariable {
    #[serde(default)]
    value: Text,
    #[serde(default = "yes")]
    required: bool,
    generator: Option<String>,
    #[serde(default)]
    sync: bool,
}

/// A text, or a number or a truth value that is meant as one.
#[derive(Default)]
struct Text(String);

#[derive(Default, Deserialize)]
#[serde(default, expecting = "an object such as { \"quantity\": 1 }")]
pub(super) struct Process {
    #[serde(deserialize_with = "instances")]
    pub(super) quantity: Option<u32>,
    pub(super) autoscaling: Option<Autoscaling>,
    #[serde(flatten)]
    pub(super) others: Others,
}

#[derive(Default, Deserialize)]
#[serde(default, expecting = "an object such as { \"min_quantity\": 1, \"max_quantity\": 4 }")]
pub(super) struct Autoscaling {
    #[serde(deserialize_with = "instances")]
    pub(super) min_quantity: Option<u32>,
    #[serde(deserialize_with = "instances")]
    pub(super) max_quantity: Option<u32>,
    #[serde(flatten)]
    pub(super) others: Others,
}

/// When a check is made. Dokku's own order of meaning: once while an instance starts, or as long as it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum CheckType {
    #[default]
    Startup,
    Readiness,
    Liveness,
}

#[derive(Default, Deserialize)]
#[serde(default, expecting = "an object such as { \"type\": \"readiness\", \"path\": \"/up\" }")]
pub(super) struct Check {
    #[serde(rename = "type")]
    pub(super) kind: CheckType,
    pub(super) path: Option<String>,
    pub(super) attempts: Option<u32>,
    pub(super) timeout: Option<u32>,
    pub(super) wait: Option<u32>,
    #[serde(flatten)]
    pub(super) others: Others,
}

#[derive(Default, Deserialize)]
#[serde(default, expecting = "an object of commands by their names")]
pub(super) struct Scripts {
    pub(super) dokku: DokkuScripts,
    pub(super) postdeploy: Option<String>,
    #[serde(flatten)]
    pub(super) others: Others,
}

#[derive(Default, Deserialize)]
#[serde(default, expecting = "an object of commands by their names")]
pub(super) struct DokkuScripts {
    pub(super) predeploy: Option<String>,
    pub(super) postdeploy: Option<String>,
    #[serde(flatten)]
    pub(super) others: Others,
}

fn yes() -> bool {
    true
}

fn instances<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let Some(count) = Option::<u64>::deserialize(deserializer)? else { return Ok(None) };
    match u32::try_from(count) {
        Ok(count) if u64::from(count) <= INSTANCES_MAX => Ok(Some(count)),
        _ => Err(D::Error::custom(format!("{count} instances are too many: at most {INSTANCES_MAX}"))),
    }
}

/// Reads what people write for a text, and where it may be `long`, an object.
struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text in quotes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
        Ok(Text(text.to_owned()))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }

    fn visit_unit<E: Error>(self) -> Result<Text, E> {
        Ok(Text::default())
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

impl From<Text> for Variable {
    fn from(Text(value): Text) -> Self {
        Self { value, is_required: true, generator: None, is_synced: false }
    }
}

struct WrittenVariable;

impl<'de> Visitor<'de> for WrittenVariable {
    type Value = Variable;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text in quotes, or an object such as { \"value\": \"…\" }")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Variable, E> {
        Written.visit_str(text).map(Variable::from)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Variable, E> {
        Written.visit_bool(value).map(Variable::from)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Variable, E> {
        Written.visit_i64(value).map(Variable::from)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Variable, E> {
        Written.visit_u64(value).map(Variable::from)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Variable, E> {
        Written.visit_f64(value).map(Variable::from)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Variable, A::Error> {
        let LongVariable { value, required, generator, sync } =
            LongVariable::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Variable { value: value.0, is_required: required, generator, is_synced: sync })
    }
}

impl<'de> Deserialize<'de> for Variable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WrittenVariable)
    }
}
