//! A pod's way to the world, moved to another of its bridges.

use std::{
    net::{IpAddr, Ipv6Addr},
    os::fd::BorrowedFd,
};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use rustix::{io::Errno, net::netdevice::name_to_index};

use crate::{
    Bridge, Error, InterfaceName, PodAddresses, Result,
    inside::inside,
    message::{answer_of, change, default_route, no_default_route, open_route},
    netlink::{Answer, Request},
    sysctl,
};

/// Has the default routes of a pod with these addresses on `bridge` lead by it, each in place of the one that there
/// was: the pod is never without. A version of IP that it has not on this bridge gets no default route.
///
/// # Errors
/// `PermissionDenied`, `System`.
pub fn set_default_route(
    bridge: &Bridge,
    netns: BorrowedFd<'_>,
    pod_interface: &InterfaceName,
    addresses: PodAddresses,
) -> Result<()> {
    let has_ipv6 = sysctl::without_ipv6().is_none();
    let gateway6 = addresses.v6.and_then(|_| bridge.gateway6()).filter(|_| has_ipv6);
    inside(netns, || {
        let mut socket = open_route()?;
        let index = name_to_index(&socket, pod_interface.as_str())
            .map_err(|errno| Error::system(format!("look up {pod_interface} in a pod"), errno))?;
        let gateways = [Some(IpAddr::V4(bridge.gateway())), gateway6.map(IpAddr::V6)];
        for gateway in gateways.into_iter().flatten() {
            let message = default_route(index, gateway);
            let request =
                Request { message, flags: NLM_F_CREATE | NLM_F_REPLACE, answer: Answer::Ack };
            let call = format!("set the default route of a pod by {gateway}");
            answer_of(&mut socket, request)
                .map_err(|error| Error::system(&call, error))?
                .map_err(|refusal| Error::refused(call, refusal))?;
        }
        if has_ipv6 && gateway6.is_none() {
            const CALL: &str = "remove the IPv6 default route of a pod";
            let request = change(no_default_route(Ipv6Addr::UNSPECIFIED.into()));
            let outcome =
                answer_of(&mut socket, request).map_err(|error| Error::system(CALL, error))?;
            if let Err(refusal) = outcome
                && refusal.errno() != Errno::SRCH
            {
                return Err(Error::refused(CALL, refusal));
            }
        }
        Ok(())
    })
}
