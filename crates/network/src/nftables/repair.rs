//! What of the table is not as it was made: others may have changed anything, its version's mark excepted.

use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, NfTablesMessage, RuleAttribute, RuleMessage, SetAttribute,
    SetMessage, TableAttribute, TableFlags, TableMessage,
};
use rustix::io::Errno;

use super::{
    Batch, Nftables, TABLE,
    dumped::{Dumped, has, text},
    rules::{chains, rules},
    sets,
    transaction::{HEADER, nftables_error},
};
use crate::{
    Error, Result,
    netlink::{Answer, bytes_at, find},
};

/// `NFTA_TABLE_FLAGS` and `NFT_TABLE_F_DORMANT`.
const TABLE_FLAGS: u16 = 2;
const DORMANT: u32 = 1;
/// `NFTA_CHAIN_TABLE` and `NFTA_SET_TABLE`, `NFTA_CHAIN_NAME`, `NFTA_CHAIN_HOOK`, `NFTA_CHAIN_FLAGS`.
const OF_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_FLAGS: u16 = 10;
/// `NFT_CHAIN_BINDING`: a part of a rule, which goes with it.
const BINDING: u32 = 4;
/// `NFTA_SET_NAME`, `NFTA_SET_FLAGS`, and `NFT_SET_ANONYMOUS`: likewise.
const SET_NAME: u16 = 2;
const SET_FLAGS: u16 = 3;
const ANONYMOUS: u32 = 1;

/// The table's sets and chains that are none of ours, or not as ours are, and whether there is more to mend.
#[derive(Debug, Default)]
pub(super) struct Repair {
    sets: Vec<String>,
    chains: Vec<String>,
    lacks: bool,
    is_dormant: bool,
}

impl Repair {
    /// Looks at everything but the sets' elements.
    pub(super) fn find(nftables: &mut Nftables) -> Result<Self> {
        let call = || format!("look at table inet {TABLE}");
        let table = NfTablesMessage::GetTable(TableMessage { attributes: vec![table_name()] });
        let mut answers = nftables
            .ask([table], Answer::One)
            .and_then(|mut answers| {
                let all = [
                    NfTablesMessage::GetSet(SetMessage {
                        attributes: vec![SetAttribute::Table(TABLE.to_owned())],
                    }),
                    NfTablesMessage::GetChain(ChainMessage { attributes: Vec::new() }),
                    NfTablesMessage::GetRule(RuleMessage {
                        attributes: vec![RuleAttribute::Table(TABLE.to_owned())],
                    }),
                ];
                // One listing at a time: a socket has no room for two.
                for question in all {
                    answers.extend(nftables.ask([question], Answer::Dump)?);
                }
                Ok(answers)
            })
            .map_err(|error| Error::system(call(), error))?
            .into_iter()
            .map(|answer| match answer {
                Ok(messages) => Ok(messages),
                Err(refusal) if refusal.errno() == Errno::NOENT => Ok(Vec::new()),
                Err(refusal) => Err(nftables_error(call(), refusal)),
            });
        let mut next = || answers.next().unwrap_or_else(|| Ok(Vec::new()));
        let [table, sets, chains, listed_rules] = [next()?, next()?, next()?, next()?];
        let flags = table.first().and_then(|table| number(table, TABLE_FLAGS)).unwrap_or_default();
        let (sets, lacks_sets) = wrong_sets(&sets);
        let (chains, lacks_chains) = wrong_chains(&chains);
        let lacks = lacks_sets || lacks_chains || !are_rules(&listed_rules);
        Ok(Self { sets, chains, lacks, is_dormant: flags & DORMANT != 0 })
    }

    pub(super) fn is_needed(&self) -> bool {
        self.lacks || self.is_dormant || !self.sets.is_empty() || !self.chains.is_empty()
    }

    /// What has to be done before, and apart: in one transaction with its chains a table can't be woken.
    pub(super) fn wake(&self) -> Option<Batch> {
        self.is_dormant.then(|| {
            let mut batch = Batch::new();
            let awake = vec![table_name(), TableAttribute::Flags(TableFlags::empty())];
            batch.create(NfTablesMessage::NewTable(TableMessage { attributes: awake }));
            batch
        })
    }

