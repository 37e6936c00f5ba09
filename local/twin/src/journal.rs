//! The twin's memory on disk: one JSON line per executed request, written before its answer leaves.
//!
//! A line is one transaction: what happened and what the idempotency key answers from then on. It survives the death of
//! the process; it is not flushed to the disk itself, because the twin's money is play money.

use std::fs::{File, OpenOptions, TryLockError, create_dir_all};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::balance::Transaction;
use crate::objects::{Customer, Dispute, Intent, Method, Payout, Refund, Setup};
use crate::outbox::Event;

/// Why a journal cannot be used.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The file or its folder cannot be created, read or written.
    #[error("cannot use the twin's journal {path}")]
    Io {
        /// The journal.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another twin has it open; two writers would both give out the same ids.
    #[error("another process is using the twin's journal {path}")]
    InUse {
        /// The journal.
        path: PathBuf,
    },
    /// A line in the middle cannot be read, or has a version this program does not know.
    #[error("line {line} of the twin's journal {path} cannot be read")]
    Corrupt {
        /// The journal.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
}

/// Schema version of a line.
const VERSION: u32 = 1;

/// One executed request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    v: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) changes: Vec<Change>,
    pub(crate) saved: Option<Saved>,
    /// What is to be told about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) events: Vec<Event>,
    /// The money that moved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) transactions: Vec<Transaction>,
    // Lines of earlier programs had at most one of each.
    #[serde(default, skip_serializing)]
    change: Option<Change>,
    #[serde(default, skip_serializing)]
    transaction: Option<Transaction>,
}

impl Entry {
    pub(crate) fn new(changes: Vec<Change>, saved: Option<Saved>) -> Self {
        let (events, transactions) = (Vec::new(), Vec::new());
        Self { v: VERSION, changes, saved, events, transactions, change: None, transaction: None }
    }

    fn read(line: &[u8]) -> Option<Self> {
        let mut entry: Self = serde_json::from_slice(line).ok()?;
        entry.changes.extend(entry.change.take());
        entry.transactions.extend(entry.transaction.take());
        (entry.v == VERSION).then_some(entry)
    }
}

/// What a request did to the ledger.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    Intent(Box<Intent>),
    Refund(Refund),
    Dispute(Dispute),
    Customer(Customer),
    Method(Method),
    Setup(Setup),
    Payout(Payout),
    /// The event with this id was taken, or shall never be.
    Delivered(String),
    /// The twin's clock is so many seconds ahead of the machine's.
    Clock(u64),
}

/// What an idempotency key was used for and what it answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Saved {
    pub(crate) key: String,
    pub(crate) endpoint: String,
    pub(crate) parameters: String,
    pub(crate) status: u16,
    pub(crate) body: String,
    /// Epoch second at which it was answered first. Lines of earlier programs do not say and are never forgotten.
    #[serde(default = "never")]
    pub(crate) at: u64,
}

const fn never() -> u64 {
    u64::MAX
}

/// An open journal, locked against other processes.
#[derive(Debug)]
pub(crate) struct Journal(File);

impl Journal {
    /// Opens or creates the file and reads what it holds. A last line without its end was never answered: it is cut off.
    pub(crate) fn open(path: &Path) -> Result<(Self, Vec<Entry>), OpenError> {
        let failed = |source| OpenError::Io { path: path.to_owned(), source };
        if let Some(folder) = path.parent() {
            create_dir_all(folder).map_err(failed)?;
        }
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if whole < bytes.len() {
            file.set_len(u64::try_from(whole).unwrap_or(u64::MAX)).map_err(failed)?;
            bytes.truncate(whole);
        }
        let mut entries = Vec::new();
        for (index, line) in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).enumerate() {
            let corrupt = || OpenError::Corrupt { path: path.to_owned(), line: index + 1 };
            entries.push(Entry::read(line).ok_or_else(corrupt)?);
        }
        Ok((Self(file), entries))
    }

    /// Adds a line in one write. On an error nothing of it is left behind, as far as the file system lets us.
    pub(crate) fn append(&mut self, entry: &Entry) -> io::Result<()> {
        let end = self.0.seek(SeekFrom::End(0))?;
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        if let Err(error) = self.0.write_all(&line) {
            self.0.set_len(end)?;
            return Err(error);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("parkade-twin-{}", std::process::id())).join(name)
    }

    fn saved(key: &str) -> Entry {
        let (key, endpoint) = (key.to_owned(), "/v1/refunds".to_owned());
        let (parameters, body) = (String::new(), "{}".to_owned());
        Entry::new(Vec::new(), Some(Saved { key, endpoint, parameters, status: 400, body, at: 1 }))
    }

    fn keys(entries: &[Entry]) -> Vec<&str> {
        entries.iter().filter_map(|entry| entry.saved.as_ref()).map(|saved| saved.key.as_str()).collect()
    }

    #[test]
    fn a_line_cut_by_a_crash_is_dropped_and_the_next_one_is_whole() {
        let path = path("torn.jsonl");
        let (mut journal, entries) = Journal::open(&path).unwrap();
        assert!(entries.is_empty());
        journal.append(&saved("a")).unwrap();
        journal.append(&saved("b")).unwrap();
        let end = journal.0.metadata().unwrap().len();
        journal.0.set_len(end - 5).unwrap();
        drop(journal);

        let (mut journal, entries) = Journal::open(&path).unwrap();
        assert_eq!(keys(&entries), ["a"]);
        journal.append(&saved("c")).unwrap();
        drop(journal);
        assert_eq!(keys(&Journal::open(&path).unwrap().1), ["a", "c"]);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_damaged_line_in_the_middle_is_an_error_not_a_loss() {
        let path = path("corrupt.jsonl");
        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.append(&saved("a")).unwrap();
        journal.0.write_all(b"{\"v\":2}\n").unwrap();
        journal.append(&saved("c")).unwrap();
        drop(journal);
        assert!(matches!(Journal::open(&path), Err(OpenError::Corrupt { line: 2, .. })));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_line_of_an_earlier_program_is_still_read() {
        let line = br#"{"v":1,"change":{"clock":60},"saved":{"key":"k","endpoint":"e","parameters":"","status":200,"body":"{}"}}"#;
        let entry = Entry::read(line).unwrap();
        assert!(matches!(entry.changes[..], [Change::Clock(60)]));
        assert_eq!(entry.saved.unwrap().at, u64::MAX);
    }

    #[test]
    fn two_twins_never_share_a_journal() {
        let path = path("shared.jsonl");
        let first = Journal::open(&path).unwrap();
        assert!(matches!(Journal::open(&path), Err(OpenError::InUse { .. })));
        drop(first);
        assert!(Journal::open(&path).is_ok());
        std::fs::remove_file(path).unwrap();
    }
}
