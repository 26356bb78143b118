//! The table as a whole: asked for, made, and rid of one bridge.
//!
//! ```text
//! set subnets, subnets6 { flags interval }   the subnets of pods
//! set same_network, same_network6            subnet . subnet, for each, and subnet . address for each pod that is on
//!                                            the subnet's network, and has its ports at this address of another
//! set bridges                                the bridges they are on
//! set internal, isolated                     those among them that are
//! set same_bridge                            bridge . bridge, for each
//! set loopbacks                              ::1, where it can lead to pods
//! set versions                               the VERSION of these rules
//! map published,    published6               proto . port      -> address . port
//! map published_at, published_at6            ip . proto . port -> address . port
//!
//! prerouting_raw (raw):  by lo                                            accept
//!                        from or to 127.0.0.0/8 or ::1                    drop
//!                        to a subnet, not by a bridge                     drop
//! prerouting (dstnat):   to an address of this host                       jump published_ports
//! output (dstnat):       to ::1 unless in loopbacks                       accept
//!                        to an address of this host                       jump published_ports
//! published_ports:                                                        dnat by published_at, else by published
//! forward (filter):      of a known connection                            accept
//!                        within a bridge                                  accept
//!                        from or to an internal bridge                    drop
//!                        between an isolated bridge and another           drop
//!                        to a published port                              accept
//!                        to a bridge                                      drop
//! postrouting (srcnat):  by lo                                            accept
//!                        from a subnet, not by a bridge                   masquerade
//!                        from 127.0.0.0/8 or ::1, by a bridge             masquerade
//!                        within same_network, published port              masquerade
//! ```
//!
//! A verdict of `accept` ends one table's say only: it opens nothing that another table closes.

use std::net::{IpAddr, Ipv6Addr};

use netlink_packet_netfilter::{
    NetfilterProtoFamily,
    nftables::{
        NfTablesMessage, RuleAttribute, RuleMessage, SetElementMessage, TableAttribute,
        TableMessage,
    },
};
use rustix::io::Errno;

use super::{
    Batch, Nftables, TABLE,
    element::{self, octets},
    repair::Repair,
    rules::{chains, rules},
    sets::{
        self, BRIDGES, INTERNAL, ISOLATED, LOOPBACKS, SAME_BRIDGE, SAME_NETWORK, SAME_NETWORK_6,
        SUBNETS, SUBNETS_6, VERSIONS, name_key,
    },
    transaction::{Generation, nftables_error},
};
use crate::{
    Error, ErrorKind, InterfaceName, Result, Subnet, Subnet6,
    netlink::{Answer, Outcome},
};

/// To be raised with every change to the chains, rules or sets, so that a running host's are replaced.
const VERSION: u32 = 3;

/// How often a repair is tried again because someone else changed the firewall meanwhile.
const TRIES: u32 = 1000;

/// What the table knows of one bridge.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Network<'a> {
    pub(crate) bridge: &'a InterfaceName,
    pub(crate) subnet: Subnet,
    pub(crate) subnet6: Option<Subnet6>,
    pub(crate) is_internal: bool,
    pub(crate) is_isolated: bool,
}

/// Whether `::1` leads to pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loopback6 {
    Leads,
    DoesNot,
}

/// An element of a set.
struct Item {
    element: SetElementMessage,
    /// The same to ask for it: an interval is asked for by an address.
    question: SetElementMessage,
    is_wanted: bool,
}

impl Item {
    fn new(set: &str, key: Vec<u8>, is_wanted: bool) -> Self {
        let element = element::one(set, key);
        Self { question: element.clone(), element, is_wanted }
    }

    fn subnet(set: &str, first: IpAddr, last: IpAddr) -> Self {
        Self {
            element: element::interval(set, octets(first), octets(last)),
            question: element::one(set, octets(first)),
            is_wanted: true,
        }
    }

    fn pair(set: &str, from: [IpAddr; 2], to: [IpAddr; 2]) -> Self {
        let question = element::one(set, [octets(from[0]), octets(to[0])].concat());
        Self { element: element::pair(set, from, to), question, is_wanted: true }
    }

    fn loopback(loopback: Loopback6) -> Self {
        let key = octets(Ipv6Addr::LOCALHOST.into());
        Self::new(LOOPBACKS, key, loopback == Loopback6::Leads)
    }
}

