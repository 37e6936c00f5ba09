//! Messages as files in a folder: what a laptop does instead of sending.

use std::path::{Path, PathBuf};

use mail_builder::MessageBuilder;
use thiserror::Error;

use crate::port::{Message, Notifier, SendError};

/// Who the messages say they come from.
const FROM: (&str, &str) = ("Parkade", "parkade@localhost");

/// The folder cannot be used.
#[derive(Debug, Error)]
#[error("the folder of messages cannot be made")]
pub struct FilesError(#[source] std::io::Error);

/// A folder with a file a message: `<event id>.eml` or `<event id>.txt`.
#[derive(Debug, Clone)]
pub struct Files {
    folder: PathBuf,
}

impl Files {
    /// A folder, made if it is not there.
    ///
    /// # Errors
    /// [`FilesError`] if it cannot be made.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, FilesError> {
        let folder = folder.into();
        std::fs::create_dir_all(&folder).map_err(FilesError)?;
        Ok(Self { folder })
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn write(&self, id: &str, message: &Message) -> std::io::Result<()> {
        let name = safe(id);
        let (file, bytes) = match message {
            Message::Email { to, mail } => {
                let eml = MessageBuilder::new()
                    .from(FROM)
                    .to(to.as_str())
                    .subject(mail.subject.as_str())
                    .message_id(format!("{name}@localhost"))
                    .text_body(mail.text.as_str())
                    .html_body(mail.html.as_str());
                (format!("{name}.eml"), eml.write_to_vec()?)
            }
            Message::Text { to, text } => {
                (format!("{name}.txt"), format!("To: {}\n\n{text}\n", to.as_str()).into_bytes())
            }
        };
        // Whole or not at all, for whoever watches the folder.
        let draft = self.folder.join(format!("{name}.draft"));
        std::fs::write(&draft, bytes)?;
        std::fs::rename(draft, self.folder.join(file))
    }
}

impl Notifier for Files {
    async fn send(&self, id: &str, message: &Message) -> Result<(), SendError> {
        self.write(id, message).map_err(|error| SendError::NotSent { cause: error.kind().to_string() })
    }
}

/// An id as a file's name: whatever else it has becomes `-`.
fn safe(id: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    id.chars().map(|c| if allowed(c) { c } else { '-' }).collect()
}
