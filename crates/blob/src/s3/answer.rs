//! What the object store says in XML: lists and errors. Only the few elements that we ask for, as S3 writes them.

/// One page of a list.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// Names and sizes in bytes.
    pub(crate) objects: Vec<(String, u64)>,
    /// What the next page is asked for with; `None` on the last.
    pub(crate) next: Option<String>,
}

impl Page {
    /// Reads the answer to `GET /?list-type=2`; `None` where it is not one.
    pub(crate) fn parse(xml: &str) -> Option<Self> {
        let body = element(xml, "ListBucketResult")?;
        let mut objects = Vec::new();
        let mut rest = body;
        while let Some((inner, after)) = next_element(rest, "Contents") {
            objects.push((unescaped(element(inner, "Key")?), element(inner, "Size")?.trim().parse().ok()?));
            rest = after;
        }
        let truncated = element(body, "IsTruncated").is_some_and(|text| text.trim() == "true");
        let next = element(body, "NextContinuationToken").map(unescaped).filter(|_| truncated);
        // More is promised but cannot be asked for: half a list must not pass for a whole one.
        if truncated && next.is_none() { None } else { Some(Self { objects, next }) }
    }
}

/// The text of the first element of this name.
pub(crate) fn element<'x>(xml: &'x str, name: &str) -> Option<&'x str> {
    next_element(xml, name).map(|(inner, _)| inner)
}

/// The first element of this name and what follows it. None of those we read nests in itself.
fn next_element<'x>(xml: &'x str, name: &str) -> Option<(&'x str, &'x str)> {
    let mut rest = xml;
    loop {
        let (_, after) = rest.split_once('<')?;
        rest = after;
        let Some(tag) = after.strip_prefix(name) else { continue };
        if !tag.starts_with(['>', ' ', '/']) {
            continue;
        }
        let (attributes, inner) = tag.split_once('>')?;
        if attributes.ends_with('/') {
            return Some(("", inner));
        }
        return inner.split_once(&format!("</{name}>"));
    }
}

fn unescaped(text: &str) -> String {
    let named = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    named.replace("&#34;", "\"").replace("&#39;", "'").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_with_its_continuation() {
        let xml = r#"<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
            <Name>b</Name><IsTruncated>true</IsTruncated><NextContinuationToken>a&amp;b==</NextContinuationToken>
            <Contents><Key>sha256/ab/abc</Key><Size>12</Size></Contents><Contents><Key>x</Key><Size>0</Size></Contents>
            </ListBucketResult>"#;
        let page = Page::parse(xml).unwrap();
        assert_eq!(page.objects, [("sha256/ab/abc".to_owned(), 12), ("x".to_owned(), 0)]);
        assert_eq!(page.next.as_deref(), Some("a&b=="));
    }

    #[test]
    fn half_a_list_is_no_list() {
        for xml in [
            "",
            "<html>busy</html>",
            "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
            "<ListBucketResult><Contents><Key>a</Key><Size>1</Size></Contents>",
            "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
        ] {
            assert_eq!(Page::parse(xml), None, "{xml}");
        }
        let empty = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
        assert_eq!(Page::parse(empty), Some(Page { objects: vec![], next: None }));
    }
}
