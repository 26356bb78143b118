//! A socket for nftables, and transactions on it: all of a batch takes effect, or none.

use std::io;

use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterProtoFamily,
    nftables::{GenMessage, NfTablesMessage, TableAttribute, TableMessage},
    none::ControlMessage,
};
use rustix::io::Errno;

use crate::{
    Error, ErrorKind, Lingering, Result,
    netlink::{Answer, Outcome, Refusal, Request, Socket, attribute, bytes_at, find},
};

/// The table's family: IPv4 and IPv6 in one.
const FAMILY: NetfilterProtoFamily = NetfilterProtoFamily::Inet;
/// `NFNL_SUBSYS_NFTABLES`, which a batch names in its header.
const SUBSYSTEM: u16 = 10;
/// `NFNL_MSG_BATCH_BEGIN` and its attribute `NFNL_BATCH_GENID`.
const BATCH_BEGIN: u8 = 16;
const BATCH_GENERATION: u16 = 1;
/// `NFTA_GEN_ID`.
const GENERATION: u16 = 1;
/// `struct nfgenmsg`, before the attributes of every netfilter message.
pub(super) const HEADER: usize = 4;

/// A connection to the nftables of the calling thread's network namespace.
pub(crate) struct Nftables(Socket);

/// The number of the last change to this network namespace's nftables, by whomever.
#[derive(Clone, Copy)]
pub(crate) struct Generation(u32);

/// Changes to be made at once.
pub(crate) struct Batch(Vec<(NetfilterProtoFamily, u16, NfTablesMessage)>);

/// Why a batch had no effect.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Which of the batch's messages was refused; `None` when it was the batch as a whole.
    pub(crate) message: Option<usize>,
    pub(crate) refusal: Refusal,
}

impl Batch {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    /// Creates, or does nothing where the same exists.
    pub(crate) fn create(&mut self, message: NfTablesMessage) {
        self.push(NLM_F_CREATE, message);
    }

    /// Creates; fails with `EEXIST` where the same exists.
    pub(crate) fn create_new(&mut self, message: NfTablesMessage) {
        self.push(NLM_F_CREATE | NLM_F_EXCL, message);
    }

    /// Adds to the end of a list (of rules).
    pub(crate) fn append(&mut self, message: NfTablesMessage) {
        self.push(NLM_F_CREATE | netlink_packet_core::NLM_F_APPEND, message);
    }

    pub(crate) fn delete(&mut self, message: NfTablesMessage) {
        self.push(0, message);
    }

    /// Deletes, or does nothing where there is no such: creates it first, which changes nothing where it exists.
    pub(crate) fn delete_if_there(&mut self, create: NfTablesMessage, delete: NfTablesMessage) {
        self.create(create);
        self.delete(delete);
    }

    /// Deletes a table of another family, if there is one.
    pub(crate) fn delete_table(&mut self, family: NetfilterProtoFamily, name: &str) {
        let table = || TableMessage { attributes: vec![TableAttribute::Name(name.to_owned())] };
        self.0.push((family, NLM_F_CREATE, NfTablesMessage::NewTable(table())));
        self.0.push((family, 0, NfTablesMessage::DeleteTable(table())));
    }

    /// As `create`, in a table of another family.
    pub(crate) fn create_of(&mut self, family: NetfilterProtoFamily, message: NfTablesMessage) {
        self.0.push((family, NLM_F_CREATE, message));
    }

    /// As `delete`, in a table of another family.
    pub(crate) fn delete_of(&mut self, family: NetfilterProtoFamily, message: NfTablesMessage) {
        self.0.push((family, 0, message));
    }

    fn push(&mut self, flags: u16, message: NfTablesMessage) {
        self.0.push((FAMILY, flags, message));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[cfg(test)]
    pub(crate) fn messages(&self) -> impl Iterator<Item = &NfTablesMessage> {
        self.0.iter().map(|(.., message)| message)
    }
}

impl Nftables {
    /// Keeps the socket open beyond this connection's own life.
    pub(crate) fn linger(&self) -> Lingering {
        // Without a descriptor to spare it is closed with this connection, only later.
        Lingering::new(self.0.duplicate().ok())
    }

    /// # Errors
    /// `NoNftables` on a kernel without netfilter's netlink.
    pub(crate) fn open() -> Result<Self> {
        Socket::netfilter().map(Self).map_err(|error| {
            let is_missing = error.raw_os_error() == Some(Errno::PROTONOSUPPORT.raw_os_error());
            let error = Error::system("socket(AF_NETLINK, NETLINK_NETFILTER)", error);
            if is_missing { error.with_kind(ErrorKind::NoNftables) } else { error }
        })
    }

    /// Asks several questions at once.
    pub(crate) fn ask(
        &mut self,
        questions: impl IntoIterator<Item = NfTablesMessage>,
        answer: Answer,
    ) -> io::Result<Vec<Outcome>> {
        self.ask_of(questions.into_iter().map(|message| (FAMILY, message)), answer)
    }

