//! Writers: content in progress, and the commit that makes it visible.

use super::{
    content::{self, Content},
    names,
    state::{Part, Shared},
    streams::{InputStream, OutputStream, StreamError, lock},
};
use crate::bindings::portico::storage::storage::{self as wit, Argument, Error, IfExists, Receipt};
use std::sync::{Arc, Mutex};

/// Most bytes that one read takes of a source.
const READ: u64 = 64 << 10;

/// Content of a part or of a final object, in progress.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Shared,
    scope: String,
    target: Target,
    content: Arc<Mutex<Content>>,
}

/// The name that complete content gets.
#[derive(Debug)]
enum Target {
    Part {
        session: String,
        number: u32,
        options: wit::PartOptions,
        /// Number of interrupts of the session when the writer began.
        interrupts: u64,
    },
    Final {
        file_id: String,
        options: wit::FinalOptions,
    },
}

impl Target {
    fn expected(&self) -> &wit::Expected {
        match self {
            Target::Part { options, .. } => &options.expected,
            Target::Final { options, .. } => &options.expected,
        }
    }
}

impl Writer {
    /// Begins a part.
    pub(super) fn of_part(
        shared: &Shared,
        scope: &str,
        session: &str,
        number: u32,
        options: &wit::PartOptions,
    ) -> Result<Self, Error> {
        names::session(session)?;
        names::part_options(options)?;
        let mut state = shared.begin()?;
        let limit = options.limit.map_or(state.object_max, |limit| limit.min(state.object_max));
        let content = Content::new(&options.expected, limit)?;
        let space = state.scope(scope);
        space.must_be_open(options.unless_final.as_ref())?;
        if let Some(there) = space.parts.get(&(session.to_owned(), number)) {
            let has_other_size = options.expected.size.is_some_and(|size| size != there.receipt.size);
            if options.if_exists == IfExists::Fail || has_other_size {
                return Err(Error::Conflict);
            }
        }
        let interrupts = space.interrupts.get(session).copied().unwrap_or_default();
        drop(state);
        let target = Target::Part { session: session.to_owned(), number, options: options.clone(), interrupts };
        Ok(Writer::new(shared, scope, target, content))
    }

    /// Begins a final object.
    pub(super) fn of_final(
        shared: &Shared,
        scope: &str,
        file_id: &str,
        options: &wit::FinalOptions,
    ) -> Result<Self, Error> {
        names::file(file_id)?;
        names::final_options(options)?;
        let mut state = shared.begin()?;
        let content = Content::new(&options.expected, state.object_max)?;
        match state.scope(scope).object(file_id) {
            Ok(_) if options.if_exists == IfExists::Fail => return Err(Error::Conflict),
            Ok(_) | Err(Error::NotFound) => {}
            Err(error) => return Err(error),
        }
        drop(state);
        let target = Target::Final { file_id: file_id.to_owned(), options: options.clone() };
        Ok(Writer::new(shared, scope, target, content))
    }

    fn new(shared: &Shared, scope: &str, target: Target, content: Content) -> Self {
        Writer { shared: shared.clone(), scope: scope.to_owned(), target, content: Arc::new(Mutex::new(content)) }
    }

    /// Pulls a source to its end. The content is not locked while the source is read, because the source may be a stream of
    /// the same store, or interrupt this writer.
    pub(crate) fn pull(&self, source: InputStream) -> Result<u64, Error> {
        let content = || lock(&self.content);
        let before = content().len();
        if source.has_pollables() {
            return content().fail(Error::InvalidArgument(Argument::Content));
        }
        loop {
            content().check()?;
            let failed = if !self.goes_on() {
                Error::Interrupted
            } else {
                match source.blocking_read(READ) {
                    Ok(bytes) => {
                        content().add(&bytes)?;
                        continue;
                    }
                    Err(StreamError::Closed) => return Ok(content().len() - before),
                    Err(StreamError::LastOperationFailed(error)) if error.is_stalled() => Error::Stalled,
                    Err(StreamError::LastOperationFailed(_)) => Error::Interrupted,
                }
            };
            let mut content = content();
            let arrived = content.len();
            return content.fail(failed(arrived));
        }
    }

