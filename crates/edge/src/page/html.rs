//! What a page of ours looks like: one document that needs nothing else and runs no script, for light and dark screens.

use std::fmt::Write;

/// How often a page that waits for something looks again, in seconds.
pub(super) const LOOK_AGAIN_S: u8 = 2;

/// A page's text. What may come from a request is escaped here, and nowhere else.
#[derive(Debug, Default)]
pub(super) struct Document<'a> {
    pub(super) title: &'a str,
    /// A short word above the title.
    pub(super) kicker: &'a str,
    pub(super) paragraphs: &'a [&'a str],
    /// Commands to type, each with what comes before it.
    pub(super) commands: &'a [(&'a str, &'a str)],
    /// Where to go on, each with its text.
    pub(super) links: &'a [(&'a str, &'a str)],
    pub(super) wait: Wait,
}

/// Whether the page looks again by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Wait {
    /// Something is under way: the page is loaded again until it is there.
    Yes,
    #[default]
    No,
}

impl Document<'_> {
    pub(super) fn render(&self) -> String {
        let mut html = String::with_capacity(3072);
        let (title, kicker) = (escape(self.title), escape(self.kicker));
        html.push_str("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n");
        html.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
        html.push_str("<meta name=\"color-scheme\" content=\"light dark\">\n");
        if self.wait == Wait::Yes {
            let _ = writeln!(html, "<meta http-equiv=\"refresh\" content=\"{LOOK_AGAIN_S}\">");
        }
        let _ = write!(html, "<title>{title}</title>\n<style>{STYLE}</style>\n<main>\n");
        let _ = write!(html, "<p class=\"kicker\">{kicker}</p>\n<h1>{title}</h1>\n");
        for paragraph in self.paragraphs {
            let _ = writeln!(html, "<p>{}</p>", escape(paragraph));
        }
        for (what, command) in self.commands {
            let _ = writeln!(html, "<p class=\"what\">{}</p><pre><code>{}</code></pre>", escape(what), escape(command));
        }
        if self.wait == Wait::Yes {
            html.push_str("<div class=\"bar\"></div>\n");
        }
        if !self.links.is_empty() {
            html.push_str("<nav>");
            for (to, text) in self.links {
                let _ = write!(html, "<a href=\"{}\">{}</a>", escape(to), escape(text));
            }
            html.push_str("</nav>\n");
        }
        html.push_str("</main>\n</html>\n");
        html
    }
}

const STYLE: &str = "\
:root{--bg:#f6f7f9;--card:#fff;--line:#e3e6ea;--text:#16191d;--soft:#59616b;--accent:#2457d6}\
@media(prefers-color-scheme:dark){:root{--bg:#101216;--card:#181b21;--line:#2b3038;--text:#eceef1;--soft:#a2abb7;--accent:#8fb0ff}}\
*{box-sizing:border-box}\
body{margin:0;min-height:100vh;min-height:100svh;display:grid;place-items:center;padding:1.25rem;background:var(--bg);\
color:var(--text);font:16px/1.6 system-ui,-apple-system,\"Segoe UI\",sans-serif}\
main{width:100%;max-width:36rem;padding:2.25rem;background:var(--card);border:1px solid var(--line);border-radius:14px;\
overflow-wrap:anywhere}\
h1{margin:.15rem 0 .75rem;font-size:1.6rem;line-height:1.25;letter-spacing:-.01em}\
p{margin:.5rem 0;color:var(--soft)}\
.kicker{margin:0;font-size:.8rem;font-weight:600;letter-spacing:.06em;text-transform:uppercase;color:var(--accent)}\
.what{margin:1.1rem 0 .35rem;font-size:.9rem}\
pre{margin:0;padding:.7rem .9rem;overflow-x:auto;background:var(--bg);border:1px solid var(--line);border-radius:8px}\
code{font:.9rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:normal}\
nav{display:flex;flex-wrap:wrap;gap:.5rem 1.25rem;margin-top:1.5rem}\
a{color:var(--accent);text-underline-offset:.2em}\
.bar{height:3px;margin-top:1.5rem;border-radius:3px;overflow:hidden;background:var(--line)}\
.bar::after{content:\"\";display:block;width:35%;height:100%;border-radius:3px;background:var(--accent);\
animation:slide 2s ease-in-out infinite}\
@keyframes slide{0%{transform:translateX(-100%)}100%{transform:translateX(290%)}}\
@media(prefers-reduced-motion:reduce){.bar::after{width:100%;opacity:.5;animation:none}}\
@media(max-width:30rem){main{padding:1.5rem}h1{font-size:1.35rem}}";

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup_wherever_it_stands() {
        let evil = "\"><script>alert(1)</script>";
        let html = Document {
            title: evil,
            kicker: evil,
            paragraphs: &[evil],
            commands: &[(evil, evil)],
            links: &[(evil, evil)],
            wait: Wait::Yes,
        }
        .render();
        assert!(!html.contains("<script") && !html.contains("\"\">"), "{html}");
        assert_eq!(html.matches("&lt;script&gt;").count(), 8);
    }

    #[test]
    fn a_page_needs_nothing_from_elsewhere_and_is_small() {
        let html = Document { title: "x", links: &[("/", "y")], ..Document::default() }.render();
        for outside in ["<script", "src=", "url(", "@import", "<link", "http://", "https://"] {
            assert!(!html.contains(outside), "{outside} in {html}");
        }
        assert!(html.len() < 4096, "{} bytes", html.len());
        assert!(!html.contains("http-equiv=\"refresh\""), "only what waits looks again");
    }
}
