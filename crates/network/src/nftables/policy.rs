//! Chains of others that drop whatever is forwarded unless one of their own rules accepts it.

use std::fmt;

use netlink_packet_netfilter::{
    NetfilterProtoFamily,
    nftables::{ChainMessage, NfTablesMessage},
};

use super::{
    Nftables, docker_user,
    dumped::text,
    transaction::{HEADER, nftables_error},
};
use crate::{
    Error, Result,
    netlink::{Answer, bytes_at, find},
};

/// `NFTA_CHAIN_TABLE`, `NFTA_CHAIN_NAME`, `NFTA_CHAIN_HOOK` with `NFTA_HOOK_HOOKNUM`, `NFTA_CHAIN_POLICY`.
const TABLE: u16 = 1;
const NAME: u16 = 3;
const HOOK: u16 = 4;
const HOOK_NUMBER: u16 = 1;
const POLICY: u16 = 5;
/// `NF_INET_FORWARD`, `NF_DROP`.
const FORWARD: u32 = 2;
const DROP: u32 = 0;
/// `NFPROTO_INET`, `NFPROTO_IPV4`, `NFPROTO_IPV6`.
const FAMILIES: [(u8, &str); 3] = [(1, "inet"), (2, "ip"), (10, "ip6")];

/// A chain of another firewall, with the policy to drop what is forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardDrop {
    family: &'static str,
    table: String,
    chain: String,
}

/// As `nft list chain` wants it.
impl fmt::Display for ForwardDrop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.family, self.table, self.chain)
    }
}

/// The chains of other firewalls that drop what is forwarded, pods' traffic with it, and that nothing is done about:
/// not those of Docker, whose chain `DOCKER-USER` has rules for our bridges. (iptables-legacy's can't be seen.)
///
/// # Errors
/// `NoNftables`, `PermissionDenied`, `System`.
pub fn forward_drops() -> Result<Vec<ForwardDrop>> {
    const CALL: &str = "nftables GETCHAIN";
    let question = NfTablesMessage::GetChain(ChainMessage { attributes: Vec::new() });
    let answers = Nftables::open()?
        .ask_of([(NetfilterProtoFamily::Unspec, question)], Answer::Dump)
        .map_err(|error| Error::system(CALL, error))?;
    let chains = match answers.into_iter().next() {
        Some(Err(refusal)) => return Err(nftables_error(CALL, refusal)),
        Some(Ok(chains)) => chains,
        None => Vec::new(),
    };
    let chains: Vec<_> = chains.iter().filter_map(|message| Chain::read(message)).collect();
    let is_dockers = |chain: &Chain<'_>| {
        let user = Chain { name: docker_user::CHAIN.as_bytes(), drops_forwarded: false, ..*chain };
        chain.family != "inet"
            && chain.table == docker_user::TABLE.as_bytes()
            && chains.contains(&user)
    };
    let dropping = chains.iter().filter(|chain| chain.drops_forwarded && !is_dockers(chain));
    Ok(dropping.map(Chain::told).collect())
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Chain<'a> {
    family: &'static str,
    table: &'a [u8],
    name: &'a [u8],
    drops_forwarded: bool,
}

impl<'a> Chain<'a> {
    fn read(message: &'a [u8]) -> Option<Self> {
        let (_, family) =
            FAMILIES.into_iter().find(|(number, _)| message.first() == Some(number))?;
        let attributes = message.get(HEADER..)?;
        let number = |value: Option<&[u8]>| bytes_at(value?, 0).map(u32::from_be_bytes);
        let hook = find(attributes, HOOK).and_then(|hook| number(find(hook, HOOK_NUMBER)));
        let policy = number(find(attributes, POLICY));
        Some(Self {
            family,
            table: text(find(attributes, TABLE)),
            name: text(find(attributes, NAME)),
            drops_forwarded: hook == Some(FORWARD) && policy == Some(DROP),
        })
    }

    fn told(&self) -> ForwardDrop {
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        ForwardDrop { family: self.family, table: text(self.table), chain: text(self.name) }
    }
}