    /// Returns whether the writer may read on: no interrupt came since it began.
    fn goes_on(&self) -> bool {
        match &self.target {
            Target::Part { session, interrupts, .. } => self.shared.interrupts(&self.scope, session) == *interrupts,
            Target::Final { .. } => true,
        }
    }

    pub(crate) fn sink(&self) -> Result<OutputStream, Error> {
        lock(&self.content).check()?;
        Ok(OutputStream::of_content(self.content.clone()))
    }

    pub(crate) fn finish(writer: Writer, expected: &wit::Expected) -> Result<Receipt, Error> {
        let compute: &[wit::DigestAlgorithm] = match &writer.target {
            Target::Part { options, .. } => &options.compute,
            Target::Final { .. } => &[],
        };
        content::computed(expected, writer.target.expected(), compute)?;
        writer.commit(expected, false)
    }

    /// Pulls the content of a part to its end, and stores it; or the beginning, where the options say so.
    pub(super) fn put_part(self, source: InputStream) -> Result<wit::TempPart, Error> {
        let keeps = matches!(&self.target, Target::Part { options, .. } if options.keep_prefix);
        let is_prefix = match self.pull(source) {
            Ok(_) => false,
            Err(Error::Interrupted(arrived) | Error::Stalled(arrived)) if keeps && arrived > 0 => true,
            Err(error) => return Err(error),
        };
        match self.commit(&nothing(), is_prefix)? {
            Receipt::TempPart(part) => Ok(part),
            Receipt::StoredObject(_) => unreachable!("the writer is of a part"),
        }
    }

    /// Pulls the content of a final object to its end, and stores it.
    pub(super) fn put_final(self, source: InputStream) -> Result<wit::StoredObject, Error> {
        self.pull(source)?;
        match self.commit(&nothing(), false)? {
            Receipt::StoredObject(object) => Ok(object),
            Receipt::TempPart(_) => unreachable!("the writer is of a final object"),
        }
    }

    /// Compares the content with all expectations, and stores it.
    fn commit(&self, expected: &wit::Expected, is_prefix: bool) -> Result<Receipt, Error> {
        let content = lock(&self.content);
        let bytes = content.finish(self.target.expected(), expected, is_prefix)?;
        let mut state = self.shared.begin()?;
        match &self.target {
            Target::Final { file_id, options } => {
                state.publish(&self.scope, file_id, bytes, options).map(Receipt::StoredObject)
            }
            Target::Part { session, number, options, interrupts } => {
                let token = state.token();
                let space = state.scope(&self.scope);
                // An interrupted put stores nothing, unless it keeps what had arrived.
                if !is_prefix && space.interrupts.get(session).copied().unwrap_or_default() != *interrupts {
                    return Err(Error::Interrupted(bytes.len() as u64));
                }
                space.must_be_open(options.unless_final.as_ref())?;
                names::place(options, bytes.len() as u64)?;
                let is_wanted = options.want_sha256 || options.expected.sha256.is_some() || expected.sha256.is_some();
                let sha256 = is_wanted.then(|| content::sha256(bytes));
                if let Some(there) = space.parts.get(&(session.clone(), *number)) {
                    if options.if_exists == IfExists::Fail || *there.bytes != *bytes {
                        return Err(Error::Conflict);
                    }
                    let sha256 = there.receipt.sha256.clone().or(sha256);
                    let replayed = wit::TempPart { replayed: true, is_prefix, sha256, ..there.receipt.clone() };
                    return Ok(Receipt::TempPart(replayed));
                }
                let receipt = wit::TempPart {
                    temp_key: format!("{session}/{number}/{token}"),
                    part_number: *number,
                    size: bytes.len() as u64,
                    sha256,
                    offset: options.offset,
                    replayed: false,
                    is_prefix,
                };
                let stored = wit::TempPart { is_prefix: false, ..receipt.clone() };
                space.parts.insert((session.clone(), *number), Part { receipt: stored, bytes: bytes.into() });
                Ok(Receipt::TempPart(receipt))
            }
        }
    }
}

fn nothing() -> wit::Expected {
    wit::Expected { size: None, sha256: None, others: Vec::new() }
}
