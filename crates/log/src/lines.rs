//! Bytes into lines, however they are cut into pieces and however long they are.

/// How many bytes of a line are kept. The rest of it is dropped, with a mark.
const LINE_BYTES_MAX: usize = 16 << 10;
const CUT: &str = " […line cut]";

/// A line as it is shown: cut where it is too long, after masking.
pub(crate) fn cut(mut line: String) -> String {
    if line.len() > LINE_BYTES_MAX {
        line.truncate(line.floor_char_boundary(LINE_BYTES_MAX));
        line.push_str(CUT);
    }
    line
}

/// Gathers pieces into lines. A carriage return ends a line too: progress bars rewrite theirs with it.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// How many bytes are kept beyond those shown, so that a secret that begins before the cut is seen whole.
    beyond: usize,
    current: Vec<u8>,
    after_return: bool,
}

impl Lines {
    /// Lines of which `beyond` more bytes are kept than are shown.
    pub(crate) fn keeping(beyond: usize) -> Self {
        Self { beyond, ..Self::default() }
    }

    /// Takes a piece; returns the lines that it completes. At the end, what is left is a line as well.
    pub(crate) fn feed(&mut self, piece: &[u8], is_end: bool) -> Vec<Vec<u8>> {
        let mut complete = Vec::new();
        for &byte in piece {
            let follows_return = std::mem::replace(&mut self.after_return, byte == b'\r');
            match byte {
                b'\n' if follows_return => {}
                b'\n' | b'\r' => complete.push(self.take()),
                _ if self.current.len() < LINE_BYTES_MAX + self.beyond => self.current.push(byte),
                _ => {}
            }
        }
        if is_end && !self.current.is_empty() {
            complete.push(self.take());
        }
        complete
    }

    fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&str]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut all: Vec<_> = pieces.iter().flat_map(|piece| lines.feed(piece.as_bytes(), false)).collect();
        all.extend(lines.feed(b"", true));
        all.into_iter().map(|line| String::from_utf8(line).unwrap()).collect()
    }

    #[test]
    fn lines_are_the_same_however_they_are_cut() {
        assert_eq!(lines(&["a\nb", "c\r", "\nd\re"]), ["a", "bc", "d", "e"]);
        assert_eq!(lines(&["a\r\nbc\r\nd\re"]), ["a", "bc", "d", "e"]);
        assert_eq!(lines(&["\n\n"]), ["", ""]);
    }

    #[test]
    fn an_endless_line_is_cut_and_costs_no_memory() {
        let mut lines = Lines::default();
        for _ in 0..1000 {
            assert!(lines.feed(&[b'x'; 4096], false).is_empty());
        }
        assert!(lines.current.capacity() <= 2 * LINE_BYTES_MAX);
        let line = lines.feed(b"\nnext", false).remove(0);
        assert_eq!(line.len(), LINE_BYTES_MAX);
        assert_eq!(lines.feed(b"", true), [b"next"]);
    }

    #[test]
    fn a_secret_across_the_cut_is_kept_whole_for_masking() {
        let mut lines = Lines::keeping(7);
        let text = format!("{}hunter2 and more\n", "x".repeat(LINE_BYTES_MAX - 3));
        let line = String::from_utf8(lines.feed(text.as_bytes(), false).remove(0)).unwrap();
        assert!(line.contains("hunter2"));
        let shown = cut(line.replace("hunter2", "••••••"));
        assert!(!shown.contains("hun") && shown.ends_with(CUT), "{}", &shown[LINE_BYTES_MAX - 10..]);
    }
}
