//! Ports of the host that lead into pods.

use std::{
    collections::{HashMap, HashSet},
    io,
};

use netlink_packet_netfilter::nftables::NfTablesMessage;
use rustix::io::Errno;

use crate::{
    Bridge, Error, ErrorKind, Lingering, PodAddresses, PublishedPort, Result, flow,
    netlink::{Answer, Refusal},
    nftables::{Batch, Destination, Element, Failure, Map, Nftables, all_of, forget_links},
};

/// How often a removal is tried again because someone else changed the firewall between a look and the change.
/// Each time someone's change went through, so this only ends a starvation that does not happen by accident.
const TRIES: u32 = 1000;

/// How many elements are asked for at once: their answers wait in the socket's buffer, which holds some 160.
const AT_ONCE: usize = 64;

/// Publishes ports of the pod with these addresses: all of them, or none.
///
/// A published port is reached at every address of the host (or at its one `host_ip`) by the host itself, 127.0.0.1
/// included, by the host's neighbours and by all pods. The pod sees its client's own address, except that connections
/// of pods of its own network by way of the host, and of the host by way of 127.0.0.1 or ::1, come from the gateway.
/// A port at one address goes before the same port at all. What is sent by UDP or SCTP to a port comes to the pod even
/// if it was sent there before. Whether ::1 leads to pods, [`Bridge::ensure`] tells.
///
/// # Errors
/// `PortTaken`, naming the port, when one is published already (by this pod, too); `InvalidInput` for a port at an
/// IPv6 address of a pod without; `NotReady` without the table; `NoNftables`, `PermissionDenied`, `System`.
pub fn publish(to: impl Into<PodAddresses>, ports: &[PublishedPort]) -> Result<Lingering> {
    add(to.into(), ports, Batch::create_new)
}

/// Puts back what a change of the firewall by others took away, the table with these bridges and a pod's ports; and
/// takes back what it brought: other ports that lead to the pod, and its own that lead elsewhere, as after an older
/// listing was loaded, or as the pod's other addresses are to have them from now on. That is one transaction: a port that
/// moves is never closed.
///
/// Where all is as it should be this changes nothing, and any number of processes may call it at once. The caller is the
/// only one who publishes these ports.
///
/// # Errors
/// As of [`Bridge::ensure`] and [`publish`].
pub fn put_back(
    bridges: &[Bridge],
    to: impl Into<PodAddresses>,
    ports: &[PublishedPort],
) -> Result<Lingering> {
    let to = to.into();
    for bridge in bridges {
        drop(bridge.ensure_whole()?);
        drop(bridge.share(to)?);
    }
    let wanted: HashMap<Element, Destination> =
        ports.iter().flat_map(|port| Element::of(port, to)).collect();
    let call = || format!("put right what is published of or for {to}");
    let is_wrong = |element: &Element, led: &Destination| match wanted.get(element) {
        Some(wanted) => wanted != led,
        None => led.is_at(to),
    };
    let right: Vec<_> = elements(to, ports)?.into_iter().map(|(message, _)| message).collect();
    let replaced = replace(call, |nftables| find_elements(nftables, is_wrong), &right)?;
    match replaced {
        Some(lingering) => {
            flow::forget_untranslated(ports);
            Ok(lingering)
        }
        // Bound to no generation: after a flush all pods do it at once, and none keeps another from it.
        None => add(to, ports, Batch::create),
    }
}

/// Those that are meant of all that is published.
fn find_elements(
    nftables: &mut Nftables,
    is_meant: impl Fn(&Element, &Destination) -> bool,
) -> io::Result<Vec<(Element, Destination)>> {
    let mut found = Vec::new();
    for map in Map::ALL {
        let listed = nftables.list(all_of(map), |message| {
            let elements = Element::read(map, message).into_iter();
            found.extend(elements.filter(|(element, led)| is_meant(element, led)));
        })?;
        present(listed.map(|()| Vec::new()))?;
    }
    Ok(found)
}