    /// As [`Nftables::ask`], of tables of other families.
    pub(crate) fn ask_of(
        &mut self,
        questions: impl IntoIterator<Item = (NetfilterProtoFamily, NfTablesMessage)>,
        answer: Answer,
    ) -> io::Result<Vec<Outcome>> {
        self.0.exchange(questions.into_iter().map(|(family, message)| Request {
            message: of_family(family, message),
            flags: 0,
            answer,
        }))
    }

    /// Hands over each message of a listing.
    pub(crate) fn list(
        &mut self,
        question: NfTablesMessage,
        each: impl FnMut(&[u8]),
    ) -> io::Result<std::result::Result<(), Refusal>> {
        self.0.list(of_family(FAMILY, question), each)
    }

    /// The present generation: a batch bound to it fails once anyone has changed anything.
    pub(crate) fn generation(&mut self) -> Result<Generation> {
        const CALL: &str = "nftables GETGEN";
        let question = NfTablesMessage::GetGen(GenMessage { attributes: Vec::new() });
        let answers = self.ask([question], Answer::One).map_err(|e| Error::system(CALL, e))?;
        let answer = answers
            .into_iter()
            .next()
            .unwrap_or_else(|| Err(Errno::PROTO.into()))
            .map_err(|refusal| nftables_error(CALL, refusal))?;
        answer
            .first()
            .and_then(|message| message.get(HEADER..))
            .and_then(|attributes| find(attributes, GENERATION))
            .and_then(|id| bytes_at(id, 0))
            .map(|id| Generation(u32::from_be_bytes(id)))
            .ok_or_else(|| Error::system(CALL, Errno::PROTO))
    }

    /// Makes all of a batch's changes, or none.
    ///
    /// With a generation, the batch fails with `ERESTART` when that is no longer the present one.
    pub(crate) fn commit(
        &mut self,
        batch: Batch,
        generation: Option<Generation>,
    ) -> io::Result<std::result::Result<(), Failure>> {
        let begin =
            generation.map_or(ControlMessage::BatchBegin, |Generation(id)| ControlMessage::Other {
                message_type: BATCH_BEGIN,
                attributes: vec![attribute(BATCH_GENERATION, id)],
            });
        let last = batch.0.len();
        let changes = batch.0.into_iter().zip(1..).map(|((family, flags, message), n)| Request {
            message: of_family(family, message),
            flags: if n == last { flags | NLM_F_ACK } else { flags },
            // Acknowledging the last is enough: every refusal is answered before it. (Kernels before 6.10 do not
            // acknowledge the end of a batch.)
            answer: if n == last { Answer::Ack } else { Answer::OnlyFailure },
        });
        let requests =
            [control(begin)].into_iter().chain(changes).chain([control(ControlMessage::BatchEnd)]);
        let outcomes = self.0.exchange(requests)?;
        Ok(first_failure(outcomes))
    }
}

fn first_failure(outcomes: Vec<Outcome>) -> std::result::Result<(), Failure> {
    let mut failure = None;
    for (index, outcome) in outcomes.into_iter().enumerate() {
        let Err(refusal) = outcome else { continue };
        // The first message is the batch's own; that of a batch refused as a whole leaves the others unanswered.
        let message = index.checked_sub(1);
        let is_answered = refusal.errno() != Errno::PROTO;
        if message.is_none() || is_answered {
            return Err(Failure { message, refusal });
        }
        failure = Some(Failure { message: None, refusal });
    }
    failure.map_or(Ok(()), Err)
}

fn control(message: ControlMessage) -> Request<NetfilterMessage> {
    let header = NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, SUBSYSTEM);
    Request {
        message: NetfilterMessage::new(header, message),
        flags: 0,
        answer: Answer::OnlyFailure,
    }
}

fn of_family(family: NetfilterProtoFamily, message: NfTablesMessage) -> NetfilterMessage {
    NetfilterMessage::new(NetfilterHeader::new(family, 0, 0), message)
}

/// A refusal whose error number tells what the kernel lacks.
pub(super) fn nftables_error(call: impl Into<String>, refusal: Refusal) -> Error {
    let is_missing =
        matches!(refusal.errno(), Errno::OPNOTSUPP | Errno::PROTONOSUPPORT | Errno::AFNOSUPPORT);
    let error = Error::refused(call, refusal);
    if is_missing { error.with_kind(ErrorKind::NoNftables) } else { error }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(errno: Errno) -> Outcome {
        Err(errno.into())
    }

    #[test]
    fn the_refused_message_is_named() {
        let outcomes = vec![Ok(vec![]), Ok(vec![]), refused(Errno::EXIST), Ok(vec![]), Ok(vec![])];
        let failure = first_failure(outcomes).unwrap_err();
        assert_eq!((failure.message, failure.refusal.errno()), (Some(1), Errno::EXIST));
    }

    #[test]
    fn a_batch_refused_as_a_whole_is_no_messages_fault() {
        let outcomes = vec![refused(Errno::PERM), refused(Errno::PROTO), Ok(vec![])];
        let failure = first_failure(outcomes).unwrap_err();
        assert_eq!((failure.message, failure.refusal.errno()), (None, Errno::PERM));
        assert!(first_failure(vec![Ok(vec![]), Ok(vec![]), Ok(vec![])]).is_ok());
    }
}
