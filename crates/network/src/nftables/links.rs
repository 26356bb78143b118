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
use crate::{Error, PodAddresses, Result, netlink::Answer};

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
    change(nftables, network, pod, |batch, link, is_there| {
        if !is_there {
            batch.create(NfTablesMessage::NewSetElement(link.element));
        }
    })
}

/// Notes that it no longer is.
pub(crate) fn unlink(
    nftables: &mut Nftables,
    network: &Network<'_>,
    pod: PodAddresses,
) -> Result<()> {
    change(nftables, network, pod, |batch, link, is_there| {
        if is_there {
            batch.delete(NfTablesMessage::DeleteSetElement(link.element));
        }
    })
}

fn change(
    nftables: &mut Nftables,
    network: &Network<'_>,
    pod: PodAddresses,
    how: impl Fn(&mut Batch, Link, bool),
) -> Result<()> {
    let call = || format!("nftables: note how {pod} is reached from {}", network.bridge);
    let links = Link::of(network, pod);
    if links.is_empty() {
        return Ok(());
    }
    let questions = links.iter().map(|it| NfTablesMessage::GetSetElement(it.question.clone()));
    let answers =
        nftables.ask(questions, Answer::One).map_err(|error| Error::system(call(), error))?;
    let mut batch = Batch::new();
    for (link, answer) in links.into_iter().zip(answers) {
        let is_there = match answer {
            Ok(_) => true,
            Err(refusal) if refusal.errno() == Errno::NOENT => false,
            Err(refusal) => return Err(nftables_error(call(), refusal)),
        };
        how(&mut batch, link, is_there);
    }
    commit(nftables, batch, &call)
}

/// Forgets how the pod with these addresses is reached, from wherever.
pub(crate) fn forget_links(nftables: &mut Nftables, pod: PodAddresses) -> Result<()> {
    let call = || format!("nftables: forget how {pod} is reached");
    let own = [(SAME_NETWORK, Some(IpAddr::V4(pod.v4))), (SAME_NETWORK_6, pod.v6.map(IpAddr::V6))];
    let mut batch = Batch::new();
    for (set, own) in own.into_iter().filter_map(|(set, own)| Some((set, octets(own?)))) {
        let question = NfTablesMessage::GetSetElement(element::everything(set));
        let answers =
            nftables.ask([question], Answer::Dump).map_err(|error| Error::system(call(), error))?;
        for message in answers.into_iter().flat_map(std::result::Result::unwrap_or_default) {
            for found in elements(&message).filter(|found| leads_to(found, &own)) {
                let (first, last) = (found.key.to_vec(), found.key_end.unwrap_or(found.key));
                let found = element::range(set, first, last.to_vec());
                batch.delete(NfTablesMessage::DeleteSetElement(found));
            }
        }
    }
    commit(nftables, batch, &call)
}

fn commit(nftables: &mut Nftables, batch: Batch, call: &dyn Fn() -> String) -> Result<()> {
    if batch.is_empty() {
        return Ok(());
    }
    match nftables.commit(batch, None) {
        Err(error) => Err(Error::system(call(), error)),
        // Another process was faster.
        Ok(Err(failure)) if failure.refusal.errno() != Errno::NOENT => {
            Err(Error::refused(call(), failure.refusal))
        }
        Ok(_) => Ok(()),
    }
}

/// Whether a pair's second part is this one address.
fn leads_to(pair: &ListedElement<'_>, address: &[u8]) -> bool {
    let second = |key: &[u8]| key.len() == address.len() * 2 && key.ends_with(address);
    second(pair.key) && pair.key_end.is_some_and(second)
}