/// The message for each element of these ports, and which port each is of. It depends on nothing else: the 10,000th
/// port costs what the first did.
fn elements(
    to: PodAddresses,
    ports: &[PublishedPort],
) -> Result<Vec<(NfTablesMessage, PublishedPort)>> {
    let mut all = Vec::with_capacity(ports.len() * 2);
    for port in ports {
        let elements = Element::of(port, to);
        if elements.is_empty() {
            let text = format!("port {port}: the pod at {to} has no IPv6 address");
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        all.extend(elements.into_iter().map(|(element, to)| (element.leading_to(to), *port)));
    }
    Ok(all)
}

fn add(
    to: PodAddresses,
    ports: &[PublishedPort],
    how: fn(&mut Batch, NfTablesMessage),
) -> Result<Lingering> {
    let (messages, owners): (Vec<_>, Vec<_>) = elements(to, ports)?.into_iter().unzip();
    let mut batch = Batch::new();
    for message in messages {
        how(&mut batch, message);
    }
    if batch.is_empty() {
        return Ok(Lingering::default());
    }
    let call = || format!("publish {} for {to}", list(ports));
    let mut nftables = Nftables::open()?;
    match nftables.commit(batch, None) {
        Err(error) => Err(Error::system(call(), error)),
        Ok(Ok(())) => {
            flow::forget_untranslated(ports);
            Ok(nftables.linger())
        }
        Ok(Err(Failure { message, refusal })) => match refusal.errno() {
            // Which of the two it is when the key is there with another value, depends on the kernel.
            Errno::EXIST | Errno::BUSY => {
                let port = message.and_then(|index| owners.get(index));
                let port = port.map_or_else(|| list(ports), ToString::to_string);
                Err(Error::new(ErrorKind::PortTaken, format!("port {port} is published already")))
            }
            Errno::NOENT => Err(Error::refused(call(), refusal).with_kind(ErrorKind::NotReady)),
            _ => Err(Error::refused(call(), refusal)),
        },
    }
}

/// Takes back ports that lead to the pod with these addresses; those that lead elsewhere, or nowhere, are left as they are.
///
/// TCP connections that are open go on until they or the pod end. Flows of UDP and SCTP end: they would have none.
///
/// # Errors
/// `Busy`, `PermissionDenied`, `System`.
pub fn unpublish(from: impl Into<PodAddresses>, ports: &[PublishedPort]) -> Result<Lingering> {
    let from = from.into();
    let call = || format!("unpublish {} of {from}", list(ports));
    remove(call, |nftables| {
        let elements: Vec<_> = ports.iter().flat_map(|port| Element::of(port, from)).collect();
        let mut answers = Vec::new();
        for elements in elements.chunks(AT_ONCE) {
            let questions = elements.iter().map(|(element, _)| element.question());
            answers.extend(nftables.ask(questions, Answer::One)?);
        }
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        for (wanted, answer) in elements.into_iter().zip(answers) {
            let map = wanted.0.map();
            let is_there = present(answer)?
                .iter()
                .flat_map(|message| Element::read(map, message))
                .any(|element| element == wanted);
            if is_there && seen.insert(wanted.0.clone()) {
                found.push(wanted);
            }
        }
        Ok(found)
    })
}

/// Takes back every port that leads to any of these addresses, whatever it was published as, and what was noted by
/// [`Bridge::share`]: to clean up after a pod of which
/// nothing but the lease is known.
///
/// # Errors
/// `Busy`, `PermissionDenied`, `System`.
pub fn unpublish_address(from: impl Into<PodAddresses>) -> Result<Lingering> {
    let from = from.into();
    let call = || format!("unpublish all ports of {from}");
    let lingering = remove(call, |nftables| find_elements(nftables, |_, led| led.is_at(from)))?;
    match Nftables::open() {
        Err(error) if error.kind() == ErrorKind::NoNftables => {}
        nftables => forget_links(&mut nftables?, from)?,
    }
    Ok(lingering)
}

/// Removes what `look` finds.
fn remove(
    call: impl Fn() -> String,
    look: impl Fn(&mut Nftables) -> io::Result<Vec<(Element, Destination)>>,
) -> Result<Lingering> {
    replace(call, look, &[]).map(Option::unwrap_or_default)
}

/// Removes what `look` finds, and creates `others` at once; `None`, and nothing is changed, if it finds nothing. The kernel removes an element by its key, whatever its value; so the removal is bound
/// to the generation in which the value was seen: if between the two the port was given to another pod, it fails
/// and all begins anew.
fn replace(
    call: impl Fn() -> String,
    look: impl Fn(&mut Nftables) -> io::Result<Vec<(Element, Destination)>>,
    others: &[NfTablesMessage],
) -> Result<Option<Lingering>> {
    let mut nftables = match Nftables::open() {
        Err(error) if error.kind() == ErrorKind::NoNftables => return Ok(None),
        other => other?,
    };
    for _ in 0..TRIES {
        let generation = match nftables.generation() {
            Err(error) if error.kind() == ErrorKind::NoNftables => return Ok(None),
            other => other?,
        };
        let found = look(&mut nftables).map_err(|error| Error::system(call(), error))?;
        if found.is_empty() {
            return Ok(None);
        }
        let mut batch = Batch::new();
        for (element, _) in &found {
            batch.delete(element.removal());
        }
        for message in others {
            batch.create(message.clone());
        }
        let outcome = nftables
            .commit(batch, Some(generation))
            .map_err(|error| Error::system(call(), error))?;
        match outcome {
            Ok(()) => {
                flow::forget_translated(&found);
                return Ok(Some(nftables.linger()));
            }
            Err(failure) if is_stale(&failure.refusal) => {}
            Err(failure) => return Err(Error::refused(call(), failure.refusal)),
        }
    }
    Err(Error::new(ErrorKind::Busy, format!("{}: the firewall never stopped changing", call())))
}

fn is_stale(refusal: &Refusal) -> bool {
    refusal.errno() == Errno::RESTART
}

/// The messages of an answer; of a table or an element that does not exist, none.
fn present(answer: std::result::Result<Vec<Vec<u8>>, Refusal>) -> io::Result<Vec<Vec<u8>>> {
    match answer {
        Err(refusal) if refusal.errno() == Errno::NOENT => Ok(Vec::new()),
        Err(refusal) => Err(refusal.errno().into()),
        Ok(messages) => Ok(messages),
    }
}

fn list(ports: &[PublishedPort]) -> String {
    match ports {
        [] => "no port".to_owned(),
        [one] => one.to_string(),
        [first, .., last] => format!("{} ports, {first} to {last},", ports.len()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use netlink_packet_core::Emitable as _;

    use super::*;
    use crate::Protocol;

    #[test]
    fn the_ten_thousandth_port_costs_what_the_first_did() {
        let to = PodAddresses { v4: Ipv4Addr::new(10, 84, 0, 2), v6: Some(Ipv6Addr::LOCALHOST) };
        let ports: Vec<_> = (1..=10_000)
            .filter_map(std::num::NonZeroU16::new)
            .map(|port| PublishedPort::new(port, port, Protocol::Tcp))
            .collect();
        let size = |ports: &[PublishedPort]| {
            let all = elements(to, ports).unwrap();
            (all.len(), all.iter().map(|(message, _)| message.buffer_len()).sum::<usize>())
        };
        let (count, bytes) = size(&ports[..1]);
        assert_eq!(count, 2);
        assert_eq!(size(&ports[9_999..]), (count, bytes));
        assert_eq!(size(&ports), (10_000 * count, 10_000 * bytes));
    }
}
