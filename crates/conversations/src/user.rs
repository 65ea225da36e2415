//! The rule that says which names are the same user.

use std::ops::Deref;

use app_core::{http::Caller, values::TrimmedText};
use unicode_normalization::UnicodeNormalization;

/// The name of a user as a request has it, before [`User::named_by`] brings it into its form.
pub type UserName = TrimmedText<255>;

/// A user of the assistant: the subject of a token, or a name that the client knows, such as an email address.
///
/// Users compare byte for byte, in the rate limit and in the log. So that a person who is typed in several ways is one user, a name
/// is brought into one form when it comes in: trimmed, in lower case and in Unicode's NFC. A subject stays as the issuer spells it,
/// because subjects that differ only in case may be different people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User(UserName);

impl User {
    /// Returns the user with this subject.
    ///
    /// # Errors
    /// The problem, as the rest of a sentence that begins with the field's name.
    pub fn from_subject(subject: &str) -> Result<Self, String> {
        UserName::parse(subject).map(Self)
    }

    /// Returns the user with this name.
    ///
    /// # Errors
    /// The problem, as the rest of a sentence that begins with the field's name. In lower case, a name may be too long that was not
    /// before.
    pub fn from_name(name: &str) -> Result<Self, String> {
        // Normalizing megabytes would take seconds. A name of this length is refused as it is, because it is too long in any case.
        if name.len() > 16 * 1024 {
            return UserName::parse(name).map(Self);
        }
        let name: String = name.to_lowercase().nfc().collect();
        UserName::parse(&name).map(Self)
    }

    /// Returns the user whom a request of `caller` names, in its body or in a filter. If the caller has a token, `text` is a subject, so
    /// that administrators can name every user. Otherwise it is a name.
    ///
    /// # Errors
    /// The problem, as the rest of a sentence that begins with the field's name.
    pub fn named_by(caller: &Caller, text: &str) -> Result<Self, String> {
        if caller.subject().is_some() { Self::from_subject(text) } else { Self::from_name(text) }
    }

    pub fn into_inner(self) -> String {
        self.0.into_inner()
    }
}

impl Deref for User {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_form() {
        for (sent, kept) in [
            (" Tech@Example.com\n", "tech@example.com"),
            ("JOSÉ.R@x", "josé.r@x"),
            ("Jose\u{301}.R@x", "josé.r@x"),
            ("Jose.R@x", "jose.r@x"),
            ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
        ] {
            let user = User::from_name(sent).unwrap();
            assert_eq!(&*user, kept, "{sent:?}");
            assert_eq!(User::from_name(kept), Ok(user), "{sent:?}");
        }
        for sent in ["", " \t ", "a\0b", &"x".repeat(256), &"İ".repeat(128)] {
            assert!(User::from_name(sent).is_err(), "{sent:?}");
        }
        assert!(User::from_name(&"É".repeat(255)).is_ok());
    }

    #[test]
    fn callers_with_a_token_name_subjects_and_others_names() {
        let named = |caller: Caller| User::named_by(&caller, " Ab-É ").unwrap().into_inner();
        assert_eq!(named(Caller::verified("eve", Ok(()))), "Ab-É");
        assert_eq!(named(Caller::unknown()), "ab-é");
        assert_eq!(named(Caller::behind_proxy()), "ab-é");
    }
}
