//! Whether a bridge's subnets are free to be used on this host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_route::{
    RouteNetlinkMessage,
    route::{RouteMessage, RouteType},
};
use rustix::net::netdevice::{index_to_name, name_to_index};

use crate::{
    Bridge, Error, ErrorKind, Result, Subnet,
    message::{answer_of, family, open_route},
    netlink::{Answer, Request, Socket, bytes_at, find, u32_of},
};

/// `RTA_DST` and `RTA_OIF`.
const DESTINATION: u16 = 1;
const INTERFACE: u16 = 4;

/// A route of the host that is more than the default.
struct Route {
    base: IpAddr,
    prefix: u8,
    /// `None`: more than one.
    interface: Option<u32>,
}

/// Refuses a bridge whose subnets overlap a route of another interface. An interface's address is a route too.
pub(crate) fn check(socket: &mut Socket, bridge: &Bridge) -> Result<()> {
    check_family(socket, bridge, Ipv4Addr::UNSPECIFIED.into())?;
    match bridge.subnet6() {
        Some(_) => check_family(socket, bridge, Ipv6Addr::UNSPECIFIED.into()),
        None => Ok(()),
    }
}

/// The first of `subnets` that overlaps no route of the host, and so no address of its interfaces either.
///
/// # Errors
/// `System`.
pub fn first_free(mut subnets: impl Iterator<Item = Subnet>) -> Result<Option<Subnet>> {
    let messages = list(&mut open_route()?, Ipv4Addr::UNSPECIFIED.into())?;
    let routes: Vec<Route> = messages.iter().filter_map(|message| read(message)).collect();
    Ok(subnets.find(|subnet| {
        !routes.iter().any(|route| match route.base {
            IpAddr::V4(base) => subnet.overlaps(base, route.prefix),
            IpAddr::V6(_) => false,
        })
    }))
}

fn list(socket: &mut Socket, unspecified: IpAddr) -> Result<Vec<Vec<u8>>> {
    let mut message = RouteMessage::default();
    message.header.address_family = family(unspecified);
    let request =
        Request { message: RouteNetlinkMessage::GetRoute(message), flags: 0, answer: Answer::Dump };
    const CALL: &str = "list the host's routes";
    answer_of(socket, request)
        .map_err(|error| Error::system(CALL, error))?
        .map_err(|refusal| Error::refused(CALL, refusal))
}

fn check_family(socket: &mut Socket, bridge: &Bridge, unspecified: IpAddr) -> Result<()> {
    let messages = list(socket, unspecified)?;
    // Asked after the list was: another process may make the bridge at this moment.
    let own = name_to_index(&*socket, bridge.name().as_str()).ok();
    for Route { base, prefix, interface } in messages.iter().filter_map(|message| read(message)) {
        let is_own = own.is_some() && interface == own;
        let subnet = match base {
            IpAddr::V4(base) => {
                let subnet = bridge.subnet();
                subnet.overlaps(base, prefix).then(|| subnet.to_string())
            }
            IpAddr::V6(base) => {
                let subnet = bridge.subnet6().filter(|subnet| subnet.overlaps(base, prefix));
                subnet.map(|subnet| subnet.to_string())
            }
        };
        if let Some(subnet) = subnet.filter(|_| !is_own) {
            let on = interface
                .and_then(|index| index_to_name(&*socket, index).ok())
                .unwrap_or_else(|| "several interfaces".to_owned());
            return Err(Error::new(
                ErrorKind::SubnetTaken,
                format!("subnet {subnet} overlaps the host's route to {base}/{prefix} on {on}"),
            ));
        }
    }
    Ok(())
}

/// Reads `struct rtmsg` and its attributes; `None` for a default route and for what leads nowhere.
fn read(message: &[u8]) -> Option<Route> {
    let prefix = *message.get(1)?;
    let kind = RouteType::from(*message.get(7)?);
    if prefix == 0 || !matches!(kind, RouteType::Unicast | RouteType::Local) {
        return None;
    }
    let attributes = message.get(12..)?;
    let destination = find(attributes, DESTINATION)?;
    let base = match destination.len() {
        4 => IpAddr::from(bytes_at::<4>(destination, 0)?),
        _ => IpAddr::from(bytes_at::<16>(destination, 0)?),
    };
    Some(Route { base, prefix, interface: u32_of(attributes, INTERFACE) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(prefix: u8, kind: u8) -> Vec<u8> {
        let mut bytes = vec![2, prefix, 0, 0, 254, 0, 0, kind, 0, 0, 0, 0];
        bytes.extend([8, 0, 1, 0, 10, 84, 0, 0]);
        bytes.extend([8, 0, 4, 0]);
        bytes.extend(7_u32.to_ne_bytes());
        bytes
    }

    #[test]
    fn only_routes_that_lead_somewhere_count() {
        let read_back = read(&route(24, 1)).unwrap();
        assert_eq!((read_back.prefix, read_back.interface), (24, Some(7)));
        assert_eq!(read_back.base, Ipv4Addr::new(10, 84, 0, 0));
        assert!(read(&route(0, 1)).is_none(), "default");
        assert!(read(&route(24, 3)).is_none(), "broadcast");
        assert!(read(&route(24, 6)).is_none(), "blackhole");
        assert!(read(&[2, 24]).is_none());
    }
}
