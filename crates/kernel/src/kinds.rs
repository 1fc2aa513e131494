//! Finds which kinds of qdisc and of interface the kernel has, by requests that it refuses whether it has them or not.

use firedrill_netlink::{Attrs, NetlinkError, Request, Socket, route::Link};

/// The name of objects that are tried out and never made.
pub const TRIAL: &str = "fd_trial";
/// The error of a kernel for impossible options of a qdisc that it has.
pub const QDISC: i32 = libc::EINVAL;
/// The error for an impossible address of a kind of interface that it has.
pub const IFB: i32 = libc::EADDRNOTAVAIL;

/// Whether the kernel has a qdisc, or a module that it could load for it.
///
/// # Errors
/// It has not; the text says why.
pub fn has_qdisc(kind: &str) -> Result<(), String> {
    known(kind, &try_qdisc(kind), QDISC)
}

/// Whether the kernel has interfaces of kind `ifb`.
///
/// # Errors
/// It has not; the text says why.
pub fn has_ifb() -> Result<(), String> {
    known("ifb", &try_ifb(), IFB)
}

/// Whether the error of a request that must fail is that of a kernel that has the kind.
///
/// # Errors
/// It is not; the text says why.
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

/// Makes a request with options of one byte: the kernel looks the kind up, then refuses.
///
/// # Errors
/// Always; which error it is says whether the kernel has the kind.
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

/// Makes a request with a multicast hardware address: the kernel looks the kind up, then refuses.
///
/// # Errors
/// Always; which error it is says whether the kernel has the kind.
pub fn try_ifb() -> Result<(), NetlinkError> {
    let ifb = Link::named(TRIAL).hardware_address([1, 0, 0, 0, 0, 0]).of_kind("ifb", &Attrs::new());
    ifb.create(&mut Socket::open(libc::NETLINK_ROUTE)?, "try out ifb")
}
