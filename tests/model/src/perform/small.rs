//! Operations of one call and one answer.

use super::{Host, Outcome, file_name, text};
use crate::content::{Stamp, made_value, writer_of};
use crate::history::{At, Entry, Id};
use crate::names::{File, NUMBERS, Rec, Session, Slot};
use crate::ops::{Op, Which};
use crate::spec::{FileAct, RecordAct, SlotAct};
use portico_store::{Error, FinalReader, FinalReceipt, Reason};

impl Host {
    pub(super) async fn perform_small(&self, op: Op, rng: &mut fastrand::Rng) -> Outcome {
        match op {
            Op::ListParts { session, page } => self.list_parts(&session, page).await,
            Op::StatPart { slot, which } => self.stat_part(&slot, which).await,
            Op::ListSessions { scope, page } => self.list_sessions(&scope, page).await,
            Op::ListFinals { scope, page } => self.list_finals(&scope, &self.names.files, page).await,
            Op::ListRecords { scope, prefix, page } => {
                self.list_records(&scope, prefix, &self.names.records, page).await
            }
            Op::DeleteSession { session } => self.delete_session(&session).await,
            Op::Interrupt { session } => self.interrupt(&session).await,
            Op::Stat { file } => self.stat(&file).await.map(drop),
            Op::DeleteFinal { file } => self.delete_final(&file).await,
            Op::Void { file } => self.void(&file).await,
            Op::CreateRecord { record } => self.create_record(&record, rng).await,
            Op::ReplaceRecord { record, which } => self.replace_record(&record, which, rng).await,
            Op::DeleteRecord { record, which } => self.delete_record(&record, which).await,
            Op::GetRecord { record } => self.get_record(&record).await,
            Op::Sweep => self.sweep().await,
            other => unreachable!("{other:?} is not small"),
        }
    }

    async fn delete_session(&self, session: &Session) -> Outcome {
        let cleared: Vec<At> =
            (1..=NUMBERS).map(|number| At::Slot(Slot(session.clone(), number), SlotAct::Cleared)).collect();
        let id = self.history.call(Entry {
            what: format!("delete session {}:{}", session.0, session.1),
            acts: cleared.clone(),
            ends_puts: vec![session.clone()],
            ..Entry::default()
        });
        let result = self.backend.delete_session(&session.0, &session.1).await;
        if result.as_ref().is_ok_and(|count| *count > NUMBERS) {
            self.history.wrong(id, "deleted more parts than there were ever numbers");
        }
        self.settle(id, result, |_| cleared)
    }

    async fn interrupt(&self, session: &Session) -> Outcome {
        let id = self.history.call(Entry {
            what: format!("interrupt {}:{}", session.0, session.1),
            ends_puts: vec![session.clone()],
            ..Entry::default()
        });
        let result = self.backend.interrupt(&session.0, &session.1).await;
        self.settle(id, result, |()| Vec::new())
    }

    /// The receipt of a final object, if there is one.
    pub(super) async fn stat(&self, file: &File) -> Result<Option<FinalReceipt>, Error> {
        let id = self.begin(format!("stat {}", file_name(file)));
        let result = self.backend.stat_final(&file.0, &file.1).await;
        self.stated(id, file, result)
    }

    /// Opens a final object, if there is one.
    pub(super) async fn open_final(&self, file: &File) -> Result<Option<Box<dyn FinalReader>>, Error> {
        let id = self.begin(format!("open {}", file_name(file)));
        match self.backend.open_final(&file.0, &file.1).await {
            Ok(reader) => Ok(self.stated(id, file, Ok(reader.receipt().clone()))?.map(|_| reader)),
            Err(error) => self.stated(id, file, Err(error)).map(|_| None),
        }
    }

    /// Notes the receipt of a final object.
    fn stated(&self, id: Id, file: &File, result: Result<FinalReceipt, Error>) -> Result<Option<FinalReceipt>, Error> {
        let (act, receipt) = match &result {
            Ok(receipt) => {
                let maker = self.maker(id, file, receipt).unwrap_or_default();
                (FileAct::Seen { maker, stamp: Stamp::from(receipt) }, Some(receipt.clone()))
            }
            Err(Error::NotFound) => (FileAct::Absent, None),
            Err(Error::Gone(reason)) => (FileAct::Gone { reason: reason.clone() }, None),
            Err(error) => {
                self.unexpected(id, error);
                return result.map(Some);
            }
        };
        self.history.answer(id, text(&result), vec![At::File(file.clone(), act)]);
        Ok(receipt)
    }

    async fn delete_final(&self, file: &File) -> Outcome {
        // The key is that of a receipt that somebody saw.
        let there = self.stat(file).await?;
        let Some(key) = there.map(|receipt| receipt.key).or_else(|| self.history.final_key(file)) else {
            return Ok(());
        };
        let deleted = vec![At::File(file.clone(), FileAct::Deleted)];
        let what = format!("delete final {}", file_name(file));
        let id = self.history.call(Entry { what, acts: deleted.clone(), ..Entry::default() });
        let result = self.backend.delete_final(&file.0, &key).await;
        self.settle(id, result, |done| if done { deleted } else { vec![At::File(file.clone(), FileAct::NoObject)] })
    }

    async fn void(&self, file: &File) -> Outcome {
        let id = self.history.reserve();
        let reason = format!("r{id}");
        let voided = vec![At::File(file.clone(), FileAct::Voided { reason: reason.clone() })];
        let what = format!("void {} {reason}", file_name(file));
        self.history.call_as(id, Entry { what, acts: voided.clone(), ..Entry::default() });
        let reason = Reason::parse(&reason)?;
        let result = self.backend.void_final(&file.0, &file.1, &reason).await;
        self.settle(id, result, |done| if done { voided } else { vec![At::File(file.clone(), FileAct::Decided)] })
    }

