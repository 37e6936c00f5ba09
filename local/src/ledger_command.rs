//! `parkade ledger`: verifies the sealed books over the API, and shows them. The same against a laptop and AWS.
//!
//! Promises: every hash, sum, gap and repetition is checked here, from what was read, so the server need not be trusted; what was found
//! is printed, and the first entry that is wrong ends it. Refuses to know: the database.

use std::process::ExitCode;
use std::time::Instant;

use axum::http::Method;
use clap::{Args, Subcommand};
use parkade_api::wire::{LedgerSummaryView, LedgerView};
use parkade_domain::money::{Currency, Money};
use parkade_events::chain;
use parkade_ledger::{Book, Hash, Head, Month, Verifier};

use crate::client::{Api, Ask, ClientError};
use crate::log::say;

/// Months that are verified unless one is named: this one and the year before.
const MONTHS: usize = 13;
/// Entries of one request: the most that the API gives.
const PAGE: u32 = 200;

/// What to do with the books.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Checks the hash chain of each month: that no entry was altered, removed, added or repeated, and that all sum to zero.
    Verify {
        /// Whose books.
        #[command(flatten)]
        books: Books,
        /// A head printed earlier, `<number>:<hash>`, that the chain must still contain; needs `--month`.
        #[arg(long, requires = "month")]
        known: Option<String>,
    },
    /// Prints what each account stands at, or the entries of one reservation.
    Show {
        /// Whose books.
        #[command(flatten)]
        books: Books,
        /// The reservation, `res_…`.
        #[arg(long)]
        reservation: Option<String>,
    },
}

/// Whose books, and where they are read.
#[derive(Debug, Args)]
pub struct Books {
    /// Where the API answers.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// An operator's or admin's token.
    #[arg(long, env = "PARKADE_TOKEN", default_value = "dev.admin.ada")]
    token: String,
    /// The lot; `*provider` is the account at the payment provider.
    #[arg(long)]
    lot: String,
    /// `YYYY-MM` by the clocks of the lot. To verify: by default this month and the year before; to show: this month.
    #[arg(long)]
    month: Option<Month>,
}

/// Why it ends.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the books cannot be read")]
    Client(#[source] ClientError),
    #[error("{path} was answered with {status}: {detail}")]
    Refused { path: String, status: u16, detail: String },
    #[error("what the API sent are no books: {0}")]
    Unreadable(String),
    #[error("{book} {month} is BROKEN: {what}")]
    Broken { book: Book, month: Month, what: String },
}

/// Runs the command. The code is 0, or 1 if the books are broken or cannot be read.
pub async fn run(command: &LedgerCommand) -> ExitCode {
    let outcome = match command {
        LedgerCommand::Verify { books, known } => verify(books, known.as_deref()).await,
        LedgerCommand::Show { books, reservation: None } => show_balances(books).await,
        LedgerCommand::Show { books, reservation: Some(reservation) } => show_reservation(books, reservation).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("parkade: {}", chain(&failure));
            ExitCode::FAILURE
        }
    }
}

/// The books over the API.
struct Reader<'a> {
    api: Api,
    books: &'a Books,
    book: Book,
}

impl<'a> Reader<'a> {
    fn new(books: &'a Books) -> Result<Self, Failure> {
        let book = books.lot.parse().map_err(|_| Failure::Unreadable(format!("{:?} is no lot", books.lot)))?;
        Ok(Self { api: Api::new(&books.url).map_err(Failure::Client)?, books, book })
    }

    async fn get(&self, query: &str) -> Result<LedgerView, Failure> {
        let path = match &self.book {
            Book::Lot(lot) => format!("/v1/lots/{lot}/ledger?{query}"),
            Book::Provider => format!("/v1/reconciliation/ledger?{query}"),
        };
        let ask = Ask::new(Method::GET, path.as_str()).by(self.books.token.clone());
        let answer = self.api.ask(&ask).await.map_err(Failure::Client)?;
        if !answer.status.is_success() {
            let detail = [answer.text("/detail"), answer.text("/title")].into_iter().find(|text| !text.is_empty());
            let detail = detail.unwrap_or_default().to_owned();
            return Err(Failure::Refused { path, status: answer.status.as_u16(), detail });
        }
        serde_json::from_value(answer.body).map_err(|error| Failure::Unreadable(error.to_string()))
    }

    /// The month that is asked for, or the present one by the server's clock.
    async fn month(&self) -> Result<Month, Failure> {
        match self.books.month {
            Some(month) => Ok(month),
            None => {
                let month = self.get("limit=1").await?.month.and_then(|month| month.parse().ok());
                month.ok_or_else(|| Failure::Unreadable("they name no month".to_owned()))
            }
        }
    }
}

