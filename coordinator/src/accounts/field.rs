//! The bounds of what people tell about themselves. Each check names the field and its bound, and all fields are checked
//! before anything is answered, so that a form can show every mistake at once.

use crate::field::FieldError;
use crate::visible::is_visible;

/// Characters of a username.
pub const USERNAME_MAX: usize = 32;
/// Unicode scalar values of a name.
pub const NAME_MAX: usize = 64;
/// Bytes of an email address (RFC 5321, section 4.5.3.1.3).
pub const EMAIL_MAX: usize = 254;
/// Unicode scalar values of a password at the least.
pub const PASSWORD_MIN: usize = 8;
/// Unicode scalar values of a password at the most: hashing time must not grow with what a stranger sends.
pub const PASSWORD_MAX: usize = 256;

/// Checks a username: 1 to 32 of `a-z A-Z 0-9 _ . -`.
#[must_use]
pub fn username(text: &str) -> Option<FieldError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let fits = (1..=USERNAME_MAX).contains(&text.chars().count()) && text.chars().all(allowed);
    (!fits).then(|| FieldError {
        field: "username".into(),
        detail: format!("a username has 1 to {USERNAME_MAX} of the characters a-z A-Z 0-9 _ . -"),
        bound: Some(USERNAME_MAX as u64),
    })
}

/// Checks a name as shown to others.
#[must_use]
pub fn name(text: &str) -> Option<FieldError> {
    let fits = is_visible(text) && text.chars().count() <= NAME_MAX && !text.chars().any(char::is_control);
    (!fits).then(|| FieldError {
        field: "name".into(),
        detail: format!("a name has 1 to {NAME_MAX} characters, at least one of them visible and none a control character"),
        bound: Some(NAME_MAX as u64),
    })
}

/// Checks the form of an email address; only a message that arrives could check more.
#[must_use]
pub fn email(text: &str) -> Option<FieldError> {
    let parts = text.rsplit_once('@');
    let fits = text.len() <= EMAIL_MAX
        && !text.chars().any(|c| c.is_whitespace() || c.is_control())
        && parts.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !local.contains('@'));
    (!fits).then(|| FieldError {
        field: "email".into(),
        detail: format!("an email address has the form local@domain, without white space, and at most {EMAIL_MAX} bytes"),
        bound: Some(EMAIL_MAX as u64),
    })
}

/// Checks a new password.
#[must_use]
pub fn password(text: &str) -> Option<FieldError> {
    let characters = text.chars().count();
    let (detail, bound) = if characters < PASSWORD_MIN {
        (format!("a password has at least {PASSWORD_MIN} characters"), PASSWORD_MIN)
    } else if characters > PASSWORD_MAX {
        (format!("a password has at most {PASSWORD_MAX} characters"), PASSWORD_MAX)
    } else {
        return None;
    };
    Some(FieldError { field: "password".into(), detail, bound: Some(bound as u64) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usernames_have_the_promised_characters_and_length() {
        for right in ["a", "Z.9_-", &"x".repeat(USERNAME_MAX)] {
            assert_eq!(username(right), None);
        }
        for wrong in ["", "a b", "\u{e4}", "a/b", "a\0", &"x".repeat(USERNAME_MAX + 1)] {
            assert_eq!(username(wrong).map(|error| error.field), Some("username".into()), "{wrong:?} was taken");
        }
    }

    #[test]
    fn an_email_address_has_two_parts() {
        assert_eq!(email("ann@example.org"), None);
        for wrong in ["", "ann", "@", "ann@", "@example.org", "a b@example.org", "a@b@c", &format!("{}@x", "a".repeat(254))] {
            assert!(email(wrong).is_some(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn names_and_passwords_keep_their_bounds() {
        assert_eq!(name(&"n".repeat(NAME_MAX)), None);
        assert!(name(" \u{200b}\u{202e}").is_some() && name("a\nb").is_some() && name(&"n".repeat(NAME_MAX + 1)).is_some());
        assert_eq!(password("12345678"), None);
        assert_eq!(password(&"\u{1f9f6}".repeat(PASSWORD_MAX)), None);
        assert!(password("123456\u{1f9f6}").is_some() && password(&"p".repeat(PASSWORD_MAX + 1)).is_some());
    }
}