    async fn create_record(&self, record: &Rec, rng: &mut fastrand::Rng) -> Outcome {
        let id = self.history.reserve();
        let act = |version| vec![At::Record(record.clone(), RecordAct::Created { writer: id, version })];
        let what = format!("create record {}:{}", record.0, record.1);
        self.history.call_as(id, Entry { what, acts: act(None), ..Entry::default() });
        let result = self.backend.create_record(&record.0, &record.1, &value(id, rng)).await;
        self.settle_version(id, record, result, act)
    }

    async fn replace_record(&self, record: &Rec, which: Which, rng: &mut fastrand::Rng) -> Outcome {
        let Some(from) = self.version(record, which) else { return Ok(()) };
        let id = self.history.reserve();
        let act =
            |version| vec![At::Record(record.clone(), RecordAct::Replaced { from: from.clone(), writer: id, version })];
        let what = format!("replace record {}:{} {from:.6}", record.0, record.1);
        self.history.call_as(id, Entry { what, acts: act(None), ..Entry::default() });
        let result = self.backend.replace_record(&record.0, &record.1, &from, &value(id, rng)).await;
        let answer = text(&result);
        let act = match &result {
            Err(Error::NotFound) => RecordAct::Absent,
            Err(Error::Conflict) => RecordAct::NotVersion { version: from.clone() },
            _ => return self.settle_version(id, record, result, act),
        };
        self.history.answer(id, answer, vec![At::Record(record.clone(), act)]);
        result.map(drop)
    }

    async fn delete_record(&self, record: &Rec, which: Option<Which>) -> Outcome {
        let version = which.and_then(|which| self.version(record, which));
        let deleted = vec![At::Record(record.clone(), RecordAct::Deleted { version: version.clone() })];
        let what = format!("delete record {}:{} {version:?}", record.0, record.1);
        let id = self.history.call(Entry { what, acts: deleted.clone(), ..Entry::default() });
        let result = self.backend.delete_record(&record.0, &record.1, version.as_deref()).await;
        if let (Err(Error::Conflict), Some(version)) = (&result, version) {
            let act = RecordAct::NotVersion { version };
            self.history.answer(id, "conflict".to_owned(), vec![At::Record(record.clone(), act)]);
            return result.map(drop);
        }
        self.settle(id, result, |done| if done { deleted } else { vec![At::Record(record.clone(), RecordAct::Absent)] })
    }

    async fn get_record(&self, record: &Rec) -> Outcome {
        let id = self.begin(format!("get record {}:{}", record.0, record.1));
        let result = self.backend.get_record(&record.0, &record.1).await;
        let act = match &result {
            Ok(there) => {
                let Some(writer) = writer_of(&there.value) else {
                    self.history.wrong(id, "a value that nobody wrote");
                    return result.map(drop);
                };
                self.history.saw_version(id, record, &there.version, writer);
                RecordAct::Seen { writer, version: there.version.clone() }
            }
            Err(Error::NotFound) => RecordAct::Absent,
            Err(error) => {
                self.unexpected(id, error);
                return result.map(drop);
            }
        };
        self.history.answer(id, format!("{act:?}"), vec![At::Record(record.clone(), act)]);
        result.map(drop)
    }

    async fn sweep(&self) -> Outcome {
        let id = self.begin("sweep".to_owned());
        let result = self.backend.sweep().await;
        if let Ok(report) = &result
            && !report.foreign.is_empty()
        {
            self.history.wrong(id, format!("found things that nobody put there: {:?}", report.foreign));
        }
        self.settle(id, result, |_| Vec::new())
    }

    /// Notes an answer of an operation that has no errors of its own here.
    fn settle<T: std::fmt::Debug>(&self, id: Id, result: Result<T, Error>, acts: impl FnOnce(T) -> Vec<At>) -> Outcome {
        let answer = text(&result);
        match result {
            Ok(value) => {
                self.history.answer(id, answer, acts(value));
                Ok(())
            }
            Err(error) => {
                self.unexpected(id, &error);
                Err(error)
            }
        }
    }

    fn settle_version(
        &self,
        id: Id,
        record: &Rec,
        result: Result<String, Error>,
        act: impl Fn(Option<String>) -> Vec<At>,
    ) -> Outcome {
        if matches!(result, Err(Error::Conflict)) {
            self.history.answer(id, "conflict".to_owned(), vec![At::Record(record.clone(), RecordAct::Exists)]);
            return result.map(drop);
        }
        if let Ok(version) = &result {
            self.history.saw_version(id, record, version, id);
        }
        self.settle(id, result, |version| act(Some(version)))
    }

    fn version(&self, record: &Rec, which: Which) -> Option<String> {
        let versions = self.history.versions(record);
        match which {
            Which::Latest => versions.last().cloned(),
            Which::Earlier(back) => versions.iter().rev().nth(back).or(versions.first()).cloned(),
        }
    }
}

/// A value that names its writer and its own length in its first 16 bytes; the rest follows from them.
fn value(writer: Id, rng: &mut fastrand::Rng) -> Vec<u8> {
    let len = if rng.u8(..8) == 0 { portico_store::limits::RECORD_VALUE_MAX } else { rng.usize(16..500) };
    made_value(writer, len)
}
