//! The provider's transactions, page by page.

use futures::{StreamExt as _, stream};
use parkade_events::chain;
use parkade_ledger::{Entry, Exception, ExceptionId, ExceptionKind, Facts, Month};
use parkade_payments::{BalanceQuery, BalanceTransaction};
use parkade_store::{Confirmation, Fate, StoreError};
use tracing::error;

use crate::transaction::{Outcome, confirmation_of, facts_of, judge};
use crate::{Failure, Run};

/// Transactions looked into at a time: enough to hide the store's latency, too few to crowd out drivers.
const CONCURRENCY_MAX: usize = 8;

impl Run<'_> {
    /// Explains the transactions made in `[from, until)`.
    pub(crate) async fn read_transactions(&mut self, [from_s, before_s]: [i64; 2]) -> Result<(), Failure> {
        let mut query = BalanceQuery { from_s, before_s, after: None };
        loop {
            let page = self.deps.stripe.list_balance_transactions(&query).await?;
            let last = page.transactions.last().map(|transaction| transaction.id.clone());
            self.explain(&page.transactions).await?;
            if !page.has_more || last.is_none() {
                return Ok(());
            }
            query.after = last;
        }
    }

    async fn explain(&mut self, transactions: &[BalanceTransaction]) -> Result<(), Failure> {
        let of: Vec<Confirmation> = transactions.iter().filter_map(confirmation_of).collect();
        let known = self.deps.store.confirmed(&of).await?;
        let mut new: Vec<(BalanceTransaction, Option<String>)> = Vec::new();
        for transaction in transactions {
            let known = confirmation_of(transaction).and_then(|of| known.get(&of).cloned());
            if known.as_deref() != Some(transaction.id.as_str()) {
                new.push((transaction.clone(), known));
            }
        }
        let (deps, now_s) = (self.deps, self.now_s);
        let judged = new.into_iter().map(|(transaction, known)| {
            Box::pin(async move {
                let outcome = judge(deps, now_s, &transaction, known.as_ref()).await;
                (transaction, outcome)
            })
        });
        let outcomes: Vec<_> = stream::iter(judged).buffered(CONCURRENCY_MAX).collect().await;
        for (transaction, outcome) in outcomes {
            self.report.transactions += 1;
            let acted = match outcome {
                Ok(outcome) => self.act(&transaction, outcome).await.map(drop),
                Err(failure) => Err(failure),
            };
            match acted {
                // One that cannot be recorded must not keep all others of all lots from it.
                Err(failure) if failure.is_of_one() => {
                    let tried = Some(format!("to record it: {}", chain(&failure)));
                    let facts = Box::new(Facts { payment: transaction.payment.clone(), tried, ..Facts::default() });
                    self.act(&transaction, Outcome::Unexplained(ExceptionKind::NotTaken, facts)).await?;
                }
                other => other?,
            }
        }
        Ok(())
    }

    /// Books what a transaction means, lists what it asks of a person, and at last notes that it is explained: what is done twice is known
    /// by its id, and what is noted is not looked at again. Tells whether it is explained.
    pub(crate) async fn act(&mut self, transaction: &BalanceTransaction, outcome: Outcome) -> Result<bool, Failure> {
        match outcome {
            Outcome::Explained(explained) => {
                self.book(&explained.entries).await?;
                self.report.settled += usize::from(explained.settled);
                self.report.resealed += usize::from(explained.resealed);
                if let Some((subject, kind, facts)) = explained.asks {
                    self.open(Month::utc(transaction.created_s), &subject, kind, facts).await?;
                }
                if let Some(confirms) = explained.confirms {
                    self.deps.store.confirm(confirms, transaction.id.as_str()).await?;
                }
                Ok(true)
            }
            Outcome::Later => Ok(false),
            Outcome::Unexplained(kind, facts) => {
                let facts = Facts { transaction: Some(facts_of(transaction)), ..*facts };
                self.open(Month::utc(transaction.created_s), transaction.id.as_str(), kind, facts).await?;
                Ok(false)
            }
        }
    }

    /// Seals entries; those that are sealed already are known.
    pub(crate) async fn book(&mut self, entries: &[Entry]) -> Result<usize, Failure> {
        let mut sealed = 0;
        for fate in Box::pin(self.deps.store.seal(entries, self.now_s)).await {
            sealed += usize::from(fate? == Fate::Sealed);
        }
        Ok(sealed)
    }

    /// Lists something for a person, once.
    pub(crate) async fn open(
        &mut self,
        month: Month,
        subject: &str,
        kind: ExceptionKind,
        facts: Facts,
    ) -> Result<(), Failure> {
        let corrupt = |_| StoreError::Corrupt { key: subject.to_owned(), why: "it is no id".to_owned() };
        let id = ExceptionId::new(month, subject).map_err(corrupt)?;
        let exception = Exception { id, kind, facts, opened_at_s: self.now_s, closed: None, version: 1 };
        if self.deps.store.open_exception(&exception).await? {
            self.report.opened += 1;
            error!(exception.id = %exception.id, exception.kind = kind.as_str(), "exception {}: {}", exception.id, kind.advice());
        }
        Ok(())
    }
}
