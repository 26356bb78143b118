use std::net::Ipv4Addr;

use hickory_proto::rr::RecordType;
use proptest::prelude::*;

use super::*;

fn asked(text: &str, edns: Option<u16>) -> Vec<u8> {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name(text).unwrap(), RecordType::A));
    if let Some(most) = edns {
        let mut edns = Edns::new();
        edns.set_max_payload(most);
        message.set_edns(edns);
    }
    message.to_vec().unwrap()
}

fn question(message: &[u8], transport: Transport) -> Box<Question> {
    match Asked::read(message, transport) {
        Asked::Question(question) => question,
        other => panic!("{other:?}"),
    }
}

/// The response code that a message is refused with.
fn refusal(message: &[u8]) -> Option<ResponseCode> {
    match Asked::read(message, Transport::Udp) {
        Asked::Wrong(reply) => Some(Message::from_vec(&reply).unwrap().metadata.response_code),
        _ => None,
    }
}

fn changed(at: usize, value: u8) -> Vec<u8> {
    let mut message = asked("web.", None);
    message[at] = value;
    message
}

#[test]
fn an_answer_repeats_the_question_and_is_kept_by_nobody() {
    let question = question(&asked("Web.", None), Transport::Udp);
    let data = RData::A(Ipv4Addr::new(10, 85, 0, 2).into());
    let reply = Message::from_vec(&question.reply(ResponseCode::NoError, vec![data])).unwrap();
    assert_eq!(reply.metadata.id, 7);
    assert!(reply.metadata.authoritative && reply.metadata.recursion_available);
    assert!(reply.queries[0].name.eq_case(&name("Web.").unwrap()));
    assert_eq!((reply.answers.len(), reply.answers[0].ttl), (1, 0));
    assert!(reply.edns.is_none());
}

#[test]
fn only_what_is_known_of_a_name_is_said_with_authority() {
    let question = question(&asked("Web.", None), Transport::Udp);
    for (code, is_known) in [
        (ResponseCode::NoError, true),
        (ResponseCode::NXDomain, true),
        (ResponseCode::ServFail, false),
        (ResponseCode::Refused, false),
    ] {
        let reply = Message::from_vec(&question.reply(code, Vec::new())).unwrap();
        assert_eq!(reply.metadata.authoritative, is_known, "{code}");
    }
}

#[test]
fn an_answer_has_as_many_addresses_as_the_client_takes() {
    let records: Vec<RData> =
        (0..=255).map(|last| RData::A(Ipv4Addr::new(1, 2, 3, last).into())).collect();
    let answer = |edns, transport| {
        let encoded =
            question(&asked("web.", edns), transport).reply(ResponseCode::NoError, records.clone());
        let reply = Message::from_vec(&encoded).unwrap();
        (encoded.len(), reply.answers.len(), reply.metadata.truncation, reply.edns.is_some())
    };
    let (length, count, truncated, edns) = answer(None, Transport::Udp);
    assert!((400..=512).contains(&length) && count > 20 && truncated && !edns, "{length} {count}");
    let (length, count, truncated, edns) = answer(Some(1232), Transport::Udp);
    assert!((1000..=1232).contains(&length) && count > 60 && truncated && edns, "{length} {count}");
    let (length, ..) = answer(Some(65535), Transport::Udp);
    assert!((4000..=4096).contains(&length), "{length}");
    let (_length, count, truncated, edns) = answer(None, Transport::Tcp);
    assert_eq!((count, truncated, edns), (256, false, false));
}

#[test]
fn what_can_not_be_answered_is_told_by_its_code() {
    assert_eq!(refusal(&changed(2, 0x28)), Some(ResponseCode::NotImp), "an update");
    assert_eq!(refusal(&changed(5, 2)), Some(ResponseCode::FormErr), "two questions");
    assert_eq!(refusal(&changed(5, 0)), Some(ResponseCode::FormErr), "no question");
    assert_eq!(refusal(&changed(4, 255)), Some(ResponseCode::FormErr), "65,281 questions");
    assert_eq!(refusal(&changed(7, 1)), Some(ResponseCode::FormErr), "an answer in a question");
    assert_eq!(refusal(&changed(11, 9)), Some(ResponseCode::FormErr), "records that are not there");
    assert_eq!(refusal(&changed(20, 3)), Some(ResponseCode::NotImp), "class CHAOS");
    let mut version = asked("web.", Some(1232));
    let at = version.len() - 5;
    version[at] = 1;
    // Of the two names that 16 has, BADSIG is the other.
    assert_eq!(refusal(&version).map(u16::from), Some(16), "BADVERS");
}

