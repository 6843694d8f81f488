//! `[[link]]`: what else an app may reach.

use std::str::FromStr;

use skylift_model::Link;
use skylift_model::link::LINKS_MAX;
use skylift_model::name::InvalidName;

use super::{Key, Reader, Value, name};

const LINK_KEYS: &[&str] = &["service", "app"];

impl Reader<'_> {
    pub(super) fn links(&mut self, key: &Key<'_>, value: &Value<'_>) -> Vec<Link> {
        let mut links = Vec::new();
        let Some(list) = value.get_ref().as_array() else {
            let message = "`link` is a list of sections: write `[[link]]` and its settings below it";
            self.mistake(key.span(), message.to_owned());
            return links;
        };
        for entry in list.iter() {
            let Some((link, at)) = self.link(entry) else { continue };
            if links.contains(&link) {
                self.mistake(at, format!("`{link}` is linked twice"));
            } else {
                links.push(link);
            }
        }
        if links.len() > LINKS_MAX {
            self.mistake(key.span(), format!("an app has {LINKS_MAX} links at most"));
        }
        links
    }

    fn link(&mut self, entry: &Value<'_>) -> Option<(Link, std::ops::Range<usize>)> {
        let Some(table) = entry.get_ref().as_table() else {
            self.mistake(entry.span(), "write `[[link]]` and its settings below it".to_owned());
            return None;
        };
        let (mut link, mut said) = (None, 0);
        for (key, value) in table.iter() {
            match name(key) {
                "service" => {
                    said += 1;
                    link = self.named(key, value).map(|name| (Link::Service(name), value.span()));
                }
                "app" => {
                    said += 1;
                    link = self.named(key, value).map(|name| (Link::App(name), value.span()));
                }
                _ => self.unknown(key, " in `[[link]]`", LINK_KEYS),
            }
        }
        if said != 1 {
            let message = "a `[[link]]` names a service or an app: `service = \"messages\"`, `app = \"payments\"`";
            self.mistake(entry.span(), message.to_owned());
        }
        link
    }

    fn named<N: FromStr<Err = InvalidName>>(&mut self, key: &Key<'_>, value: &Value<'_>) -> Option<N> {
        match self.text(key, value)?.parse() {
            Ok(found) => Some(found),
            Err(reason) => {
                self.mistake(value.span(), format!("`{}`: {reason}", name(key)));
                None
            }
        }
    }
}
