//! Settings in JavaScript configuration files, found by reading their text. Nothing is evaluated: a value that is not
//! written out is known only to be there.

/// What stands behind a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// A text in quotes.
    Text(String),
    /// A bare word such as `false`.
    Word(String),
    /// Anything else, such as `path.resolve('dist')`.
    Computed,
}

/// The text of a configuration file without its comments.
pub(crate) struct JsText(String);

impl JsText {
    pub(crate) fn new(text: &str) -> Self {
        Self(without_comments(text))
    }

    pub(crate) fn contains(&self, text: &str) -> bool {
        self.0.contains(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The values of every `key: value` with this key, in order.
    pub(crate) fn values(&self, key: &str) -> Vec<Value> {
        after_keys(&self.0, key).map(value_at).collect()
    }

    /// The first value of a key.
    pub(crate) fn value(&self, key: &str) -> Option<Value> {
        after_keys(&self.0, key).next().map(value_at)
    }

    /// Whether some `key: value` has this text as its value, or computes it from this text in quotes.
    pub(crate) fn sets(&self, key: &str, text: &str) -> bool {
        let values = self.values(key);
        let quoted = self.0.contains(&format!("'{text}'")) || self.0.contains(&format!("\"{text}\""));
        values.contains(&Value::Text(text.into())) || (values.contains(&Value::Computed) && quoted)
    }

    /// Whether a key has this bare word as its value, such as `ssr: false`.
    pub(crate) fn sets_word(&self, key: &str, word: &str) -> bool {
        self.values(key).contains(&Value::Word(word.into()))
    }

    /// What stands between the braces of the first `key: { … }`.
    pub(crate) fn block(&self, key: &str) -> Option<Self> {
        let inside = after_keys(&self.0, key).find_map(|rest| rest.strip_prefix('{'))?;
        let mut depth = 1_usize;
        let mut quote = None;
        for (index, c) in inside.char_indices() {
            match (quote, c) {
                (Some(open), c) if c == open => quote = None,
                (Some(_), _) => {}
                (None, '\'' | '"' | '`') => quote = Some(c),
                (None, '{') => depth += 1,
                (None, '}') => depth -= 1,
                (None, _) => {}
            }
            if depth == 0 {
                return inside.get(..index).map(|block| Self(block.to_owned()));
            }
        }
        Some(Self(inside.to_owned()))
    }

    /// The text in quotes that is the first argument of a call such as `setOutputDirectory("x")`.
    pub(crate) fn argument(&self, function: &str) -> Option<Value> {
        let (_, rest) = self.0.split_once(&format!("{function}("))?;
        Some(value_at(rest.trim_start()))
    }
}

/// What follows each `key:`, without leading space.
fn after_keys<'t>(text: &'t str, key: &str) -> impl Iterator<Item = &'t str> {
    text.match_indices(key).map(|(index, found)| (index, index + found.len())).filter_map(move |(start, end)| {
        let before = text.get(..start)?.chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | '.' | '-')) {
            return None;
        }
        let rest = text.get(end..)?;
        let rest = rest.strip_prefix(['\'', '"']).unwrap_or(rest);
        rest.trim_start().strip_prefix(':').map(str::trim_start)
    })
}

fn value_at(text: &str) -> Value {
    let Some(first) = text.chars().next() else { return Value::Computed };
    if matches!(first, '\'' | '"' | '`') {
        let Some((inside, rest)) = text.get(1..).and_then(|rest| rest.split_once(first)) else {
            return Value::Computed;
        };
        let goes_on = rest.trim_start().starts_with(['+', '.', '[']);
        let computed = goes_on || inside.contains("${") || inside.contains(['\n', '\\']);
        return if computed { Value::Computed } else { Value::Text(inside.to_owned()) };
    }
    let word: String = text.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '.')).collect();
    let rest = text.get(word.len()..).unwrap_or_default().trim_start();
    let ends = rest.is_empty() || rest.starts_with([',', '}', ')', ';']);
    // A line may end without a comma only where the value is a word of the language itself.
    if !word.is_empty() && (ends || matches!(word.as_str(), "true" | "false")) {
        Value::Word(word)
    } else {
        Value::Computed
    }
}

/// Leaves out `//` and `/* */` comments, but not inside quotes.
pub(crate) fn without_comments(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut quote = None;
    while let Some(c) = chars.next() {
        match (quote, c, chars.peek()) {
            (Some(_), '\\', Some(_)) => {
                plain.push(c);
                plain.extend(chars.next());
                continue;
            }
            (Some(open), c, _) if c == open || (c == '\n' && open != '`') => quote = None,
            (Some(_), _, _) => {}
            (None, '/', Some('/')) => {
                while chars.peek().is_some_and(|next| *next != '\n') {
                    chars.next();
                }
                continue;
            }
            (None, '/', Some('*')) => {
                let mut last = ' ';
                chars.next();
                for next in chars.by_ref() {
                    if last == '*' && next == '/' {
                        break;
                    }
                    last = next;
                }
                plain.push(' ');
                continue;
            }
            (None, '\'' | '"' | '`', _) => quote = Some(c),
            (None, _, _) => {}
        }
        plain.push(c);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"
        // outDir: 'commented'
        /* outDir: 'also' */
        import path from 'node:path'
        const url = "https://example.org"; // outDir: 'x'
        export default defineConfig({
          plugins: [dts({ outDir: 'types' })],
          build: { rollupOptions: { output: {} }, outDir: './public/app', 'emptyOutDir': true },
          root: path.resolve('src'),
          ssr: false,
        })
    "#;

    #[test]
    fn settings_are_found_outside_comments() {
        let config = JsText::new(CONFIG);
        assert_eq!(config.values("outDir"), [Value::Text("types".into()), Value::Text("./public/app".into())]);
        assert_eq!(config.block("build").unwrap().value("outDir"), Some(Value::Text("./public/app".into())));
        assert_eq!(config.value("root"), Some(Value::Computed));
        assert!(config.sets_word("ssr", "false") && config.sets_word("emptyOutDir", "true"));
        assert!(config.contains("https://example.org"));
        assert_eq!(config.value("missing"), None);
    }

    #[test]
    fn computed_values_are_not_taken_for_texts() {
        let config = JsText::new("{ a: 'x' + y, b: `${z}/d`, output: isProd ? 'export' : undefined, c: 'x'.trim() }");
        for key in ["a", "b", "c", "output"] {
            assert_eq!(config.value(key), Some(Value::Computed), "{key}");
        }
        assert!(config.sets("output", "export"));
        assert!(!config.sets("output", "server"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_reading_panic(text in "([a-z:'\"`{}()/*\\\\\n, é]|key: ){0,80}") {
            let config = JsText::new(&text);
            let _ = (config.values("key"), config.block("key"), config.argument("key"));
        }
    }
}