#[test]
fn names_that_lead_in_a_circle_are_refused() {
    // A pointer to itself, one to what follows, and two to each other.
    for labels in [&[0xc0, 12][..], &[0xc0, 14, 0xc0, 12], &[1, b'a', 0xc0, 12], &[0xff, 0xff]] {
        let mut message = asked(".", None);
        message.truncate(12);
        message.extend(labels);
        message.extend([0, 1, 0, 1]);
        assert_eq!(refusal(&message), Some(ResponseCode::FormErr), "{labels:?}");
    }
}

#[test]
fn an_answer_has_no_answer() {
    assert!(matches!(Asked::read(&changed(2, 0x81), Transport::Udp), Asked::Noise));
    assert!(matches!(Asked::read(&[0; 11], Transport::Udp), Asked::Noise));
}

#[test]
fn what_goes_on_is_the_question_and_nothing_else_of_the_client_s() {
    let mut message = asked("Example.com.", Some(1400));
    // An option of EDNS: a cookie of 8 bytes.
    let at = message.len() - 2;
    message[at + 1] = 12;
    message.extend([0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
    let sent = question(&message, Transport::Udp).forwarded(99);
    let sent = Message::from_vec(&sent).unwrap();
    assert_eq!((sent.metadata.id, sent.metadata.recursion_desired), (99, true));
    assert!(sent.queries[0].name.eq_case(&name("Example.com.").unwrap()));
    let edns = sent.edns.unwrap();
    assert_eq!(edns.max_payload(), 1400);
    assert!(edns.options().as_ref().is_empty());
}

#[test]
fn only_an_answer_to_the_question_is_one() {
    let question = question(&asked("example.com.", None), Transport::Udp);
    let answer = |id: u16, about: &str, code: ResponseCode| {
        let mut message = Message::new(id, MessageType::Response, OpCode::Query);
        message.metadata.response_code = code;
        message.add_query(Query::query(name(about).unwrap(), RecordType::A));
        question.judge(99, &message.to_vec().unwrap())
    };
    assert_eq!(answer(99, "EXAMPLE.com.", ResponseCode::NXDomain), Verdict::Answer);
    assert_eq!(answer(98, "example.com.", ResponseCode::NoError), Verdict::Foreign);
    assert_eq!(answer(99, "example.org.", ResponseCode::NoError), Verdict::Foreign);
    let refused = Verdict::Failure(ResponseCode::Refused);
    assert_eq!(answer(99, "example.com.", ResponseCode::Refused), refused);
    assert_eq!(question.judge(99, &question.forwarded(99)), Verdict::Foreign, "a question");
}

#[test]
fn an_answer_that_is_too_long_is_only_told_of() {
    let question = question(&asked("example.com.", None), Transport::Udp);
    let mut answer = question.reply(ResponseCode::NoError, vec![]);
    answer.resize(513, 0);
    let relayed = question.relay(answer);
    assert!(relayed.len() <= 512);
    let relayed = Message::from_vec(&relayed).unwrap();
    assert!(relayed.metadata.truncation && relayed.metadata.id == 7);
}

proptest! {
    /// Whatever comes, there is no panic, and what goes out can be read and fits.
    #[test]
    fn any_bytes_are_a_question_a_refusal_or_noise(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        tcp: bool,
    ) {
        survives(&bytes, tcp);
    }

    /// The same for what is nearly a question.
    #[test]
    fn a_damaged_question_is_a_question_a_refusal_or_noise(
        label in "[a-zA-Z0-9_.-]{1,60}",
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        rest in proptest::collection::vec(any::<u8>(), 0..64),
        tcp: bool,
    ) {
        let Some(_valid) = name(&label) else { return Ok(()) };
        let mut bytes = asked(&label, Some(1232));
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.extend(rest);
        survives(&bytes, tcp);
    }
}

fn survives(bytes: &[u8], tcp: bool) {
    let transport = if tcp { Transport::Tcp } else { Transport::Udp };
    match Asked::read(bytes, transport) {
        Asked::Noise => {}
        Asked::Wrong(reply) => assert!(reply.len() <= 512 && reply[..2] == bytes[..2]),
        Asked::Question(question) => {
            let records = vec![RData::A(Ipv4Addr::LOCALHOST.into()); 300];
            let reply = question.reply(ResponseCode::NoError, records);
            assert!(reply.len() <= usize::from(question.limit()));
            Message::from_vec(&reply).unwrap();
            assert_eq!(question.judge(3, &question.relay(bytes.to_vec())), Verdict::Foreign);
            let again = question.forwarded(3);
            assert!(matches!(Asked::read(&again, transport), Asked::Question(_)));
        }
    }
}