async fn verify(books: &Books, known: Option<&str>) -> Result<(), Failure> {
    let reader = Reader::new(books)?;
    let known = known.map(head).transpose()?;
    let newest = reader.month().await?;
    let count = if books.month.is_some() { 1 } else { MONTHS };
    let (began, mut entries, mut chains) = (Instant::now(), 0, 0);
    for month in std::iter::successors(Some(newest), |month| Some(month.previous())).take(count) {
        let verified = verify_month(&reader, month, known).await?;
        if verified.head().seq == 0 && books.month.is_none() {
            continue;
        }
        let Head { seq, hash } = verified.head();
        say(&format!("{} {month}  {seq} entries, unbroken and in balance, end with {seq}:{hash}", reader.book));
        entries += seq;
        chains += 1;
    }
    let elapsed_ms = began.elapsed().as_millis();
    say(&format!("verified {entries} entries in {chains} chains within {elapsed_ms} ms"));
    Ok(())
}

async fn verify_month(reader: &Reader<'_>, month: Month, known: Option<Head>) -> Result<Verifier, Failure> {
    let broken = |what: String| Failure::Broken { book: reader.book.clone(), month, what };
    let mut verifier = Verifier::new(reader.book.clone(), month);
    let mut cursor = String::new();
    loop {
        let page = reader.get(&format!("month={month}&limit={PAGE}{cursor}")).await?;
        let summary = page.summary.ok_or_else(|| Failure::Unreadable("they have no summary".to_owned()))?;
        let is_last = page.next.is_none();
        if let Some(next) = &page.next {
            cursor = format!("&next={next}");
        }
        for entry in &page.items {
            let sealed = entry.to_domain(&reader.book, month).map_err(|error| broken(error.to_string()))?;
            verifier.check(&sealed).map_err(|error| broken(error.to_string()))?;
            if known.is_some_and(|known| known.seq == sealed.seq && known.hash != sealed.hash) {
                return Err(broken(format!("entry {} had another hash when its head was noted", sealed.seq)));
            }
            if sealed.seq == summary.entries {
                agrees(&verifier, &summary).map_err(broken)?;
            }
        }
        if is_last {
            let end = verifier.head().seq;
            let wanted = summary.entries.max(known.map_or(0, |known| known.seq));
            if end < wanted {
                return Err(broken(format!("it ends with entry {end}, and {wanted} were sealed")));
            }
            return Ok(verifier);
        }
    }
}

/// Whether the chain's own summary is what its entries say.
fn agrees(verifier: &Verifier, summary: &LedgerSummaryView) -> Result<(), String> {
    let found = LedgerSummaryView::from_domain(verifier.head(), verifier.balances(), None);
    if found.hash != summary.hash {
        return Err(format!("its summary says that entry {} has the hash {}", summary.entries, summary.hash));
    }
    if found.balances != summary.balances {
        return Err(format!("its summary says other balances than its entries: {}", verifier.balances()));
    }
    if !verifier.balances().sums_to_zero() {
        return Err(format!("its accounts do not sum to zero: {}", verifier.balances()));
    }
    Ok(())
}

/// Reads `<number>:<hash>`.
fn head(text: &str) -> Result<Head, Failure> {
    let read = text.split_once(':').and_then(|(seq, hash)| Some((seq.parse().ok()?, hash.parse::<Hash>().ok()?)));
    let (seq, hash) = read.ok_or_else(|| Failure::Unreadable(format!("{text:?} is not <number>:<hash>")))?;
    Ok(Head { seq, hash })
}

async fn show_balances(books: &Books) -> Result<(), Failure> {
    let reader = Reader::new(books)?;
    let month = reader.month().await?;
    let view = reader.get(&format!("month={month}&limit=1")).await?;
    let summary = view.summary.ok_or_else(|| Failure::Unreadable("they have no summary".to_owned()))?;
    say(&format!("{} {month}: {} entries", view.book, summary.entries));
    say(&format!("  {:<24} {:>16} {:>16}", "account", "debit", "credit"));
    for balance in &summary.balances {
        say(&format!("  {:<24} {}", balance.account, columns(balance.amount_minor, &balance.currency)?));
    }
    Ok(())
}

async fn show_reservation(books: &Books, reservation: &str) -> Result<(), Failure> {
    let reader = Reader::new(books)?;
    let month = books.month.map(|month| format!("&month={month}")).unwrap_or_default();
    let view = reader.get(&format!("reservation_id={reservation}{month}")).await?;
    if view.items.is_empty() {
        say(&format!("The books of {} have no entry of {reservation}.", view.book));
    }
    for entry in &view.items {
        let of = entry.payment_id.as_deref().or(entry.reservation_id.as_deref()).unwrap_or_default();
        say(&format!("{}  {}  {of}  (entry {})", entry.at, entry.cause, entry.seq));
        for posting in &entry.postings {
            say(&format!("  {:<24} {}", posting.account, columns(posting.amount_minor, &entry.currency)?));
        }
    }
    Ok(())
}

/// The amount in the debit's or the credit's column.
fn columns(minor: i64, currency: &str) -> Result<String, Failure> {
    let unreadable = |_| Failure::Unreadable(format!("{currency:?} is no currency"));
    let currency = Currency::from_code(currency).map_err(unreadable)?;
    let text = Money::new(minor.saturating_abs(), currency).format();
    let (debit, credit) = if minor < 0 { (String::new(), text) } else { (text, String::new()) };
    Ok(format!("{debit:>16} {credit:>16}").trim_end().to_owned())
}
