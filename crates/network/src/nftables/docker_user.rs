//! Rules of ours in another firewall's chain that is meant for them: Docker's `DOCKER-USER`.
//!
//! Docker sets the policy of iptables' chain `FORWARD` to drop, which drops what our pods send and receive, too: an
//! accept in one table opens nothing that another closes. Docker looks into `DOCKER-USER` first and leaves it to others
//! (docs.docker.com, "Docker and iptables"). For a bridge there come to its beginning, as `iptables-nft -S` lists them:
//!
//! ```text
//! -A DOCKER-USER -i sandbar0 -o sandbar0 -j ACCEPT     within it, where br_netfilter is on
//! -A DOCKER-USER -i sandbar0 -o docker+ -j RETURN      between Docker's own networks and ours Docker's rules
//! -A DOCKER-USER -i sandbar0 -o br-+ -j RETURN         decide: what it does not publish stays closed, and its
//! -A DOCKER-USER -i docker+ -o sandbar0 -j RETURN      internal networks stay so
//! -A DOCKER-USER -i br-+ -o sandbar0 -j RETURN
//! -A DOCKER-USER -i sandbar0 -j ACCEPT
//! -A DOCKER-USER -o sandbar0 -j ACCEPT
//! ```
//!
//! Of an internal bridge only the first. Our own table still drops what is not published.

use netlink_packet_netfilter::{
    NetfilterProtoFamily,
    nftables::{
        ChainAttribute, ChainMessage, MetaKey, NfTablesMessage, Operator, Register, RuleAttribute,
        RuleMessage,
    },
};
use rustix::io::Errno;

use super::{
    Batch, Network, Nftables,
    dumped::Dumped,
    expression::{self as x, Expression},
    transaction::Generation,
};
use crate::{Error, ErrorKind, InterfaceName, Result, netlink::Answer};

/// The chain, and the table of iptables-nft that it is in.
pub(crate) const CHAIN: &str = "DOCKER-USER";
pub(crate) const TABLE: &str = "filter";
pub(crate) const FAMILIES: [NetfilterProtoFamily; 2] =
    [NetfilterProtoFamily::IPv4, NetfilterProtoFamily::IPv6];

/// How often a change is tried again because someone else changed the firewall meanwhile.
const TRIES: u32 = 1000;

/// Has the chain, where there is one, let a bridge's traffic through.
pub(crate) fn admit(nftables: &mut Nftables, network: &Network<'_>) -> Result<()> {
    let Network { bridge, .. } = network;
    let wanted = if network.is_internal { vec![within(bridge)] } else { every_rule(bridge) };
    set(nftables, bridge, &wanted)
}

/// Takes a bridge's rules out of the chain.
pub(crate) fn withdraw(nftables: &mut Nftables, bridge: &InterfaceName) -> Result<()> {
    set(nftables, bridge, &[])
}

/// Has the chains have these rules of all that are a bridge's.
fn set(nftables: &mut Nftables, bridge: &InterfaceName, wanted: &[Vec<Expression>]) -> Result<()> {
    let call = || format!("nftables: let {bridge} through the chain {CHAIN} of table {TABLE}");
    let questions = FAMILIES.map(|family| (family, question()));
    let answers =
        nftables.ask_of(questions, Answer::One).map_err(|error| Error::system(call(), error))?;
    for (family, answer) in FAMILIES.into_iter().zip(answers) {
        match answer {
            Ok(_) => set_in(nftables, family, (bridge, wanted), &call)?,
            // Of a table of a family that the kernel lacks, too.
            Err(refusal) if is_missing(refusal.errno()) => {}
            Err(refusal) => return Err(Error::refused(call(), refusal)),
        }
    }
    Ok(())
}

fn set_in(
    nftables: &mut Nftables,
    family: NetfilterProtoFamily,
    rules: (&InterfaceName, &[Vec<Expression>]),
    call: &dyn Fn() -> String,
) -> Result<()> {
    for _ in 0..TRIES {
        let generation = nftables.generation()?;
        let Some(batch) = changes(nftables, family, rules, call)? else { return Ok(()) };
        match commit(nftables, batch, generation, call)? {
            Committed::Done => return Ok(()),
            Committed::Stale => {}
        }
    }
    Err(Error::new(ErrorKind::Busy, format!("{}: the firewall never stopped changing", call())))
}

enum Committed {
    Done,
    Stale,
}

