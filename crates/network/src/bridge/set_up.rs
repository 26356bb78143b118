//! Making a bridge, and making it right.

use std::net::{IpAddr, Ipv6Addr};

use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{InfoKind, LinkAttribute, LinkInfo, LinkMessage},
};
use rustix::{io::Errno, net::netdevice::name_to_index};

use super::{Access, Bridge};
use crate::{
    Error, ErrorKind, MacAddress, Result,
    message::{address, answer_of, change, create, local_route, up},
    netlink::{Request, Socket},
    sysctl::{self, Change},
};

impl Bridge {
    /// The interface's index.
    pub(crate) fn index(&self, socket: &Socket) -> Result<u32> {
        name_to_index(socket, self.name.as_str()).map_err(|errno| {
            let error = Error::system(format!("look up interface {}", self.name), errno);
            if errno == Errno::NODEV { error.with_kind(ErrorKind::NotReady) } else { error }
        })
    }

    pub(super) fn create(&self, route: &mut Socket) -> Result<()> {
        let mut link = LinkMessage::default();
        link.attributes = vec![
            LinkAttribute::IfName(self.name.to_string()),
            // Left to itself, a bridge changes its address with the pods that come and go.
            LinkAttribute::Address(MacAddress::of(self.gateway).octets().to_vec()),
            LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]),
        ];
        let call = format!("create bridge {}", self.name);
        let request = create(RouteNetlinkMessage::NewLink(link));
        match answer_of(route, request).map_err(|error| Error::system(&call, error))? {
            Ok(_) => Ok(()),
            Err(refusal) => match refusal.errno() {
                Errno::EXIST => Ok(()), // another process was faster
                Errno::OPNOTSUPP => {
                    Err(Error::refused(call, refusal).with_kind(ErrorKind::NoBridge))
                }
                _ => Err(Error::refused(call, refusal)),
            },
        }
    }

    /// Makes an existing bridge right; tells which settings of the host had to be changed for it.
    pub(super) fn complete(&self, route: &mut Socket) -> Result<Vec<Change>> {
        let name = self.name.as_str();
        let index = self.index(route)?;
        let mut changed = Vec::new();
        sysctl::set(&format!("ipv4/conf/{name}/route_localnet"), "1")?;
        let of_ipv6: &[(&str, &'static str)] = match self.ipv6 {
            // Not that pods make the host believe in a router among them.
            Some(_) => {
                &[("accept_ra", "0"), ("autoconf", "0"), ("accept_dad", "0"), ("disable_ipv6", "0")]
            }
            None => &[("disable_ipv6", "1")],
        };
        for (setting, value) in of_ipv6 {
            sysctl::set_if_there(&format!("ipv6/conf/{name}/{setting}"), value)?;
        }
        if let Some(mtu) = self.mtu {
            let mut link = LinkMessage::default();
            link.header.index = index;
            link.attributes = vec![LinkAttribute::Mtu(mtu)];
            self.ask(
                route,
                change(RouteNetlinkMessage::SetLink(link)),
                &format!("set MTU {mtu} on"),
            )?;
        }
        self.add(route, address(index, self.gateway.into(), self.subnet.prefix()), self.gateway)?;
        if self.access != Access::Internal {
            changed.extend(sysctl::set("ipv4/ip_forward", "1")?);
            // Forwarding is a setting of every interface, and one made while another process wrote `ip_forward` may
            // have missed it.
            sysctl::set(&format!("ipv4/conf/{name}/forwarding"), "1")?;
            if self.ipv6.is_some() {
                changed.extend(sysctl::forward_ipv6(name)?);
                sysctl::set(&format!("ipv6/conf/{name}/forwarding"), "1")?;
            }
        }
        self.ask(route, up(index), "bring up")?;
        if let Some((subnet, gateway)) = self.ipv6 {
            // The counterpart of `route_localnet`: what is translated back to `::1` has come in by the bridge, where
            // `lo`'s route to it does not count. (What is sent to `::1` the kernel still drops.)
            let loopback = Ipv6Addr::LOCALHOST;
            self.add(route, local_route(index, loopback.into()), loopback)?;
            // Last, as its presence tells that all is complete: an interface that goes down loses its IPv6 routes.
            self.add(route, address(index, gateway.into(), subnet.prefix()), gateway)?;
        }
        Ok(changed)
    }

    pub(super) fn delete(&self, route: &mut Socket) -> Result<()> {
        let mut link = LinkMessage::default();
        link.attributes = vec![LinkAttribute::IfName(self.name.to_string())];
        let call = format!("remove bridge {}", self.name);
        let request = change(RouteNetlinkMessage::DelLink(link));
        match answer_of(route, request).map_err(|error| Error::system(&call, error))? {
            Err(refusal) if refusal.errno() != Errno::NODEV => Err(Error::refused(call, refusal)),
            _ => Ok(()),
        }
    }

    /// Gives the bridge an address or a route that it may have already.
    fn add(
        &self,
        route: &mut Socket,
        message: RouteNetlinkMessage,
        address: impl Into<IpAddr>,
    ) -> Result<()> {
        let call = format!("give {} the address {}", self.name, address.into());
        match answer_of(route, create(message)).map_err(|error| Error::system(&call, error))? {
            Err(refusal) if refusal.errno() != Errno::EXIST => Err(Error::refused(call, refusal)),
            _ => Ok(()),
        }
    }

    fn ask(
        &self,
        route: &mut Socket,
        request: Request<RouteNetlinkMessage>,
        what: &str,
    ) -> Result<()> {
        let call = format!("{what} {}", self.name);
        answer_of(route, request)
            .map_err(|error| Error::system(&call, error))?
            .map_err(|refusal| Error::refused(call, refusal))
            .map(drop)
    }
}