impl Network<'_> {
    fn items(&self) -> Vec<Item> {
        let name = || name_key(self.bridge);
        let mut items = vec![
            Item::new(BRIDGES, name(), true),
            Item::new(SAME_BRIDGE, [name(), name()].concat(), true),
            Item::new(INTERNAL, name(), self.is_internal),
            Item::new(ISOLATED, name(), self.is_isolated),
        ];
        let v4 = [self.subnet.base().into(), self.subnet.last().into()];
        items.push(Item::subnet(SUBNETS, v4[0], v4[1]));
        items.push(Item::pair(SAME_NETWORK, v4, v4));
        if let Some(v6) = self.subnet6.map(|it| [it.base().into(), it.last().into()]) {
            items.push(Item::subnet(SUBNETS_6, v6[0], v6[1]));
            items.push(Item::pair(SAME_NETWORK_6, v6, v6));
        }
        items
    }
}

/// Whether the rules of this version are there and know this bridge: one round trip. (A bridge without IPv6 has no say
/// in `loopback`.)
pub(crate) fn is_in_place(
    nftables: &mut Nftables,
    network: &Network<'_>,
    loopback: Option<Loopback6>,
) -> Result<bool> {
    let version = Item::new(VERSIONS, VERSION.to_ne_bytes().to_vec(), true);
    let items: Vec<_> =
        [version].into_iter().chain(loopback.map(Item::loopback)).chain(network.items()).collect();
    let call = format!("nftables GETSETELEM {TABLE} of {}", network.bridge);
    let there = look(nftables, &items, &call)?;
    Ok(items.iter().zip(there).all(|(item, is_there)| is_there == item.is_wanted))
}

/// Whether the table is as it was made, whatever its version's mark says: others may have changed anything.
pub(crate) fn is_whole(nftables: &mut Nftables) -> Result<bool> {
    Ok(!Repair::find(nftables)?.is_needed())
}

/// Whether each is there.
fn look(nftables: &mut Nftables, items: &[Item], call: &str) -> Result<Vec<bool>> {
    let questions = items.iter().map(|item| NfTablesMessage::GetSetElement(item.question.clone()));
    let answers =
        nftables.ask(questions, Answer::One).map_err(|error| Error::system(call, error))?;
    let is_there = |answer: Outcome| match answer {
        Ok(_) => Ok(true),
        Err(refusal) if refusal.errno() == Errno::NOENT => Ok(false),
        Err(refusal) => Err(nftables_error(call, refusal)),
    };
    answers.into_iter().map(is_there).collect()
}

/// Makes the table, or makes it right, in one transaction; published ports stay.
///
/// Any number of processes may do so at once: the outcome is the same as of one.
pub(crate) fn put_in_place(
    nftables: &mut Nftables,
    network: &Network<'_>,
    loopback: Option<Loopback6>,
) -> Result<()> {
    let mut batch = Batch::new();
    add_whole(&mut batch, network, loopback);
    match commit(nftables, network, batch, None)? {
        Committed::Done => Ok(()),
        Committed::Stale => Err(Error::new(ErrorKind::Busy, name_of_change(network))),
    }
}

/// As [`put_in_place`], of a table that others have changed: what they brought goes.
pub(crate) fn put_back_in_place(
    nftables: &mut Nftables,
    network: &Network<'_>,
    loopback: Option<Loopback6>,
) -> Result<()> {
    for _ in 0..TRIES {
        let generation = nftables.generation()?;
        let repair = Repair::find(nftables)?;
        if let Some(wake) = repair.wake() {
            commit(nftables, network, wake, Some(generation))?;
            continue;
        }
        let mut batch = Batch::new();
        repair.clear(&mut batch);
        add_whole(&mut batch, network, loopback);
        if let Committed::Done = commit(nftables, network, batch, Some(generation))? {
            return Ok(());
        }
    }
    let text = format!("{}: the firewall never stopped changing", name_of_change(network));
    Err(Error::new(ErrorKind::Busy, text))
}

enum Committed {
    Done,
    /// Somebody changed the firewall before.
    Stale,
}