fn commit(
    nftables: &mut Nftables,
    batch: Batch,
    generation: Generation,
    call: &dyn Fn() -> String,
) -> Result<Committed> {
    match nftables.commit(batch, Some(generation)).map_err(|error| Error::system(call(), error))? {
        Ok(()) => Ok(Committed::Done),
        Err(failure) if failure.refusal.errno() == Errno::RESTART => Ok(Committed::Stale),
        Err(failure) => Err(Error::refused(call(), failure.refusal)),
    }
}

/// What is to change in the chain; `None` where it is as wanted.
fn changes(
    nftables: &mut Nftables,
    family: NetfilterProtoFamily,
    (bridge, wanted): (&InterfaceName, &[Vec<Expression>]),
    call: &dyn Fn() -> String,
) -> Result<Option<Batch>> {
    let listing = NfTablesMessage::GetRule(RuleMessage { attributes: place() });
    let answers = nftables
        .ask_of([(family, listing)], Answer::Dump)
        .map_err(|error| Error::system(call(), error))?;
    let listed = match answers.into_iter().next() {
        Some(Ok(listed)) => listed,
        // Gone meanwhile.
        Some(Err(refusal)) if is_missing(refusal.errno()) => return Ok(None),
        Some(Err(refusal)) => return Err(Error::refused(call(), refusal)),
        None => return Ok(None),
    };
    let ours = every_rule(bridge);
    let own: Vec<_> = listed
        .iter()
        .map(|message| Dumped::new(message))
        .filter(|rule| rule.chain() == CHAIN.as_bytes())
        .filter(|rule| ours.iter().any(|own| rule.is_of(own)))
        .collect();
    let is_right =
        own.len() == wanted.len() && own.iter().zip(wanted).all(|(own, wanted)| own.is_of(wanted));
    if is_right {
        return Ok(None);
    }
    let mut batch = Batch::new();
    for handle in own.iter().filter_map(Dumped::handle) {
        let mut attributes = place();
        attributes.push(RuleAttribute::Handle(handle));
        batch.delete_of(family, NfTablesMessage::DeleteRule(RuleMessage { attributes }));
    }
    // Each comes to the beginning, before those that came before.
    for rule in wanted.iter().rev() {
        let mut attributes = place();
        attributes.push(RuleAttribute::Expressions(rule.clone()));
        batch.create_of(family, NfTablesMessage::NewRule(RuleMessage { attributes }));
    }
    Ok(Some(batch))
}

fn question() -> NfTablesMessage {
    NfTablesMessage::GetChain(ChainMessage {
        attributes: vec![
            ChainAttribute::Table(TABLE.to_owned()),
            ChainAttribute::Name(CHAIN.to_owned()),
        ],
    })
}

fn place() -> Vec<RuleAttribute> {
    vec![RuleAttribute::Table(TABLE.to_owned()), RuleAttribute::Chain(CHAIN.to_owned())]
}

fn is_missing(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::OPNOTSUPP | Errno::AFNOSUPPORT)
}

fn within(bridge: &InterfaceName) -> Vec<Expression> {
    let name = exact(bridge);
    rule(Some(&name), Some(&name), x::accept())
}

fn every_rule(bridge: &InterfaceName) -> Vec<Vec<Expression>> {
    let name = exact(bridge);
    let own = Some(&name[..]);
    let mut rules = vec![within(bridge)];
    let docker = [&b"docker"[..], b"br-"];
    rules.extend(docker.map(|theirs| rule(own, Some(theirs), x::return_to_caller())));
    rules.extend(docker.map(|theirs| rule(Some(theirs), own, x::return_to_caller())));
    rules.push(rule(own, None, x::accept()));
    rules.push(rule(None, own, x::accept()));
    rules
}

/// A name with its end, which iptables-nft compares, too; what is compared without one begins so.
fn exact(bridge: &InterfaceName) -> Vec<u8> {
    [bridge.as_str().as_bytes(), b"\0"].concat()
}

/// A rule exactly as iptables-nft writes it: it can't list a table that has another's.
fn rule(from: Option<&[u8]>, to: Option<&[u8]>, verdict: Expression) -> Vec<Expression> {
    const NAME: Register = Register::Reg1;
    let compare = |key: MetaKey, name: Option<&[u8]>| {
        name.map(|name| [x::meta(key, NAME), x::compare(NAME, Operator::Equal, name)])
    };
    let interfaces = [compare(MetaKey::Iifname, from), compare(MetaKey::Oifname, to)];
    interfaces.into_iter().flatten().flatten().chain([x::counter(), verdict]).collect()
}
