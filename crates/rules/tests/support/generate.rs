//! Files and requests by chance, small enough that rules and requests often meet.

use serde::Serialize;
use skylift_rules::Ask;

use crate::dice::Dice;

/// A request.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Request {
    pub(crate) scheme: &'static str,
    pub(crate) host: &'static str,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) country: &'static str,
    pub(crate) language: &'static str,
    pub(crate) cookies: std::collections::BTreeMap<&'static str, &'static str>,
    cookie_header: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        match name {
            "cookie" => Some(self.cookie_header.as_str()).filter(|cookie| !cookie.is_empty()),
            "accept-language" => Some(self.language).filter(|language| !language.is_empty()),
            _ => None,
        }
    }

    pub(crate) fn ask<'r>(&'r self, header: &'r dyn Fn(&str) -> Option<&'r str>) -> Ask<'r> {
        let country = Some(self.country).filter(|country| !country.is_empty());
        let (query, path) = (self.query.as_deref(), self.path.as_str());
        Ask { scheme: self.scheme, host: self.host, path, query, country, header }
    }
}

const PARTS: &[&str] = &["a", "b", "ab", "a.b", "c", "A", "é", "x y", "a+b", "en", "index.html"];
const HOSTS: &[&str] = &["h.example", "h.example", "h.example", "o.example"];

pub(crate) fn request(dice: &mut Dice) -> Request {
    let mut path = String::new();
    for _ in 0..dice.below(5) {
        path.push_str(if dice.one_in(12) && !path.is_empty() { "//" } else { "/" });
        path.push_str(&encode(dice.pick(PARTS), dice));
    }
    if path.is_empty() || dice.one_in(4) {
        path.push('/');
    }
    if dice.one_in(20) && path.len() > 1 {
        path.push('/');
    }
    let query = dice.one_in(3).then(|| {
        let pair =
            |dice: &mut Dice| format!("{}={}", dice.pick(&["id", "q", "x", "idx"]), encode(dice.pick(PARTS), dice));
        let pairs: Vec<String> = (0..1 + dice.below(3)).map(|_| pair(dice)).collect();
        format!("{}{}", pairs.join("&"), if dice.one_in(10) { "&" } else { "" })
    });
    let cookies: std::collections::BTreeMap<_, _> = dice.one_in(3).then_some(("c1", "v")).into_iter().collect();
    let cookie_header = if cookies.is_empty() { String::new() } else { "other=1; c1=v".to_owned() };
    let scheme = if dice.one_in(4) { "https" } else { "http" };
    let host = HOSTS[dice.below(HOSTS.len())];
    let country = ["us", "DE", "", "at"][dice.below(4)];
    let language = ["en", "en-GB", "de", "fr-CA", ""][dice.below(5)];
    Request { scheme, host, path, query, country, language, cookies, cookie_header }
}

/// Mostly as browsers write it.
fn encode(part: &str, dice: &mut Dice) -> String {
    if dice.one_in(15) {
        return part.bytes().map(|b| format!("%{b:02X}")).collect();
    }
    percent_encoding::utf8_percent_encode(part, percent_encoding::CONTROLS).to_string().replace(' ', "%20")
}

fn from(dice: &mut Dice) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for _ in 0..dice.below(4) {
        let part = dice.pick(&["a", "b", "ab", "a.b", "c", "A", "é", ":x", ":y", ":id", "en", ":xx"]);
        if !part.starts_with(':') || !parts.contains(&part) {
            parts.push(part);
        }
    }
    match dice.below(6) {
        0 | 1 => parts.push("*"),
        2 => {
            let at = dice.below(parts.len() + 1);
            parts.insert(at, dice.pick(&["*", "a*", "*"]));
        }
        3 => parts.push(dice.pick(&["a*", "b*"])),
        _ => {}
    }
    let origin = match dice.below(12) {
        0 => dice.pick(&["http://h.example", "https://h.example", "http://o.example", "http://H.example:80"]),
        _ => "",
    };
    let plain = parts.iter().all(|part| part.is_ascii());
    let slash = if dice.one_in(5) { "/" } else { "" };
    format!("{}/{}{slash}", if plain { origin } else { "" }, parts.join("/"))
}

fn to(dice: &mut Dice) -> String {
    let origin = match dice.below(8) {
        0 => dice.pick(&["http://h.example", "https://h.example", "https://o.example", "http://o.example"]),
        _ => "",
    };
    let part =
        |dice: &mut Dice| dice.pick(&["a", "b", "ab", "c", ":x", ":splat", ":splat", ":id", "t", "é", ":y-z", ":xx"]);
    let parts: Vec<&str> = (0..dice.below(4)).map(|_| part(dice)).collect();
    let tail = dice.pick(&["", "", "", "", "/", "?q=1", "?q=:x&r=:splat", "#f", "?", "?id=:id#:id", ".html"]);
    format!("{origin}/{}{tail}", parts.join("/"))
}

