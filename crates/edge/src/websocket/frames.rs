//! Where one frame ends and the next begins (RFC 6455 §5.2), by their heads alone: what is in them is skipped unread. Pure.

/// The longest head: two bytes, a length of eight, a mask of four.
const HEAD_BYTES_MAX: usize = 14;
const CLOSE: u8 = 0x8;
/// The most that a control frame may have.
const CONTROL_BYTES_MAX: u8 = 125;

/// What was seen of a stream of frames.
#[derive(Clone, Debug, Default)]
pub(super) struct Frames {
    /// What is here of a head that is not whole.
    head: [u8; HEAD_BYTES_MAX],
    has: usize,
    /// What is owed of the frame whose head was last.
    owed: u64,
    ended: Option<Ended>,
}

/// Why nothing more can be said in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// A close frame has begun.
    Closed,
    /// These are no frames.
    Lost,
}

impl Frames {
    /// Takes in what has come.
    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        while self.ended.is_none() {
            let skipped = usize::try_from(self.owed).unwrap_or(usize::MAX).min(bytes.len());
            self.owed -= skipped as u64;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let [first, rest @ ..] = bytes else { return };
            bytes = rest;
            if let Some(place) = self.head.get_mut(self.has) {
                *place = *first;
                self.has += 1;
            }
            self.read_head();
        }
    }

    /// Whether another frame may begin here: the last one is whole, and was not the last of all.
    pub(super) fn may_begin(&self) -> bool {
        self.ended.is_none() && self.has == 0 && self.owed == 0
    }

    /// Reads the head, where it is whole.
    fn read_head(&mut self) {
        let [first, second, length @ ..] = self.head;
        if self.has < 2 {
            return;
        }
        let (kind, short) = (first & 0x0f, second & 0x7f);
        let is_control = kind >= CLOSE;
        let is_whole = first & 0x80 != 0;
        if matches!(kind, 0x3..=0x7 | 0xb..) || (is_control && (short > CONTROL_BYTES_MAX || !is_whole)) {
            self.ended = Some(Ended::Lost);
            return;
        }
        let [two @ .., _, _, _, _, _, _, _, _, _, _] = length;
        let [eight @ .., _, _, _, _] = length;
        let (more, owed) = match short {
            126 => (2, u64::from(u16::from_be_bytes(two))),
            127 => (8, u64::from_be_bytes(eight)),
            short => (0, u64::from(short)),
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        if self.has < 2 + more + mask {
            return;
        }
        self.has = 0;
        self.owed = owed;
        if kind == CLOSE {
            self.ended = Some(Ended::Closed);
        } else if owed > i64::MAX as u64 {
            self.ended = Some(Ended::Lost);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, length: u64, mask: Option<[u8; 4]>) -> Vec<u8> {
        let bit = if mask.is_some() { 0x80 } else { 0 };
        let mut bytes = match length {
            0..=125 => vec![first, bit | length as u8],
            126..=0xffff => [&[first, bit | 126][..], &(length as u16).to_be_bytes()].concat(),
            _ => [&[first, bit | 127][..], &length.to_be_bytes()].concat(),
        };
        bytes.extend(mask.unwrap_or_default().iter().take(if mask.is_some() { 4 } else { 0 }));
        // What is in it looks like a close frame.
        bytes.extend([0x88, 0].iter().cycle().take(length as usize));
        bytes
    }

    fn after(pieces: &[&[u8]]) -> Frames {
        let mut frames = Frames::default();
        for piece in pieces {
            frames.take(piece);
        }
        frames
    }

    #[test]
    fn another_frame_may_begin_between_two_and_nowhere_else_however_they_come() {
        for length in [0, 1, 125, 126, 127, 300, 0xffff, 0x1_0000, 70_000] {
            for mask in [None, Some([7, 0x88, 0, 1])] {
                let one = frame(0x81, length, mask);
                assert!(after(&[&one]).may_begin(), "{length} {mask:?}");
                let two = [&one[..], &one].concat();
                for at in (1..two.len()).step_by(if two.len() < 2000 { 1 } else { 977 }) {
                    let (before, behind) = two.split_at(at);
                    assert_eq!(after(&[before]).may_begin(), at == one.len(), "{at} of {length} {mask:?}");
                    assert!(after(&[before, behind]).may_begin(), "{at} of {length} {mask:?}");
                }
                assert!(after(&two.chunks(1).collect::<Vec<_>>()).may_begin(), "byte by byte");
            }
        }
    }

    #[test]
    fn nothing_may_begin_behind_a_close_frame_or_what_is_no_frame() {
        for last in [
            &[0x88, 0][..],
            &[0x88, 2, 3, 0xe8],
            &[0x88, 2],
            &[0x83, 0],
            &[0x8b, 0],
            &[0x08, 0],
            &[0x89, 126, 0, 200],
            &[0x82, 127, 0xff, 0, 0, 0, 0, 0, 0, 0],
            b"die",
        ] {
            let all = [&frame(0x82, 3, None)[..], last].concat();
            assert!(!after(&[&all, &frame(0x81, 0, None)]).may_begin(), "{last:x?}");
        }
        for good in [0x01, 0x80, 0xc1, 0x89, 0x8a] {
            assert!(after(&[&[good, 0]]).may_begin(), "{good:x}: parts, compressed ones and pings are frames");
        }
    }
}
