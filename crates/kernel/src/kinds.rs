//! Finds out whether the kernel has a kind of qdisc or interface, by requests that the kernel refuses in any case: the error shows whether it
//! has the kind. Never creates anything.

use firedrill_netlink::{Attrs, NetlinkError, Request, Socket, route::Link};

/// The name of objects in requests that are always refused.
pub const TRIAL: &str = "fd_trial";
/// The error of a kernel that has the kind of qdisc: it refuses the impossible options.
pub const QDISC: i32 = libc::EINVAL;
/// The error of a kernel that has the kind of interface: it refuses the impossible address.
pub const IFB: i32 = libc::EADDRNOTAVAIL;

/// Checks that the kernel has a kind of qdisc, or a module for it.
///
/// # Errors
/// The kernel does not have it; the text is the reason.
pub fn has_qdisc(kind: &str) -> Result<(), String> {
    known(kind, &try_qdisc(kind), QDISC)
}

/// Checks that the kernel has interfaces of kind `ifb`.
///
/// # Errors
/// The kernel does not have them; the text is the reason.
pub fn has_ifb() -> Result<(), String> {
    known("ifb", &try_ifb(), IFB)
}

/// Checks that a request failed with `known`, the error of a kernel that has the kind.
///
/// # Errors
/// The result is another one; the text is the reason why the kind cannot be used.
pub fn known(what: &str, tried: &Result<(), NetlinkError>, known: i32) -> Result<(), String> {
    match tried {
        Err(error) if error.errno() == Some(known) => Ok(()),
        Err(error) if matches!(error.errno(), Some(libc::ENOENT | libc::EOPNOTSUPP)) => {
            Err(format!("this kernel has no {what}, nor a module that it could load"))
        }
        Err(error) => Err(error.to_string()),
        Ok(()) => Err(format!("a request for {what} that cannot be right was taken")),
    }
}

/// Requests a qdisc with options of one byte: the kernel looks up the kind, then refuses the options.
///
/// # Errors
/// Always; the error shows whether the kernel has the kind.
pub fn try_qdisc(kind: &str) -> Result<(), NetlinkError> {
    let mut header = [0; 20];
    header[4..8].copy_from_slice(&1_u32.to_ne_bytes());
    header[12..16].copy_from_slice(&u32::MAX.to_ne_bytes());
    let attrs = Attrs::new().text(1, kind).bytes(2, &[0]);
    let what = format!("try out {kind}");
    let request =
        Request::new(&what, libc::RTM_NEWQDISC, libc::NLM_F_CREATE | libc::NLM_F_EXCL, &header, &attrs)?;
    Socket::open(libc::NETLINK_ROUTE)?.request(&what, &request)
}

/// Requests an ifb with a multicast hardware address: the kernel looks up the kind, then refuses the address.
///
/// # Errors
/// Always; the error shows whether the kernel has the kind.
pub fn try_ifb() -> Result<(), NetlinkError> {
    let ifb = Link::named(TRIAL).hardware_address([1, 0, 0, 0, 0, 0]).of_kind("ifb", &Attrs::new());
    ifb.create(&mut Socket::open(libc::NETLINK_ROUTE)?, "try out ifb")
}
