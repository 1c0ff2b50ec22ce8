//! S3 servers for tests, each on a free port of the loopback interface, and a proxy that fails on order.
//!
//! [`Server::s3s`] is in the test process and does what AWS documents; [`Server::lying`] is the same but for its
//! [`Lies`]. [`Server::minio`], [`Server::moto`], [`Server::garage`], [`Server::seaweedfs`] and
//! [`Server::versitygw`] are programs beside the process, one of each for all tests of it, and end with it however it ends. [`Server::from_env`] is whatever somebody points it at. All
//! tasks are on a runtime of this crate, so a server can outlive the runtime of the test that started it.

mod access;
mod availability;
mod double;
mod garage;
mod minio;
mod moto;
mod process;
mod proxy;
mod runtime;
mod seaweedfs;
mod server;
mod start;
mod trial;
mod versitygw;

pub use availability::{Availability, available, lacks_proxy, lacks_several_hosts, wanted};
pub use double::Lies;
pub use process::Missing;
pub use proxy::{Fault, FaultProxy};
pub use server::Server;
pub use trial::trial;
