//! Pods that are on the link of another network, too: they answer who comes from there past the host.

use std::net::IpAddr;

use netlink_packet_netfilter::nftables::{NfTablesMessage, SetElementMessage};
use rustix::io::Errno;

use super::{
    Batch, Network, Nftables,
    element::{self, octets},
    listed::{ListedElement, elements},
    sets::{SAME_NETWORK, SAME_NETWORK_6},
    transaction::nftables_error,
};
use crate::{Error, ErrorKind, PodAddresses, Result, netlink::Answer};

/// How often it is tried again because somebody changed the same pairs between a look and the change. Each time
/// somebody's change went through.
const TRIES: u32 = 1000;

/// A pair of a subnet and an address: how it is asked for, and itself.
struct Link {
    question: SetElementMessage,
    element: SetElementMessage,
}

impl Link {
    fn new(set: &str, subnet: [IpAddr; 2], pod: IpAddr) -> Self {
        Self {
            question: element::one(set, [octets(subnet[0]), octets(pod)].concat()),
            element: element::pair(set, subnet, [pod; 2]),
        }
    }

    /// Those of a pod's addresses that are none of the network's own.
    fn of(network: &Network<'_>, pod: PodAddresses) -> Vec<Self> {
        let v4 = network.subnet;
        let mut links = Vec::new();
        if !v4.contains(pod.v4) {
            let subnet = [v4.base().into(), v4.last().into()];
            links.push(Self::new(SAME_NETWORK, subnet, pod.v4.into()));
        }
        if let Some((v6, own)) = network.subnet6.zip(pod.v6).filter(|(v6, own)| !v6.contains(*own))
        {
            let subnet = [v6.base().into(), v6.last().into()];
            links.push(Self::new(SAME_NETWORK_6, subnet, own.into()));
        }
        links
    }
}

/// Notes that the pod with these addresses of another network is on this one's link, too.
pub(crate) fn link(
    nftables: &mut Nftables,
    network: &Network<'_>,
    pod: PodAddresses,
) -> Result<()> {
    let call = || format!("nftables: note how {pod} is reached from {}", network.bridge);
    let mut batch = Batch::new();
    for (link, is_there) in look_up(nftables, &Link::of(network, pod), &call)? {
        if !is_there {
            batch.create(NfTablesMessage::NewSetElement(link.element.clone()));
        }
    }
    // Without the table there is nothing to note it in: who makes that again does so.
    commit(nftables, batch, &call).map(|_is_done| ())
}

/// Notes that it no longer is.
pub(crate) fn unlink(
    nftables: &mut Nftables,
    network: &Network<'_>,
    pod: PodAddresses,
) -> Result<()> {
    let call = || format!("nftables: forget how {pod} is reached from {}", network.bridge);
    let links = Link::of(network, pod);
    delete(nftables, &call, |nftables| {
        let found = look_up(nftables, &links, &call)?.into_iter().filter(|(_, is_there)| *is_there);
        Ok(found.map(|(link, _)| link.element.clone()).collect())
    })
}

/// Which of them are there.
fn look_up<'a>(
    nftables: &mut Nftables,
    links: &'a [Link],
    call: &dyn Fn() -> String,
) -> Result<Vec<(&'a Link, bool)>> {
    if links.is_empty() {
        return Ok(Vec::new());
    }
    let questions = links.iter().map(|it| NfTablesMessage::GetSetElement(it.question.clone()));
    let answers =
        nftables.ask(questions, Answer::One).map_err(|error| Error::system(call(), error))?;
    let of_each = links.iter().zip(answers).map(|(link, answer)| match answer {
        Ok(_) => Ok((link, true)),
        Err(refusal) if refusal.errno() == Errno::NOENT => Ok((link, false)),
        Err(refusal) => Err(nftables_error(call(), refusal)),
    });
    of_each.collect()
}

/// Forgets how the pod with these addresses is reached, from wherever.
pub(crate) fn forget_links(nftables: &mut Nftables, pod: PodAddresses) -> Result<()> {
    let call = || format!("nftables: forget how {pod} is reached");
    let own = [(SAME_NETWORK, Some(IpAddr::V4(pod.v4))), (SAME_NETWORK_6, pod.v6.map(IpAddr::V6))];
    delete(nftables, &call, |nftables| {
        let mut all = Vec::new();
        for (set, own) in own.into_iter().filter_map(|(set, own)| Some((set, octets(own?)))) {
            let question = NfTablesMessage::GetSetElement(element::everything(set));
            let answers = nftables
                .ask([question], Answer::Dump)
                .map_err(|error| Error::system(call(), error))?;
            for message in answers.into_iter().flat_map(std::result::Result::unwrap_or_default) {
                for found in elements(&message).filter(|found| leads_to(found, &own)) {
                    let (first, last) = (found.key.to_vec(), found.key_end.unwrap_or(found.key));
                    all.push(element::range(set, first, last.to_vec()));
                }
            }
        }
        Ok(all)
    })
}

/// Deletes what `look` finds. If another process was faster with one of them, none went: it looks again.
fn delete(
    nftables: &mut Nftables,
    call: &dyn Fn() -> String,
    look: impl Fn(&mut Nftables) -> Result<Vec<SetElementMessage>>,
) -> Result<()> {
    for _ in 0..TRIES {
        let mut batch = Batch::new();
        for found in look(nftables)? {
            batch.delete(NfTablesMessage::DeleteSetElement(found));
        }
        if commit(nftables, batch, call)? {
            return Ok(());
        }
    }
    Err(Error::new(ErrorKind::Busy, format!("{}: it never stopped changing", call())))
}

/// `false`, and nothing is changed, if something that it takes to be there is not.
fn commit(nftables: &mut Nftables, batch: Batch, call: &dyn Fn() -> String) -> Result<bool> {
    if batch.is_empty() {
        return Ok(true);
    }
    match nftables.commit(batch, None) {
        Err(error) => Err(Error::system(call(), error)),
        Ok(Err(failure)) if failure.refusal.errno() == Errno::NOENT => Ok(false),
        Ok(Err(failure)) => Err(Error::refused(call(), failure.refusal)),
        Ok(Ok(())) => Ok(true),
    }
}

/// Whether a pair's second part is this one address.
fn leads_to(pair: &ListedElement<'_>, address: &[u8]) -> bool {
    let second = |key: &[u8]| key.len() == address.len() * 2 && key.ends_with(address);
    second(pair.key) && pair.key_end.is_some_and(second)
}
