//! `parkade dlq`: what was given up, and giving it another chance. It speaks to SQS with the real SDK; the laptop answers the same calls.
//!
//! A message is first sent to the queue it came from and then deleted from the dead letters, so a crash between the two leaves it in
//! both: consumers know an event by its id, and the record it names decides what is still to do.

use std::process::ExitCode;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use clap::{Args, Subcommand};
use parkade_events::chain;
use parkade_runtime::{ConfigError, Environment, clients};
use serde_json::Value;

use crate::log::say;
use crate::sqs;

/// SQS gives at most ten messages at a time.
const BATCH_MAX: i32 = 10;
/// How long a message that is only looked at stays out of sight: nobody else should be looking.
const SHOWN_FOR_S: i32 = 30;
/// How long a message may take on its way back.
const REDRIVEN_FOR_S: i32 = 120;
/// With a wait SQS asks all of its servers; without, an empty answer says little.
const WAIT_S: i32 = 2;
/// Messages printed or redriven by one command; the next one goes on.
const MESSAGES_MAX: usize = 1_000;

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadLetterCommand {
    /// Lists the dead-letter queues and how many messages each holds.
    List {
        /// Of which deployment.
        #[command(flatten)]
        place: Place,
    },
    /// Prints the messages of a queue: what each is about and how often it was tried.
    Show {
        /// As `list` prints it, or a part of its name.
        queue: String,
        /// Of which deployment.
        #[command(flatten)]
        place: Place,
    },
    /// Sends the messages of a queue back to where they came from.
    Redrive {
        /// As `list` prints it, or a part of its name.
        queue: String,
        /// Only the message with this id.
        #[arg(long)]
        message: Option<String>,
        /// Of which deployment.
        #[command(flatten)]
        place: Place,
    },
}

/// Which deployment.
#[derive(Debug, Args)]
pub struct Place {
    /// The laptop's server.
    #[arg(long, default_value = "http://127.0.0.1:8080", conflicts_with = "stage")]
    url: String,
    /// A stage on AWS, with AWS_REGION and the credentials in the environment (AWS_ENDPOINT_URL for an emulator).
    #[arg(long)]
    stage: Option<String>,
}

/// Why a command ends.
#[derive(Debug, thiserror::Error)]
enum DeadLetterError {
    /// The environment does not say how to reach AWS.
    #[error("AWS cannot be reached")]
    Config(#[source] ConfigError),
    /// The service refused or did not answer.
    #[error("{0} failed; is the server running, and the stage right?")]
    Sqs(&'static str, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// No queue, or several, have the name.
    #[error("{count} dead-letter queues match {name:?}; `parkade dlq list` prints their names")]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// How many match.
        count: usize,
    },
    /// The letters of streams and schedules say which records were not processed; they are no messages of a queue.
    #[error(
        "no queue leads into {0}, but a stream or a schedule: mend the cause that `show` names; the next run does it"
    )]
    NoSource(String),
    /// A message does not say which of them it came from.
    #[error("several queues lead into {0}; its messages go back by hand")]
    Sources(String),
}