    /// Removes what is wrong: first the rules, which hold on to the rest.
    pub(super) fn clear(&self, batch: &mut Batch) {
        if self.sets.is_empty() && self.chains.is_empty() {
            return;
        }
        batch.delete(NfTablesMessage::DeleteRule(RuleMessage {
            attributes: vec![RuleAttribute::Table(TABLE.to_owned())],
        }));
        for name in &self.sets {
            batch.delete(NfTablesMessage::DeleteSet(SetMessage {
                attributes: vec![
                    SetAttribute::Table(TABLE.to_owned()),
                    SetAttribute::Name(name.clone()),
                ],
            }));
        }
        for name in &self.chains {
            batch.delete(NfTablesMessage::DeleteChain(ChainMessage {
                attributes: vec![
                    ChainAttribute::Table(TABLE.to_owned()),
                    ChainAttribute::Name(name.clone()),
                ],
            }));
        }
    }
}

fn table_name() -> TableAttribute {
    TableAttribute::Name(TABLE.to_owned())
}

/// The sets to be removed, and whether any of ours is missing.
fn wrong_sets(listed: &[Vec<u8>]) -> (Vec<String>, bool) {
    let ours = sets::all();
    let is_right = |message: &[u8], set: &SetMessage| {
        set.attributes.iter().all(|attribute| match attribute {
            // No flags are not listed.
            SetAttribute::Flags(flags) => {
                number(message, SET_FLAGS).unwrap_or_default() == flags.bits()
            }
            SetAttribute::Name(_)
            | SetAttribute::KeyType(_)
            | SetAttribute::KeyLen(_)
            | SetAttribute::DataType(_)
            | SetAttribute::DataLen(_) => has(attributes(message), attribute),
            _ => true,
        })
    };
    let theirs = listed.iter().filter(|set| is_of_our_table(set)).filter(|set| {
        number(set, SET_FLAGS).unwrap_or_default() & ANONYMOUS == 0
            && !ours.iter().any(|own| is_right(set, own))
    });
    let lacks = !ours.iter().all(|own| listed.iter().any(|set| is_right(set, own)));
    (theirs.map(|set| name(set, SET_NAME)).collect(), lacks)
}

/// The chains to be removed, and whether any of ours is missing.
fn wrong_chains(listed: &[Vec<u8>]) -> (Vec<String>, bool) {
    let ours = chains();
    let is_right = |message: &[u8], chain: &ChainMessage| {
        let is_base = chain.attributes.iter().any(|it| matches!(it, ChainAttribute::Hook(_)));
        let is_hooked = find(attributes(message), CHAIN_HOOK).is_some();
        is_base == is_hooked && chain.attributes.iter().all(|it| has(attributes(message), it))
    };
    let listed: Vec<_> = listed.iter().filter(|chain| is_of_our_table(chain)).collect();
    let theirs = listed.iter().filter(|chain| {
        number(chain, CHAIN_FLAGS).unwrap_or_default() & BINDING == 0
            && !ours.iter().any(|own| is_right(chain, own))
    });
    let lacks = !ours.iter().all(|own| listed.iter().any(|chain| is_right(chain, own)));
    (theirs.map(|chain| name(chain, CHAIN_NAME)).collect(), lacks)
}

/// Whether each chain has our rules, in our order, and no other.
fn are_rules(listed: &[Vec<u8>]) -> bool {
    let listed: Vec<_> = listed.iter().map(|message| Dumped::new(message)).collect();
    let ours = rules();
    listed.len() == ours.len()
        && ours.iter().enumerate().all(|(index, (chain, expressions))| {
            let before = ours.iter().take(index).filter(|(other, _)| other == chain).count();
            let mut of_chain = listed.iter().filter(|rule| rule.chain() == chain.as_bytes());
            of_chain.nth(before).is_some_and(|rule| rule.is_of(expressions))
        })
}

fn attributes(message: &[u8]) -> &[u8] {
    message.get(HEADER..).unwrap_or_default()
}

fn number(message: &[u8], attribute: u16) -> Option<u32> {
    bytes_at(find(attributes(message), attribute)?, 0).map(u32::from_be_bytes)
}

fn name(message: &[u8], attribute: u16) -> String {
    String::from_utf8_lossy(text(find(attributes(message), attribute))).into_owned()
}

fn is_of_our_table(message: &[u8]) -> bool {
    text(find(attributes(message), OF_TABLE)) == TABLE.as_bytes()
}
