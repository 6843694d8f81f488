//! DNS messages, as much of them as a server needs that answers single questions. Hostile input: everything that is
//! not a plain question is answered with an error or not at all.

use std::net::Ipv4Addr;

use crate::host::{HostName, Target};

pub(super) const KIND_A: u16 = 1;
const CLASS_INTERNET: u16 = 1;
const HEADER_LENGTH: usize = 12;
/// Answers may be kept for this long; the addresses hold as long as the gateway does.
const TTL_S: u32 = 60;

/// What a packet asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Question<'a> {
    id: [u8; 2],
    recursion_desired: bool,
    /// `None` where the name asked for is no host name (or not of the internet's class).
    pub(super) name: Option<HostName>,
    /// The record type, such as [`KIND_A`].
    pub(super) kind: u16,
    /// The question as it came, to be repeated in the answer.
    raw: &'a [u8],
}

/// What the server has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Address(Ipv4Addr),
    /// The name exists and has no record of this type.
    Nothing,
    NoSuchName,
    Failure,
}

/// A packet that is no plain question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// To be answered with these bytes, which say what is wrong with it.
    Answer([u8; HEADER_LENGTH]),
    Ignore,
}

const FORMAT_ERROR: u8 = 1;
const SERVER_FAILURE: u8 = 2;
const NO_SUCH_NAME: u8 = 3;
const NOT_IMPLEMENTED: u8 = 4;

/// The question of a packet. Records behind it (EDNS options) are not looked at.
pub(super) fn parse(packet: &[u8]) -> Result<Question<'_>, Unreadable> {
    let Some((header, body)) = packet.split_first_chunk::<HEADER_LENGTH>() else { return Err(Unreadable::Ignore) };
    let [id_high, id_low, flags, _, questions @ ..] = *header;
    let is_response = flags & 0x80 != 0;
    if is_response {
        return Err(Unreadable::Ignore);
    }
    let id = [id_high, id_low];
    let recursion_desired = flags & 0x01 != 0;
    let error = |code| Unreadable::Answer(write_header(id, recursion_desired, code, 0, 0));
    if flags & 0x78 != 0 {
        return Err(error(NOT_IMPLEMENTED));
    }
    let is_truncated = flags & 0x02 != 0;
    // One question, no answers, no authorities; any number of additional records.
    if is_truncated || !questions.starts_with(&[0, 1, 0, 0, 0, 0]) {
        return Err(error(FORMAT_ERROR));
    }
    let (raw, name, kind) = parse_question(body).ok_or_else(|| error(FORMAT_ERROR))?;
    Ok(Question { id, recursion_desired, name, kind, raw })
}

/// The answer to a question.
pub(super) fn write(question: &Question<'_>, reply: Reply) -> Vec<u8> {
    let (code, answers) = match reply {
        Reply::Address(_) => (0, 1),
        Reply::Nothing => (0, 0),
        Reply::NoSuchName => (NO_SUCH_NAME, 0),
        Reply::Failure => (SERVER_FAILURE, 0),
    };
    let mut answer = write_header(question.id, question.recursion_desired, code, 1, answers).to_vec();
    answer.extend(question.raw);
    if let Reply::Address(ip) = reply {
        answer.extend([0xc0, HEADER_LENGTH as u8]); // The name is the question's.
        answer.extend(KIND_A.to_be_bytes());
        answer.extend(CLASS_INTERNET.to_be_bytes());
        answer.extend(TTL_S.to_be_bytes());
        answer.extend(4_u16.to_be_bytes());
        answer.extend(ip.octets());
    }
    answer
}

fn write_header(id: [u8; 2], recursion_desired: bool, code: u8, questions: u8, answers: u8) -> [u8; HEADER_LENGTH] {
    let [id_high, id_low] = id;
    let (response, recursion_available) = (0x80, 0x80);
    let flags = response | u8::from(recursion_desired);
    [id_high, id_low, flags, recursion_available | code, 0, questions, 0, answers, 0, 0, 0, 0]
}

