//! `[[net.out]]` and `[[net.in]]`: rules for an app's network.

use skylift_egress::never;
use skylift_model::net::{InRule, InvalidRules, NetRules, OutRule, Peer};
use toml::de::DeTable;

use super::{Key, Reader, Value, name};

const OUT_KEYS: &[&str] = &["to", "ports", "deny"];
const IN_KEYS: &[&str] = &["from", "deny"];

impl Reader<'_> {
    pub(super) fn net(&mut self, key: &Key<'_>, value: &Value<'_>) -> NetRules {
        let mut rules = NetRules::default();
        let Some(table) = value.get_ref().as_table() else {
            self.mistake(key.span(), "write `[[net.out]]` or `[[net.in]]` and its settings below it".to_owned());
            return rules;
        };
        for (key, value) in table.iter() {
            match name(key) {
                "out" => rules.out = self.rules(key, value, Self::out_rule),
                "in" => rules.inward = self.rules(key, value, Self::in_rule),
                _ => self.unknown(key, " in `[net]`", &["[[net.out]]", "[[net.in]]"]),
            }
        }
        if let Err(error) = rules.check() {
            self.mistake(key.span(), error.to_string());
        }
        rules
    }

    fn rules<R>(
        &mut self,
        key: &Key<'_>,
        value: &Value<'_>,
        read: impl Fn(&mut Self, &DeTable<'_>) -> Option<R>,
    ) -> Vec<R> {
        let list = value.get_ref().as_array();
        let tables = list.map(|list| list.iter().map(|entry| entry.get_ref().as_table()).collect::<Option<Vec<_>>>());
        let Some(Some(tables)) = tables else {
            let message = format!("`net.{0}` is a list of sections: write `[[net.{0}]]`", name(key));
            self.mistake(key.span(), message);
            return Vec::new();
        };
        tables.into_iter().filter_map(|table| read(self, table)).collect()
    }

    fn out_rule(&mut self, table: &DeTable<'_>) -> Option<OutRule> {
        let (mut rule, mut is_right) = (OutRule { deny: false, to: Peer::Any, ports: Vec::new() }, true);
        for (key, value) in table.iter() {
            match name(key) {
                "to" => is_right &= self.peer(key, value).map(|peer| rule.to = peer).is_some(),
                "ports" => is_right &= self.ports(key, value).map(|ports| rule.ports = ports).is_some(),
                "deny" => is_right &= self.yes_or_no(key, value).map(|deny| rule.deny = deny).is_some(),
                _ => self.unknown(key, " in `[[net.out]]`", OUT_KEYS),
            }
        }
        if let (Some((_, value)), Some(never)) = (table.get_key_value("to"), never(&rule, None)) {
            self.mistake(value.span(), format!("{never}: ask the platform's owner for a `[[service]]`"));
        }
        is_right.then_some(rule)
    }

    fn in_rule(&mut self, table: &DeTable<'_>) -> Option<InRule> {
        let (mut rule, mut is_right) = (InRule { deny: false, from: Peer::Any }, true);
        for (key, value) in table.iter() {
            match name(key) {
                "from" => is_right &= self.peer(key, value).map(|peer| rule.from = peer).is_some(),
                "deny" => is_right &= self.yes_or_no(key, value).map(|deny| rule.deny = deny).is_some(),
                _ => self.unknown(key, " in `[[net.in]]`", IN_KEYS),
            }
        }
        if let (Peer::Name(_) | Peer::Below(_), Some((_, value))) = (&rule.from, table.get_key_value("from")) {
            self.mistake(value.span(), InvalidRules::FromName(rule.from.clone()).to_string());
            is_right = false;
        }
        is_right.then_some(rule)
    }

    fn peer(&mut self, key: &Key<'_>, value: &Value<'_>) -> Option<Peer> {
        match self.text(key, value)?.parse() {
            Ok(peer) => Some(peer),
            Err(error) => {
                self.mistake(value.span(), format!("`{}`: {error}", name(key)));
                None
            }
        }
    }

    fn ports(&mut self, key: &Key<'_>, value: &Value<'_>) -> Option<Vec<u16>> {
        let list = value.get_ref().as_array();
        let port = |entry: &Value<'_>| {
            let number = entry.get_ref().as_integer()?;
            u16::from_str_radix(number.as_str(), number.radix()).ok().filter(|port| *port != 0)
        };
        let ports = list.and_then(|list| list.iter().map(port).collect::<Option<Vec<_>>>());
        if ports.is_none() {
            self.mistake(value.span(), format!("`{}` is a list of numbers such as [443, 5432]", name(key)));
        }
        ports
    }
}
