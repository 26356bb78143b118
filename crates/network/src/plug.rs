//! Pods' interfaces as ports of a bridge.
//!
//! A bridge that is deleted lets its ports go: the pods' interfaces stay, up and with their addresses, and lead nowhere.

use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{
        InfoBridgePort, InfoPortData, InfoPortKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
    },
};
use rustix::io::Errno;

use crate::{
    Bridge, Error, InterfaceName, Result,
    message::{answer_of, change, open_route},
    netlink::{Answer, Request, Socket, bytes_at, find, u32_of},
};

/// `IFLA_MASTER`, `IFLA_LINKINFO` and its `IFLA_INFO_KIND`.
const CONTROLLER: u16 = 10;
const LINK_INFO: u16 = 18;
const INFO_KIND: u16 = 1;
/// Of `struct ifinfomsg`.
const HEADER: usize = 16;

/// A pod's end of a veth pair in the host.
struct HostEnd {
    index: u32,
    controller: Option<u32>,
    has_carrier: bool,
}

/// Puts a pod's interface back on the bridge if it is on none, as after somebody deleted the bridge and it was made
/// again. Says whether it had to be; an interface that is not there, or no pod's, is left alone.
///
/// # Errors
/// `NotReady` without the bridge; `PermissionDenied`, `System`.
pub fn plug(bridge: &Bridge, host_interface: &InterfaceName) -> Result<bool> {
    let mut host = open_route()?;
    let index = bridge.index(&host)?;
    let Some(HostEnd { index: own, controller: None, .. }) = look(&mut host, host_interface)?
    else {
        return Ok(false);
    };
    let mut link = LinkMessage::default();
    link.header.index = own;
    link.attributes = vec![LinkAttribute::Controller(index)];
    let call = format!("put {host_interface} on the bridge {}", bridge.name());
    answer_of(&mut host, change(RouteNetlinkMessage::SetLink(link)))
        .map_err(|error| Error::system(&call, error))?
        .map_err(|refusal| Error::refused(&call, refusal))?;
    reflect(&mut host, host_interface)?;
    Ok(true)
}

/// Whether a pod's interface is on the bridge and the pod's end of it is up: whether
/// [`attach`](crate::attach()) came to its end.
///
/// # Errors
/// `PermissionDenied`, `System`.
pub fn is_plugged(bridge: &Bridge, host_interface: &InterfaceName) -> Result<bool> {
    let mut host = open_route()?;
    let Ok(index) = bridge.index(&host) else { return Ok(false) };
    let end = look(&mut host, host_interface)?;
    Ok(end.is_some_and(|end| end.controller == Some(index) && end.has_carrier))
}

/// Lets the bridge send frames back to where they came from (*hairpin*). Where `br_netfilter` is on, as for
/// Kubernetes or Docker, a pod's frame to its own published port is redirected within the bridge.
pub(crate) fn reflect(host: &mut Socket, host_interface: &InterfaceName) -> Result<()> {
    let mut link = LinkMessage::default();
    link.attributes = vec![
        LinkAttribute::IfName(host_interface.to_string()),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::PortKind(InfoPortKind::Bridge),
            LinkInfo::PortData(InfoPortData::BridgePort(vec![InfoBridgePort::HairpinMode(true)])),
        ]),
    ];
    let call = format!("set hairpin mode on {host_interface}");
    answer_of(host, change(RouteNetlinkMessage::NewLink(link)))
        .map_err(|error| Error::system(&call, error))?
        .map_err(|refusal| Error::refused(call, refusal))
        .map(drop)
}

/// `None` if there is no veth of this name.
fn look(host: &mut Socket, name: &InterfaceName) -> Result<Option<HostEnd>> {
    let mut link = LinkMessage::default();
    link.attributes = vec![LinkAttribute::IfName(name.to_string())];
    let message = RouteNetlinkMessage::GetLink(link);
    let call = format!("look up interface {name}");
    let outcome = answer_of(host, Request { message, flags: 0, answer: Answer::One })
        .map_err(|error| Error::system(&call, error))?;
    match outcome {
        Ok(messages) => Ok(read(&messages.concat())),
        Err(refusal) if refusal.errno() == Errno::NODEV => Ok(None),
        Err(refusal) => Err(Error::refused(call, refusal)),
    }
}

/// Reads `struct ifinfomsg` and its attributes; `None` for what is no veth.
fn read(link: &[u8]) -> Option<HostEnd> {
    let index = u32::from_ne_bytes(bytes_at(link, 4)?);
    let flags = LinkFlags::from_bits_retain(u32::from_ne_bytes(bytes_at(link, 8)?));
    let attributes = link.get(HEADER..)?;
    let kind = find(find(attributes, LINK_INFO)?, INFO_KIND)?;
    let is_veth = kind.strip_suffix(b"\0").unwrap_or(kind) == b"veth";
    is_veth.then(|| HostEnd {
        index,
        controller: u32_of(attributes, CONTROLLER),
        has_carrier: flags.contains(LinkFlags::LowerUp),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(kind: &[u8; 4], controller: Option<u32>) -> Vec<u8> {
        let mut bytes = vec![0; 4];
        bytes.extend(7_u32.to_ne_bytes());
        bytes.extend(0x1_0000_u32.to_ne_bytes());
        bytes.extend([0; 4]);
        if let Some(controller) = controller {
            bytes.extend([8_u16.to_ne_bytes(), CONTROLLER.to_ne_bytes()].concat());
            bytes.extend(controller.to_ne_bytes());
        }
        bytes.extend([12_u16.to_ne_bytes(), LINK_INFO.to_ne_bytes()].concat());
        bytes.extend([8_u16.to_ne_bytes(), INFO_KIND.to_ne_bytes()].concat());
        bytes.extend(kind);
        bytes
    }

    #[test]
    fn a_pods_end_is_told_from_other_interfaces() {
        let end = read(&link(b"veth", Some(3))).unwrap();
        assert_eq!((end.index, end.controller, end.has_carrier), (7, Some(3), true));
        assert_eq!(read(&link(b"veth", None)).unwrap().controller, None);
        assert!(read(&link(b"vlan", Some(3))).is_none());
        assert!(read(&[0; 8]).is_none());
    }
}