fn commit(
    nftables: &mut Nftables,
    network: &Network<'_>,
    batch: Batch,
    generation: Option<Generation>,
) -> Result<Committed> {
    let call = || name_of_change(network);
    match nftables.commit(batch, generation) {
        Err(error) => Err(Error::system(call(), error)),
        Ok(Ok(())) => Ok(Committed::Done),
        Ok(Err(failure)) => {
            let kind = match failure.refusal.errno() {
                Errno::RESTART => return Ok(Committed::Stale),
                // Of an expression or a chain type: a module that this kernel does not have.
                Errno::NOENT => Some(ErrorKind::NoNftables),
                Errno::EXIST | Errno::NOTEMPTY => Some(ErrorKind::SubnetTaken),
                _ => None,
            };
            let error = nftables_error(call(), failure.refusal);
            Err(match kind {
                Some(kind) => error.with_kind(kind),
                None => error,
            })
        }
    }
}

fn name_of_change(network: &Network<'_>) -> String {
    let Network { bridge, subnet, .. } = network;
    format!("nftables: make table inet {TABLE} for {bridge}, {subnet}")
}

/// Forgets a bridge: what the table does not know of it is no error.
pub(crate) fn take_away(nftables: &mut Nftables, network: &Network<'_>) -> Result<()> {
    let call = format!("nftables: take {} out of table inet {TABLE}", network.bridge);
    let items = network.items();
    let there = look(nftables, &items, &call)?;
    let mut batch = Batch::new();
    for (item, is_there) in items.into_iter().zip(there) {
        if is_there {
            batch.delete(NfTablesMessage::DeleteSetElement(item.element));
        }
    }
    if batch.is_empty() {
        return Ok(());
    }
    match nftables.commit(batch, None) {
        Err(error) => Err(Error::system(call, error)),
        // Another process was faster.
        Ok(Err(failure)) if failure.refusal.errno() != Errno::NOENT => {
            Err(Error::refused(call, failure.refusal))
        }
        Ok(_) => Ok(()),
    }
}

fn add_whole(batch: &mut Batch, network: &Network<'_>, loopback: Option<Loopback6>) {
    // Of Sandbar's first versions, whose rules would translate a second time.
    batch.delete_table(NetfilterProtoFamily::IPv4, TABLE);
    batch.create(NfTablesMessage::NewTable(TableMessage {
        attributes: vec![TableAttribute::Name(TABLE.to_owned())],
    }));
    for set in sets::all() {
        batch.create(NfTablesMessage::NewSet(set));
    }
    for chain in chains() {
        batch.create(NfTablesMessage::NewChain(chain));
    }
    // Without a chain's name: the rules of all.
    batch.delete(NfTablesMessage::DeleteRule(RuleMessage {
        attributes: vec![RuleAttribute::Table(TABLE.to_owned())],
    }));
    for (chain, expressions) in rules() {
        batch.append(NfTablesMessage::NewRule(RuleMessage {
            attributes: vec![
                RuleAttribute::Table(TABLE.to_owned()),
                RuleAttribute::Chain(chain.to_owned()),
                RuleAttribute::Expressions(expressions),
            ],
        }));
    }
    batch.delete(NfTablesMessage::DeleteSetElement(element::everything(VERSIONS)));
    let version = Item::new(VERSIONS, VERSION.to_ne_bytes().to_vec(), true);
    let loopback = loopback.map(Item::loopback);
    let items = [version].into_iter().chain(loopback).chain(network.items());
    for Item { element, is_wanted, .. } in items {
        let create = NfTablesMessage::NewSetElement(element.clone());
        if is_wanted {
            batch.create(create);
        } else {
            batch.delete_if_there(create, NfTablesMessage::DeleteSetElement(element));
        }
    }
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::Emitable as _;

    use super::*;

    /// (For one byte order.) When this fails the rules have changed: raise [`VERSION`], then note the new sum here.
    #[cfg(target_endian = "little")]
    #[test]
    fn a_change_of_the_rules_needs_a_new_version() {
        let network = Network {
            bridge: &InterfaceName::from_static("sandbar0"),
            subnet: Subnet::DEFAULT,
            subnet6: Some("fd00:84::/64".parse().unwrap()),
            is_internal: false,
            is_isolated: true,
        };
        let mut batch = Batch::new();
        add_whole(&mut batch, &network, Some(Loopback6::Leads));
        let sum = batch.messages().fold(0xcbf2_9ce4_8422_2325_u64, |sum, message| {
            let mut bytes = vec![0; message.buffer_len()];
            message.emit(&mut bytes);
            bytes
                .iter()
                .fold(sum, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
        });
        assert_eq!((VERSION, sum), (3, 5_355_998_392_853_705_527));
    }
}
