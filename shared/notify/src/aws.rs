//! SES for e-mail, SNS for texts. The clients must not repeat a request by themselves: a message whose answer was lost would be sent twice.

use std::error::Error;

use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message as SesMessage};
use aws_sdk_sns::types::MessageAttributeValue;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::SdkConfig;
use parkade_domain::contact::{EmailAddress, PhoneNumber};

use crate::port::{Message, Notifier, SendError};
use crate::render::Mail;

const UTF_8: &str = "UTF-8";
/// SNS then takes the route that loses the fewest, and wakes nobody with an advertisement's sender.
const SMS_TYPE: (&str, &str) = ("AWS.SNS.SMS.SMSType", "Transactional");
/// Answers that are about the recipient: nobody else can do anything about them.
const NO_RECIPIENT: [&str; 4] =
    ["BadRequestException", "InvalidParameter", "InvalidParameterException", "InvalidParameterValueException"];

/// SES and SNS.
#[derive(Debug, Clone)]
pub struct AwsNotifier {
    ses: aws_sdk_sesv2::Client,
    sns: aws_sdk_sns::Client,
    from: Option<String>,
}

impl AwsNotifier {
    /// Clients of a configuration that tries once; `from` is the verified address that e-mails come from, none if there are no e-mails.
    #[must_use]
    pub fn new(config: &SdkConfig, from: Option<String>) -> Self {
        Self { ses: aws_sdk_sesv2::Client::new(config), sns: aws_sdk_sns::Client::new(config), from }
    }

    async fn email(&self, to: &EmailAddress, mail: &Mail) -> Result<(), SendError> {
        let Some(from) = &self.from else {
            return Err(SendError::Undeliverable { cause: "e-mail is switched off".to_owned() });
        };
        let content = |data: &str| Content::builder().data(data).charset(UTF_8).build().map_err(unbuilt);
        let body = Body::builder().text(content(&mail.text)?).html(content(&mail.html)?).build();
        let message = SesMessage::builder().subject(content(&mail.subject)?).body(body).build();
        let request = self
            .ses
            .send_email()
            .from_email_address(from)
            .destination(Destination::builder().to_addresses(to.as_str()).build())
            .content(EmailContent::builder().simple(message).build());
        request.send().await.map(drop).map_err(|error| classify(&error))
    }

    async fn text(&self, to: &PhoneNumber, text: &str) -> Result<(), SendError> {
        let kind = MessageAttributeValue::builder().data_type("String").string_value(SMS_TYPE.1);
        let request = self
            .sns
            .publish()
            .phone_number(to.as_str())
            .message(text)
            .message_attributes(SMS_TYPE.0, kind.build().map_err(unbuilt)?);
        request.send().await.map(drop).map_err(|error| classify(&error))
    }
}

impl Notifier for AwsNotifier {
    async fn send(&self, _: &str, message: &Message) -> Result<(), SendError> {
        match message {
            Message::Email { to, mail } => self.email(to, mail).await,
            Message::Text { to, text } => self.text(to, text).await,
        }
    }
}

fn unbuilt(_: aws_smithy_types::error::operation::BuildError) -> SendError {
    SendError::NotSent { cause: "the request cannot be built".to_owned() }
}

/// What an answer says about the message. Only the provider's code is kept: its sentences repeat addresses.
fn classify<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> SendError {
    match error {
        SdkError::ServiceError(service) => {
            let cause = service.err().code().unwrap_or("no code").to_owned();
            if NO_RECIPIENT.contains(&cause.as_str()) {
                SendError::Undeliverable { cause }
            } else if service.raw().status().is_client_error() {
                SendError::NotSent { cause }
            } else {
                SendError::Unknown { cause }
            }
        }
        SdkError::ConstructionFailure(_) => SendError::NotSent { cause: "the request cannot be built".to_owned() },
        SdkError::DispatchFailure(failure)
            if failure.as_connector_error().is_some_and(|error| never_connected(error)) =>
        {
            SendError::NotSent { cause: "no connection".to_owned() }
        }
        _ => SendError::Unknown { cause: "no answer".to_owned() },
    }
}

/// Whether the request cannot have left, because there was no connection for it.
fn never_connected(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let http = error.downcast_ref::<hyper_util::client::legacy::Error>();
        if http.is_some_and(hyper_util::client::legacy::Error::is_connect) {
            return true;
        }
        cause = error.source();
    }
    false
}
