//! Operations that remove or replace what a quota counts.
//!
//! Invariant: no more is released than was removed. Where an operation's result does not say how much it removed, the
//! operation looks first, under a lock that keeps out whatever else could remove the same.

use super::Inner;
use super::locks::Held;
use super::quota::{Quota, Usage};
use crate::{
    ByteRange, Error, FileId, FinalKey, FinalOptions, FinalReceipt, PartReceipt, RecordName, Result, Scope, SessionId,
    TempKey, limits,
};
use std::collections::{BTreeSet, HashSet};

fn usage(bytes: u64, objects: u64) -> Usage {
    Usage { bytes, objects }
}

/// The lock of a session, shared by what consumes single parts.
async fn session(quota: &Quota, scope: &Scope, session: &SessionId) -> Held {
    quota.locks().shared(format!("s {scope} {session}")).await
}

impl Inner {
    pub(super) async fn delete_part(&self, scope: &Scope, key: &TempKey) -> Result<bool> {
        let Some(quota) = &self.rules.quota else { return self.backend.delete_part(scope, key).await };
        let _held = session(quota, scope, &key.session).await;
        let size = match self.backend.stat_part(scope, key).await {
            Ok(receipt) => receipt.size,
            Err(Error::NotFound) => return Ok(false),
            Err(error) => return Err(error),
        };
        let deleted = self.backend.delete_part(scope, key).await?;
        if deleted {
            quota.moved(Usage::default(), usage(size, 1));
        }
        Ok(deleted)
    }

    pub(super) async fn delete_session(&self, scope: &Scope, session: &SessionId) -> Result<u32> {
        let Some(quota) = &self.rules.quota else { return self.backend.delete_session(scope, session).await };
        // First, so that few parts arrive between the listing and the deletion.
        self.backend.interrupt(scope, session).await?;
        let _held = quota.locks().exclusive(format!("s {scope} {session}")).await;
        let listed = Usage::of_session(&*self.backend, scope, session, |_| true).await?;
        let deleted = self.backend.delete_session(scope, session).await?;
        // Fewer were deleted if another process deleted some of them, and their sizes are not known.
        if u64::from(deleted) >= listed.objects {
            quota.moved(Usage::default(), listed);
        }
        Ok(deleted)
    }

    pub(super) async fn join_parts(
        &self,
        scope: &Scope,
        of: &SessionId,
        number: u32,
        parts: &[TempKey],
    ) -> Result<PartReceipt> {
        self.check_sum(scope, parts).await?;
        let Some(quota) = &self.rules.quota else { return self.backend.join_parts(scope, of, number, parts).await };
        let _held = session(quota, scope, of).await;
        let receipt = self.backend.join_parts(scope, of, number, parts).await?;
        quota.moved(usage(0, 1), usage(0, parts.len() as u64));
        Ok(receipt)
    }

    pub(super) async fn assemble(
        &self,
        scope: &Scope,
        file: &FileId,
        parts: &[TempKey],
        options: FinalOptions,
    ) -> Result<FinalReceipt> {
        self.check_sum(scope, parts).await?;
        let Some(quota) = &self.rules.quota else { return self.backend.assemble(scope, file, parts, options).await };
        // In order, so that no two assemblies wait for each other.
        let sessions: BTreeSet<&SessionId> = parts.iter().map(|part| &part.session).collect();
        let mut held = Vec::with_capacity(sessions.len());
        for of in sessions {
            held.push(session(quota, scope, of).await);
        }
        let room = if parts.is_empty() { Some(quota.reserve(usage(0, 1))?) } else { None };
        let receipt = self.backend.assemble(scope, file, parts, options).await?;
        // The parts have the object's bytes, also if an equal object existed.
        let made = if receipt.replayed { Usage::default() } else { usage(receipt.size, 1) };
        match room {
            Some(room) => room.store(made),
            None => quota.moved(made, usage(receipt.size, parts.len() as u64)),
        }
        Ok(receipt)
    }

    pub(super) async fn delete_final(&self, scope: &Scope, key: &FinalKey) -> Result<bool> {
        let Some(quota) = &self.rules.quota else { return self.backend.delete_final(scope, key).await };
        let _held = quota.locks().exclusive(format!("f {scope} {}/{}", key.bucket, key.key)).await;
        // A range beyond every end asks for the size alone.
        let beyond = ByteRange { start: limits::SIZE_MAX, end: None };
        let size = match self.backend.read_final(scope, key, beyond).await {
            Err(Error::OutOfRange { size }) => size,
            Err(Error::NotFound | Error::Gone(_)) => return self.backend.delete_final(scope, key).await,
            Err(error) => return Err(error),
            Ok(_) => return Err(Error::internal("an object of more than 2^63 - 1 bytes")),
        };
        let deleted = self.backend.delete_final(scope, key).await?;
        if deleted {
            quota.moved(Usage::default(), usage(size, 1));
        }
        Ok(deleted)
    }

    pub(super) async fn create_record(&self, scope: &Scope, name: &RecordName, value: &[u8]) -> Result<String> {
        let Some(quota) = &self.rules.quota else { return self.backend.create_record(scope, name, value).await };
        let amount = usage(value.len() as u64, 1);
        let room = quota.reserve(amount)?;
        let version = self.backend.create_record(scope, name, value).await?;
        room.store(amount);
        Ok(version)
    }

    pub(super) async fn replace_record(
        &self,
        scope: &Scope,
        name: &RecordName,
        version: &str,
        value: &[u8],
    ) -> Result<String> {
        let Some(quota) = &self.rules.quota else {
            return self.backend.replace_record(scope, name, version, value).await;
        };
        let _held = quota.locks().exclusive(format!("r {scope} {name}")).await;
        let old = self.backend.get_record(scope, name).await?;
        if old.version != version {
            return Err(Error::Conflict);
        }
        let (old, new) = (old.value.len() as u64, value.len() as u64);
        let room = quota.reserve(usage(new.saturating_sub(old), 0))?;
        let version = self.backend.replace_record(scope, name, version, value).await?;
        room.store(usage(new.saturating_sub(old), 0));
        quota.moved(Usage::default(), usage(old.saturating_sub(new), 0));
        Ok(version)
    }

    pub(super) async fn delete_record(&self, scope: &Scope, name: &RecordName, version: Option<&str>) -> Result<bool> {
        let Some(quota) = &self.rules.quota else { return self.backend.delete_record(scope, name, version).await };
        let _held = quota.locks().exclusive(format!("r {scope} {name}")).await;
        let old = match self.backend.get_record(scope, name).await {
            Ok(record) => record,
            Err(Error::NotFound) => return Ok(false),
            Err(error) => return Err(error),
        };
        let deleted = self.backend.delete_record(scope, name, version).await?;
        if deleted {
            quota.moved(Usage::default(), usage(old.value.len() as u64, 1));
        }
        Ok(deleted)
    }

    /// Checks the sum of parts against the largest object, if the rules have one.
    async fn check_sum(&self, scope: &Scope, parts: &[TempKey]) -> Result<()> {
        let Some(limit) = self.rules.max_object_size else { return Ok(()) };
        let wanted: HashSet<&TempKey> = parts.iter().collect();
        let sessions: BTreeSet<&SessionId> = parts.iter().map(|part| &part.session).collect();
        let mut sum = Usage::default();
        for session in sessions {
            sum = sum + Usage::of_session(&*self.backend, scope, session, |key| wanted.contains(key)).await?;
        }
        if sum.bytes > limit { Err(Error::TooLarge { limit }) } else { Ok(()) }
    }
}
