//! What the kernel keeps of the bytes that were written to a socket.
//!
//! `unsafe`, because no safe function of the crates here asks for it with ioctl(2).
#![allow(unsafe_code, reason = "ioctl(2) with SIOCOUTQ")]

use rustix::ioctl::{Getter, Opcode, ioctl};
use std::ffi::c_int;
use std::io;
use tokio::net::TcpStream;

/// SIOCOUTQ, which has the number of TIOCOUTQ (tcp(7)).
const SIOCOUTQ: Opcode = libc::TIOCOUTQ as Opcode;

/// Bytes written to a socket that its peer has not acknowledged, sent or unsent. A peer whose receive buffer is full
/// acknowledges nothing more until its program has read some.
///
/// # Errors
/// Those of the system; none of a connected socket.
pub(super) fn unacknowledged(socket: &TcpStream) -> io::Result<u64> {
    // SAFETY: for this number the kernel writes one `int`, and `Getter` has room for that.
    let bytes = unsafe { ioctl(socket, Getter::<SIOCOUTQ, c_int>::new()) }?;
    Ok(u64::try_from(bytes).unwrap_or(0))
}