pub(crate) fn redirects(dice: &mut Dice) -> String {
    let mut text = String::new();
    let mut last = String::new();
    for _ in 0..1 + dice.below(7) {
        let line = match dice.below(16) {
            0 => dice
                .pick(&[
                    "# a comment",
                    "",
                    "/a",
                    "/a b",
                    "/* 200",
                    "/a/* 200!",
                    "/.netlify/x /y",
                    "/a /b foo",
                    "/a/* 301",
                ])
                .to_owned(),
            1 if !last.is_empty() => last.clone(),
            _ => redirect_line(dice),
        };
        text.push_str(&line);
        text.push_str(dice.pick(&["\n", "\n", "\n", "\r\n", " \n", " # end\n", "\n\n"]));
        last = line;
    }
    text
}

fn redirect_line(dice: &mut Dice) -> String {
    let mut words = vec![from(dice)];
    while dice.one_in(6) {
        words.push(dice.pick(&["id=:id", "x=:x", "q=a", "id=:splat", "q=:q", "q=", "q", "idx=é", "q=a=b"]).to_owned());
    }
    words.push(to(dice));
    let status =
        ["", "", "301", "302", "200", "200!", "301!", "404", "410", "307", "308!", "302x", "0302", "999", "Country=us"];
    let status = dice.pick(&status);
    if !status.is_empty() {
        words.push(status.to_owned());
        while dice.one_in(4) {
            words.push(condition(dice).to_owned());
        }
    }
    let gap = dice.pick(&[" ", " ", "  ", "\t", "\u{a0}"]);
    words.join(gap)
}

fn condition<'t>(dice: &mut Dice) -> &'t str {
    dice.pick(&[
        "Country=us",
        "Country=de,at",
        "country=US",
        "Language=en",
        "language=de,fr",
        "Language=en-gb",
        "Language=fr-CA",
        "Cookie=c1",
        "Cookie=c2,c1",
        "Cookie=c2",
        "Role=admin",
        "role=a,b",
        "Country",
        "Country=,us",
        "Language=en=de",
    ])
}

pub(crate) fn redirects_toml(dice: &mut Dice) -> String {
    let mut text = String::from("[build]\npublish = \"dist\"\n");
    for _ in 0..dice.below(3) {
        let (from_key, to_key) = if dice.one_in(8) { ("origin", "destination") } else { ("from", "to") };
        text.push_str(&format!("[[redirects]]\n{from_key} = {:?}\n", from(dice)));
        if !dice.one_in(12) {
            text.push_str(&format!("{to_key} = {:?}\n", to(dice)));
        }
        let extra = |dice: &mut Dice| {
            dice.pick(&[
                "",
                "status = 302\n",
                "status = 200\nforce = true\n",
                "status = \"307\"\n",
                "force = false\n",
                "query = {id = \":id\"}\n",
                "params = {q = \"a\", x = \":x\"}\n",
                "conditions = {Country = [\"us\", \"de\"], Language = [\"en\"]}\n",
                "conditions = {country = \"at, us\"}\n",
                "conditions = {Role = [\"admin\"]}\n",
                "status = 404\nconditions = {Cookie = [\"c1\"]}\n",
                "headers = {X-From = \"Netlify\"}\nstatus = 200\n",
                "status = \"x\"\n",
            ])
        };
        text.push_str(extra(dice));
    }
    text
}

fn header_path(dice: &mut Dice) -> String {
    let parts: Vec<&str> = (0..dice.below(4))
        .map(|_| dice.pick(&["a", "b", "ab", "a.b", "A", "é", ":x", "*", "*", "a*", "*b", "*b*", "en", ":y"]))
        .collect();
    format!("/{}{}", parts.join("/"), dice.pick(&["", "", "", "/", "//", " "]))
}

pub(crate) fn headers(dice: &mut Dice) -> String {
    let mut text = String::new();
    for _ in 0..dice.below(14) {
        let line = match dice.below(10) {
            0..=2 => header_path(dice),
            3 => dice.pick(&["# comment", "", "no colon", ": no name", "X-No-Value:", "X-No-Value: "]).to_owned(),
            _ => {
                let name = dice.pick(&["X-A", "X-B", "Cache-Control", "x-c", "Content-Security-Policy", "Link"]);
                let value =
                    dice.pick(&["1", "2", "a,b", "a , b", "no-cache", "default-src 'self': x", "max-age=1 ,\t must"]);
                format!("{}{name}{}: {value}", dice.pick(&["", "  ", "\t"]), dice.pick(&["", " "]))
            }
        };
        text.push_str(&line);
        text.push_str(dice.pick(&["\n", "\n", "\r\n", " \n"]));
    }
    text
}

pub(crate) fn headers_toml(dice: &mut Dice) -> String {
    let mut text = String::new();
    for _ in 0..dice.below(3) {
        text.push_str(&format!("[[headers]]\nfor = {:?}\n", header_path(dice)));
        let values = dice.pick(&[
            "",
            "[headers.values]\n",
            "[headers.values]\nX-A = \"1\"\nX-D = \"a,b , c\"\n",
            "[headers.values]\nX-B = [\"1\", \"2,3\"]\n",
            "[headers.values]\nX-B = 7\n",
            "[headers.values]\ncache-control = '''\n max-age=0,\n no-cache'''\n",
            "values = {X-C = \" x \"}\n",
            "values = \"x\"\n",
        ]);
        text.push_str(values);
    }
    text
}
