//! Questions and answers as they are on the wire, RFC 1035 and RFC 6891.

use hickory_proto::op::{
    Edns, Header, Message, MessageType, Metadata, OpCode, Query, ResponseCode,
};
use hickory_proto::rr::{DNSClass, Name, RData, Record};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

/// The largest message over UDP that is spoken of in EDNS, whatever others say of themselves.
pub(crate) const LARGEST_DATAGRAM: u16 = 4096;

/// The largest over UDP without EDNS.
const PLAIN_DATAGRAM: u16 = 512;

/// How a question came, and its answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

/// What a client sent.
#[derive(Debug)]
pub(crate) enum Asked {
    /// A question to be answered.
    Question(Box<Question>),
    /// Not a question that can be answered; this is what to say.
    Wrong(Vec<u8>),
    /// Nothing that has an answer: less than a header, or itself an answer. Two that answer each other's
    /// answers would never end.
    Noise,
}

/// A client's question.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) query: Query,
    metadata: Metadata,
    /// The client's largest datagram, and whether it wants DNSSEC's records.
    edns: Option<(u16, bool)>,
    transport: Transport,
}

/// What another server's message is to the question that it was asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The answer.
    Answer,
    /// The server says that it can't answer.
    Failure(ResponseCode),
    /// Not from whom was asked, or not about that.
    Foreign,
}

impl Asked {
    pub(crate) fn read(message: &[u8], transport: Transport) -> Self {
        let mut decoder = BinDecoder::new(message);
        let Ok(header) = Header::read(&mut decoder) else { return Self::Noise };
        let metadata = header.metadata;
        if metadata.message_type == MessageType::Response {
            return Self::Noise;
        }
        let wrong = |code| {
            let mut reply = Message::new(metadata.id, MessageType::Response, metadata.op_code);
            reply.metadata = Metadata::response_from_request(&metadata);
            reply.metadata.response_code = code;
            reply.to_vec().map_or(Self::Noise, Self::Wrong)
        };
        if metadata.op_code != OpCode::Query {
            return wrong(ResponseCode::NotImp);
        }
        let counts = header.counts;
        // More than one question was never answered by anybody (RFC 9619). What is counted is not believed
        // further: with the additional records, reading ends with the message.
        if (counts.queries, counts.answers, counts.authorities) != (1, 0, 0) {
            return wrong(ResponseCode::FormErr);
        }
        let Ok(message) = Message::from_vec(message) else { return wrong(ResponseCode::FormErr) };
        let Some(query) = message.queries.into_iter().next() else {
            return wrong(ResponseCode::FormErr);
        };
        let version = message.edns.as_ref().map_or(0, Edns::version);
        let edns = message.edns.map(|edns| (edns.max_payload(), edns.flags().dnssec_ok));
        let question = Question { query, metadata, edns, transport };
        if version != 0 {
            return Self::Wrong(question.reply(ResponseCode::BADVERS, Vec::new()));
        }
        if question.query.query_class != DNSClass::IN {
            return Self::Wrong(question.reply(ResponseCode::NotImp, Vec::new()));
        }
        Self::Question(Box::new(question))
    }
}

impl Question {
    pub(crate) fn transport(&self) -> Transport {
        self.transport
    }

    /// How large its answer may be.
    fn limit(&self) -> u16 {
        match (self.transport, self.edns) {
            (Transport::Tcp, _) => u16::MAX,
            (Transport::Udp, None) => PLAIN_DATAGRAM,
            (Transport::Udp, Some((most, _))) => most.clamp(PLAIN_DATAGRAM, LARGEST_DATAGRAM),
        }
    }

