//! Routes: `struct rtmsg` and `RTA_…`.

use std::net::IpAddr;

use libc::{
    RT_SCOPE_LINK, RT_SCOPE_UNIVERSE, RT_TABLE_MAIN, RTA_DST, RTA_GATEWAY, RTA_OIF, RTM_NEWROUTE,
    RTN_UNICAST, RTPROT_STATIC,
};

use super::{NEW, ask, family, octets};
use crate::{Attrs, NetlinkError, Socket};

/// The gateway is on the link, whatever other routes say; libc lacks this flag.
const RTNH_F_ONLINK: u32 = 4;

/// A static unicast route of the main table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    destination: IpAddr,
    prefix: u8,
    gateway: Option<IpAddr>,
    link: Option<u32>,
    flags: u32,
}

impl Route {
    /// Makes a route to a network, of which `prefix` is the length in bits; 0 is the default route of the address's
    /// family.
    #[must_use]
    pub const fn to(destination: IpAddr, prefix: u8) -> Self {
        Self { destination, prefix, gateway: None, link: None, flags: 0 }
    }

    /// Sets a gateway of the same family.
    #[must_use]
    pub const fn through(self, gateway: IpAddr) -> Self {
        Self { gateway: Some(gateway), ..self }
    }

    /// Sets the link, by its index.
    #[must_use]
    pub const fn over(self, link: u32) -> Self {
        Self { link: Some(link), ..self }
    }

    /// Makes the gateway reachable on the link although no route leads to it.
    #[must_use]
    pub const fn on_link(self) -> Self {
        Self { flags: self.flags | RTNH_F_ONLINK, ..self }
    }

    /// Adds the route.
    ///
    /// # Errors
    /// The kernel's error: `EEXIST` if there is one to the same destination.
    pub fn add(&self, socket: &mut Socket, what: &str) -> Result<(), NetlinkError> {
        ask(socket, what, (RTM_NEWROUTE, NEW), &self.header(), &self.attrs())
    }

    fn header(&self) -> [u8; 12] {
        // IPv6 routes have no scope. An IPv4 route without a gateway leads to the link's own neighbours.
        let scope = if self.gateway.is_none() && self.destination.is_ipv4() {
            RT_SCOPE_LINK
        } else {
            RT_SCOPE_UNIVERSE
        };
        let [a, b, c, d] = self.flags.to_ne_bytes();
        let family = family(self.destination);
        [family, self.prefix, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, scope, RTN_UNICAST, a, b, c, d]
    }

    fn attrs(&self) -> Attrs {
        let mut attrs = Attrs::new();
        if self.prefix > 0 {
            attrs = attrs.bytes(RTA_DST, &octets(self.destination));
        }
        if let Some(gateway) = self.gateway {
            attrs = attrs.bytes(RTA_GATEWAY, &octets(gateway));
        }
        if let Some(link) = self.link {
            attrs = attrs.ne32(RTA_OIF, link);
        }
        attrs
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::find;

    #[test]
    fn a_route_without_a_gateway_leads_to_neighbours() {
        let to = Ipv4Addr::new(10, 0, 0, 7);
        let route = Route::to(to.into(), 32).over(9);
        assert_eq!(route.header(), [2, 32, 0, 0, 254, 4, 253, 1, 0, 0, 0, 0]);
        let attrs = route.attrs().after(&[]).unwrap();
        assert_eq!(find(&attrs, RTA_DST), Some(&to.octets()[..]));
        assert_eq!(find(&attrs, RTA_OIF), Some(&9_u32.to_ne_bytes()[..]));
        assert_eq!(find(&attrs, RTA_GATEWAY), None);
        let six = Route::to(Ipv6Addr::LOCALHOST.into(), 128).over(9);
        assert_eq!(six.header()[6], RT_SCOPE_UNIVERSE);
    }

    #[test]
    fn a_default_route_has_no_destination() {
        let gateway = Ipv4Addr::new(169, 254, 0, 1);
        let route = Route::to(Ipv4Addr::UNSPECIFIED.into(), 0).through(gateway.into()).over(9).on_link();
        let flags = RTNH_F_ONLINK.to_ne_bytes();
        assert_eq!(route.header()[..], [&[2, 0, 0, 0, 254, 4, 0, 1][..], &flags].concat());
        let attrs = route.attrs().after(&[]).unwrap();
        assert_eq!((find(&attrs, RTA_DST), find(&attrs, RTA_GATEWAY)), (None, Some(&gateway.octets()[..])));
    }
}