/// Carries it out and says so.
pub async fn run(command: &DeadLetterCommand) -> ExitCode {
    let outcome = match command {
        DeadLetterCommand::List { place } => list(place).await,
        DeadLetterCommand::Show { queue, place } => show(place, queue).await,
        DeadLetterCommand::Redrive { queue, message, place } => redrive(place, queue, message.as_deref()).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("parkade dlq: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// The dead-letter queues of a deployment.
struct Letters {
    client: Client,
    urls: Vec<String>,
}

impl Letters {
    async fn of(place: &Place) -> Result<Self, DeadLetterError> {
        let (environment, prefix) = match &place.stage {
            Some(stage) => (Environment::from_process(), format!("parkade-{stage}-")),
            None => {
                let endpoint = format!("{}{}", place.url.trim_end_matches('/'), sqs::PATH);
                let pairs = [
                    ("AWS_REGION", "local"),
                    ("AWS_ACCESS_KEY_ID", "local"),
                    ("AWS_SECRET_ACCESS_KEY", "local"),
                    ("AWS_ENDPOINT_URL", endpoint.as_str()),
                ];
                (Environment::from_pairs(pairs), String::new())
            }
        };
        let client = Client::new(&clients::once(&environment).map_err(DeadLetterError::Config)?);
        let listed = client.list_queues().queue_name_prefix(prefix).send().await.map_err(failed("ListQueues"))?;
        let is_dead = |url: &String| {
            let name = name_of(url);
            name.ends_with("-dead-letters") || name.ends_with("DeadLetters")
        };
        Ok(Self { client, urls: listed.queue_urls.unwrap_or_default().into_iter().filter(is_dead).collect() })
    }

    /// The one queue that is meant.
    fn one(&self, name: &str) -> Result<&str, DeadLetterError> {
        let exact = self.urls.iter().find(|url| name_of(url) == name);
        let lower = name.to_ascii_lowercase();
        let alike: Vec<&String> =
            self.urls.iter().filter(|url| name_of(url).to_ascii_lowercase().contains(&lower)).collect();
        match (exact, alike.as_slice()) {
            (Some(url), _) => Ok(url),
            (None, [url]) => Ok(url),
            (None, several) => Err(DeadLetterError::Ambiguous { name: name.to_owned(), count: several.len() }),
        }
    }

    async fn waiting(&self, url: &str) -> Result<(u64, u64), DeadLetterError> {
        let asked = self.client.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All);
        let attributes = asked.send().await.map_err(failed("GetQueueAttributes"))?.attributes.unwrap_or_default();
        let number = |name| attributes.get(&name).and_then(|count| count.parse().ok()).unwrap_or(0);
        Ok((
            number(QueueAttributeName::ApproximateNumberOfMessages),
            number(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
        ))
    }

    async fn receive(&self, url: &str, hidden_for_s: i32) -> Result<Vec<Message>, DeadLetterError> {
        let asked = self
            .client
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(BATCH_MAX)
            .visibility_timeout(hidden_for_s)
            .wait_time_seconds(WAIT_S)
            .message_system_attribute_names(MessageSystemAttributeName::All);
        Ok(asked.send().await.map_err(failed("ReceiveMessage"))?.messages.unwrap_or_default())
    }
}

async fn list(place: &Place) -> Result<(), DeadLetterError> {
    let letters = Letters::of(place).await?;
    say(&format!("{:<52} {:>8} {:>10}", "dead-letter queue", "waiting", "looked at"));
    let mut all = 0;
    for url in &letters.urls {
        let (visible, hidden) = letters.waiting(url).await?;
        all += visible + hidden;
        say(&format!("{:<52} {visible:>8} {hidden:>10}", name_of(url)));
    }
    say(if all == 0 {
        "Nothing was given up."
    } else {
        "Next: parkade dlq show <queue>, then mend the cause and redrive."
    });
    Ok(())
}

async fn show(place: &Place, queue: &str) -> Result<(), DeadLetterError> {
    let letters = Letters::of(place).await?;
    let url = letters.one(queue)?;
    let mut shown = 0;
    while shown < MESSAGES_MAX {
        let messages = letters.receive(url, SHOWN_FOR_S).await?;
        if messages.is_empty() {
            break;
        }
        shown += messages.len();
        messages.iter().for_each(|message| say(&told(message)));
    }
    say(&format!("{shown} messages of {}, out of sight for {SHOWN_FOR_S} s.", name_of(url)));
    Ok(())
}

async fn redrive(place: &Place, queue: &str, only: Option<&str>) -> Result<(), DeadLetterError> {
    let letters = Letters::of(place).await?;
    let url = letters.one(queue)?;
    let asked = letters.client.list_dead_letter_source_queues().queue_url(url).send().await;
    let sources = asked.map_err(failed("ListDeadLetterSourceQueues"))?.queue_urls;
    let source = match sources.as_slice() {
        [source] => source,
        [] => return Err(DeadLetterError::NoSource(name_of(url).to_owned())),
        _ => return Err(DeadLetterError::Sources(name_of(url).to_owned())),
    };
    let mut sent = 0;
    while sent < MESSAGES_MAX {
        let messages = letters.receive(url, REDRIVEN_FOR_S).await?;
        if messages.is_empty() {
            break;
        }
        for message in messages.iter().filter(|message| only.is_none_or(|id| message.message_id() == Some(id))) {
            let (Some(body), Some(receipt)) = (message.body(), message.receipt_handle()) else { continue };
            let send = letters.client.send_message().queue_url(source).message_body(body);
            send.send().await.map_err(failed("SendMessage"))?;
            let delete = letters.client.delete_message().queue_url(url).receipt_handle(receipt);
            delete.send().await.map_err(failed("DeleteMessage"))?;
            sent += 1;
            say(&told(message));
        }
    }
    say(&format!("{sent} messages went from {} back to {}.", name_of(url), name_of(source)));
    Ok(())
}

/// One message on one line: ids and what it is about, as far as it is an event of ours.
fn told(message: &Message) -> String {
    let body: Value = message.body().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default();
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or("–");
    let tries = message.attributes().and_then(|all| all.get(&MessageSystemAttributeName::ApproximateReceiveCount));
    let about =
        if body.pointer("/detail/payment_id").is_some() { "/detail/payment_id" } else { "/detail/reservation_id" };
    let (id, tries) = (message.message_id().unwrap_or("–"), tries.map_or("–", String::as_str));
    format!("{id}  {}  {}  {}  received {tries} times", text("/time"), text("/detail-type"), text(about))
}

fn name_of(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

fn failed<E: std::error::Error + Send + Sync + 'static>(operation: &'static str) -> impl FnOnce(E) -> DeadLetterError {
    move |error| DeadLetterError::Sqs(operation, Box::new(error))
}