    /// An answer of ours with `records`: with as many as fit, and marked as truncated if those are not all.
    pub(crate) fn reply(&self, code: ResponseCode, mut records: Vec<RData>) -> Vec<u8> {
        let mut message = self.response(code);
        // That somebody else can't be asked says nothing of the name.
        message.metadata.authoritative =
            matches!(code, ResponseCode::NoError | ResponseCode::NXDomain);
        loop {
            message.answers = records.iter().map(|data| self.record(data.clone())).collect();
            // An answer that can't be encoded is none: the client asks again.
            let Ok(encoded) = message.to_vec() else { return Vec::new() };
            let excess = encoded.len().saturating_sub(usize::from(self.limit()));
            if excess == 0 || records.is_empty() {
                return encoded;
            }
            // No record takes more than an IPv6 address does, but for names.
            records.truncate(records.len().saturating_sub(excess.div_ceil(28)));
            message.metadata.truncation = true;
        }
    }

    /// Another server's answer, to be sent to the client: as it is, or, if it is too long, just that it is.
    pub(crate) fn relay(&self, mut answer: Vec<u8>) -> Vec<u8> {
        if answer.len() <= usize::from(self.limit()) {
            if let Some(id) = answer.get_mut(..2) {
                id.copy_from_slice(&self.metadata.id.to_be_bytes());
            }
            return answer;
        }
        let code = Header::read(&mut BinDecoder::new(&answer))
            .map_or(ResponseCode::ServFail, |header| header.metadata.response_code);
        let mut message = self.response(code);
        message.metadata.truncation = true;
        message.to_vec().unwrap_or_default()
    }

    /// The same question to another server. Nothing else that the client wrote goes on: options of EDNS are
    /// between neighbours (RFC 6891, section 6.1.1).
    pub(crate) fn forwarded(&self, id: u16) -> Vec<u8> {
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = self.metadata.recursion_desired;
        message.metadata.checking_disabled = self.metadata.checking_disabled;
        message.metadata.authentic_data = self.metadata.authentic_data;
        self.finish(message).to_vec().unwrap_or_default()
    }

    /// What `message` is to this question, if it was asked as `id`.
    pub(crate) fn judge(&self, id: u16, message: &[u8]) -> Verdict {
        let mut decoder = BinDecoder::new(message);
        let Ok(header) = Header::read(&mut decoder) else { return Verdict::Foreign };
        let found = &header.metadata;
        if found.id != id
            || found.message_type != MessageType::Response
            || found.op_code != OpCode::Query
        {
            return Verdict::Foreign;
        }
        let failure = match found.response_code {
            ResponseCode::FormErr
            | ResponseCode::ServFail
            | ResponseCode::NotImp
            | ResponseCode::Refused => Verdict::Failure(found.response_code),
            _ => Verdict::Answer,
        };
        match header.counts.queries {
            // Who can't read a question does not repeat it.
            0 if failure != Verdict::Answer => failure,
            1 if Query::read(&mut decoder).is_ok_and(|query| query == self.query) => failure,
            _ => Verdict::Foreign,
        }
    }

    fn response(&self, code: ResponseCode) -> Message {
        let mut message = Message::new(self.metadata.id, MessageType::Response, OpCode::Query);
        message.metadata = Metadata::response_from_request(&self.metadata);
        message.metadata.recursion_available = true;
        message.metadata.response_code = code;
        self.finish(message)
    }

    /// Adds the question, and EDNS if the client spoke it.
    fn finish(&self, mut message: Message) -> Message {
        message.add_query(self.query.clone());
        if let Some((most, dnssec_ok)) = self.edns {
            let mut edns = Edns::new();
            edns.set_max_payload(most.clamp(PLAIN_DATAGRAM, LARGEST_DATAGRAM));
            edns.set_dnssec_ok(dnssec_ok);
            message.set_edns(edns);
        }
        message
    }

    /// A record that nobody keeps: who has the address can change at any time.
    fn record(&self, data: RData) -> Record {
        Record::from_rdata(self.query.name.clone(), 0, data)
    }
}

/// A name as a record's data.
pub(crate) fn name(text: &str) -> Option<Name> {
    Name::from_ascii(text).ok()
}

#[cfg(test)]
mod tests;