/// The bytes of the first question of `body`, the host name in it and its type.
fn parse_question(body: &[u8]) -> Option<(&[u8], Option<HostName>, u16)> {
    let mut text = String::new();
    let mut is_plain = true;
    let mut rest = body;
    loop {
        let (length, after) = rest.split_first()?;
        // 64 and more would be a pointer, which has nothing to point to in a question.
        if *length > 63 {
            return None;
        }
        let (label, after) = after.split_at_checked(usize::from(*length))?;
        rest = after;
        if label.is_empty() {
            break;
        }
        if !text.is_empty() {
            text.push('.');
        }
        is_plain &= label.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-');
        text.extend(label.iter().map(|b| char::from(*b)));
        if body.len() - rest.len() > 254 {
            return None;
        }
    }
    let (tail, rest) = rest.split_first_chunk::<4>()?;
    let [kind_high, kind_low, class_high, class_low] = *tail;
    let is_internet = u16::from_be_bytes([class_high, class_low]) == CLASS_INTERNET;
    let name = match Target::parse(&text) {
        Ok(Target::Name(name)) if is_plain && is_internet => Some(name),
        Ok(_) | Err(_) => None,
    };
    let raw = body.get(..body.len() - rest.len())?;
    Some((raw, name, u16::from_be_bytes([kind_high, kind_low])))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet(labels: &[&[u8]], kind: u16) -> Vec<u8> {
        let mut packet = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in labels {
            packet.push(u8::try_from(label.len()).unwrap());
            packet.extend(*label);
        }
        packet.push(0);
        packet.extend(kind.to_be_bytes());
        packet.extend([0, 1]);
        packet
    }

    fn refused_with(packet: &[u8]) -> Option<u8> {
        match parse(packet) {
            Err(Unreadable::Answer(bytes)) => Some(bytes[3] & 0x0f),
            Err(Unreadable::Ignore) | Ok(_) => None,
        }
    }

    #[test]
    fn a_question_is_read_and_answered_in_its_own_words() {
        let packet = packet(&[b"ReGistry", b"example"], KIND_A);
        let question = parse(&packet).unwrap();
        assert_eq!(question.name.as_ref().unwrap().as_str(), "registry.example");
        let answer = write(&question, Reply::Address(Ipv4Addr::new(198, 18, 0, 1)));
        let mut expected = vec![0xab, 0xcd, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
        expected.extend(&packet[12..]);
        expected.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 198, 18, 0, 1]);
        assert_eq!(answer, expected);
        let nothing = write(&question, Reply::NoSuchName);
        assert_eq!((nothing[3], nothing[7], nothing.len()), (0x83, 0, packet.len()));
    }

    #[test]
    fn options_behind_the_question_are_not_repeated() {
        let mut packet = packet(&[b"a", b"example"], KIND_A);
        let plain = packet.len();
        packet[11] = 1;
        packet.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
        let question = parse(&packet).unwrap();
        assert_eq!(write(&question, Reply::Nothing).len(), plain);
    }

    #[test]
    fn what_is_no_host_name_has_no_name() {
        let long = [b'a'; 63];
        for labels in [
            &[b"_http".as_slice(), b"example"] as &[&[u8]],
            &[b"a.b", b"example"],
            &[b"a\0b"],
            &[b"\xff\xfe"],
            &[b"127", b"0", b"0", b"1"],
            &[b"2130706433"],
            &[],
        ] {
            assert_eq!(parse(&packet(labels, KIND_A)).unwrap().name, None, "{labels:?}");
        }
        assert_eq!(refused_with(&packet(&[&long, &long, &long, &long], KIND_A)), Some(FORMAT_ERROR));
    }

    #[test]
    fn what_is_no_plain_question_is_refused_or_ignored() {
        let good = packet(&[b"a"], KIND_A);
        let with = |place: usize, byte: u8| {
            let mut packet = good.clone();
            packet[place] = byte;
            packet
        };
        assert_eq!(refused_with(&with(2, 0x28)), Some(NOT_IMPLEMENTED), "an update");
        assert_eq!(refused_with(&with(2, 0x02)), Some(FORMAT_ERROR), "truncated");
        assert_eq!(refused_with(&with(5, 2)), Some(FORMAT_ERROR), "two questions");
        assert_eq!(refused_with(&with(7, 1)), Some(FORMAT_ERROR), "an answer");
        assert_eq!(refused_with(&with(12, 0xc0)), Some(FORMAT_ERROR), "a pointer");
        assert_eq!(refused_with(&good[..good.len() - 1]), Some(FORMAT_ERROR), "cut short");
        assert_eq!(parse(&with(2, 0x80)), Err(Unreadable::Ignore), "a response");
        assert_eq!(parse(&good[..11]), Err(Unreadable::Ignore));
    }

    proptest! {
        #[test]
        fn no_packet_brings_the_server_down(packet in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _read = parse(&packet);
        }

        #[test]
        fn no_question_brings_the_server_down_nor_gets_a_long_answer(
            body in proptest::collection::vec(prop_oneof![0_u8..8, any::<u8>()], 0..400),
            additional: u8,
        ) {
            let mut packet = vec![1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, additional];
            packet.extend(body);
            if let Ok(question) = parse(&packet) {
                let answer = write(&question, Reply::Address(Ipv4Addr::LOCALHOST));
                prop_assert!(answer.len() <= packet.len() + 16);
                prop_assert!(answer.len() <= 512);
            }
        }
    }
}
