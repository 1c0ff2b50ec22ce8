//! Starts the servers, each once a process.

use crate::access::Access;
use crate::double::{self, Clock, Lies, Told};
use crate::process::{Missing, Process};
use crate::proxy::FaultProxy;
use crate::server::Server;
use crate::{garage, minio, moto, runtime, seaweedfs, versitygw};

impl Server {
    /// A server in this process that does what AWS documents.
    pub async fn s3s() -> Server {
        Self::lying(Lies::default()).await
    }

    /// A server in this process that tells some lies.
    pub async fn lying(lies: Lies) -> Server {
        let (clock, told) = (Clock::default(), Told::default());
        told.set(lies);
        let (access_key, secret_key) = ("portico-access", "portico-secret");
        let folder = tempfile::tempdir_in(Process::own()).expect("a folder");
        let (endpoint, task) = {
            let (path, clock, told) = (folder.path().to_owned(), clock.clone(), told.clone());
            runtime::serve(move |listener| double::serve(listener, path, [access_key, secret_key], told, clock))
        };
        let access = Access {
            endpoint,
            region: "us-east-1".to_owned(),
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
        };
        let mut server = Self::new("s3s", access, (task, folder));
        (server.clock, server.told) = (Some(clock), Some(told));
        server
    }

    /// The MinIO of this process.
    ///
    /// # Errors
    /// Where there is none to start.
    pub async fn minio() -> Result<Server, Missing> {
        let (access, process) = minio::start().await?;
        Ok(Self::new("minio", access, process))
    }

    /// The moto server of this process, which checks signatures. Its conditional writes are two steps, so it does what changes
    /// a key one after the other.
    ///
    /// # Errors
    /// Where there is none to start.
    pub async fn moto() -> Result<Server, Missing> {
        let (access, process) = moto::start().await?;
        let turns = FaultProxy::in_turns(&access.endpoint);
        let access = Access { endpoint: turns.endpoint().to_owned(), ..access };
        Ok(Self::new("moto", access, (process, turns)))
    }

    /// The Garage of this process.
    ///
    /// # Errors
    /// Where there is none to start.
    pub async fn garage() -> Result<Server, Missing> {
        let (access, process) = garage::start().await?;
        Ok(Self::new("garage", access, process))
    }

    /// The SeaweedFS of this process.
    ///
    /// # Errors
    /// Where there is none to start.
    pub async fn seaweedfs() -> Result<Server, Missing> {
        let (access, process) = seaweedfs::start().await?;
        Ok(Self::new("seaweedfs", access, process))
    }

    /// The versitygw of this process, over a folder. It looks at a condition and writes in two steps, so that a store there is for
    /// one process.
    ///
    /// # Errors
    /// Where there is none to start.
    pub async fn versitygw() -> Result<Server, Missing> {
        let (access, process) = versitygw::start().await?;
        Ok(Self::new("versitygw", access, process))
    }
}
