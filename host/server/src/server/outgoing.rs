//! The bytes that the kernel holds for a socket's peer.
//!
//! `unsafe`, because no safe function of our libraries makes this ioctl(2).
#![allow(unsafe_code, reason = "ioctl(2) with SIOCOUTQ")]

use rustix::ioctl::{Getter, Opcode, ioctl};
use std::ffi::c_int;
use std::io;
use tokio::net::TcpStream;

/// SIOCOUTQ, which has the number of TIOCOUTQ (tcp(7)).
const SIOCOUTQ: Opcode = libc::TIOCOUTQ as Opcode;

/// Returns the number of written bytes that the peer has not acknowledged, sent or unsent. A peer with a full receive
/// buffer acknowledges nothing more until its program reads.
///
/// # Errors
/// Those of the system; none for a connected socket.
pub(super) fn unacknowledged(socket: &TcpStream) -> io::Result<u64> {
    // SAFETY: for this request the kernel writes one `int`, and `Getter` has room for one.
    let bytes = unsafe { ioctl(socket, Getter::<SIOCOUTQ, c_int>::new()) }?;
    Ok(u64::try_from(bytes).unwrap_or(0))
}
