//! A field as a client sent it, and what was wrong with the fields of a form.

use std::borrow::Cow;

/// Why a text is not the word it was meant to be: a sentence for the person who typed it.
pub type Refusal = Cow<'static, str>;

/// One field of a form, before anyone has looked at it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Field {
    /// It was not sent.
    #[default]
    Missing,
    /// It was sent as `null`.
    Null,
    /// It was sent as text.
    Text(String),
    /// It was sent as a number, a list or anything else that is not text.
    Other,
}

impl Field {
    /// The text that has to be there. The sentences are the ones Django's forms have.
    pub fn required(self) -> Result<String, Refusal> {
        match self {
            Self::Missing => Err("This field is required.".into()),
            Self::Null => Err("This field may not be null.".into()),
            Self::Text(text) if text.is_empty() => Err("This field may not be blank.".into()),
            Self::Text(text) => Ok(text),
            Self::Other => Err("Not a valid string.".into()),
        }
    }

    /// The text if there is one; `null` and an empty text count as none.
    pub fn optional(self) -> Result<Option<String>, Refusal> {
        match self {
            Self::Missing | Self::Null => Ok(None),
            Self::Text(text) if text.is_empty() => Ok(None),
            Self::Text(text) => Ok(Some(text)),
            Self::Other => Err("Not a valid string.".into()),
        }
    }

    /// Whether something was sent, even if it was empty or of the wrong type.
    pub fn is_present(&self) -> bool {
        !matches!(self, Self::Missing | Self::Null)
    }
}

impl From<&str> for Field {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Option<String>> for Field {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Missing, Self::Text)
    }
}

/// All that is wrong with a form, by field, in the order found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<(&'static str, Vec<Refusal>)>);

impl Problems {
    /// Nothing wrong yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One thing wrong with one field.
    pub fn of(field: &'static str, refusal: impl Into<Refusal>) -> Self {
        let mut problems = Self::new();
        problems.add(field, refusal);
        problems
    }

    /// Notes one more thing that is wrong with the field.
    pub fn add(&mut self, field: &'static str, refusal: impl Into<Refusal>) {
        let refusal = refusal.into();
        match self.0.iter_mut().find(|(name, _)| *name == field) {
            Some((_, refusals)) => refusals.push(refusal),
            None => self.0.push((field, vec![refusal])),
        }
    }

    /// The value, or a note of why there is none.
    pub fn take<T>(&mut self, field: &'static str, value: Result<T, Refusal>) -> Option<T> {
        value.map_err(|refusal| self.add(field, refusal)).ok()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fields with their sentences.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &[Refusal])> {
        self.0.iter().map(|(field, all)| (*field, all.as_slice()))
    }

    /// The first sentence, for clients that show only one; it names its field where the sentence
    /// by itself would not make sense.
    pub fn summary(&self) -> String {
        match self.0.first() {
            None => String::new(),
            Some((field, refusals)) => {
                let first = refusals.first().map_or("", AsRef::as_ref);
                if first.starts_with("This field") || first.starts_with("Not a valid") {
                    format!("{field}: {first}")
                } else {
                    first.to_owned()
                }
            }
        }
    }
}
