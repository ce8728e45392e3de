//! What the handlers' types can't say of requests: the patterns of headers and texts, that a write of a transaction has either a value
//! or takes one away, and that a log-in has a password where people have one. The server refuses what the document calls wrong, and
//! takes what it calls right; `tests/contract` holds the two against each other.

use serde_json::json;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{Components, Object, OneOfBuilder, Schema, Type};

/// Entity tags with commas between them, or a star.
const ENTITY_TAGS: &str = r#"^(\*|(W/)?"[!#-~]*"([ \t]*,[ \t]*(W/)?"[!#-~]*")*)$"#;

/// A version as this server writes it.
const VERSION: &str = "^(0|[1-9][0-9]{0,18})$";

/// Visible ASCII characters.
const IDEMPOTENCY_KEY: &str = "^[!-~]+$";

/// A text with no control characters and at least one character that is drawn: see `visible.rs`. The same rule is written out for
/// all characters below U+10000, since not all readers of schemas know Unicode's properties; `$others` are the control characters
/// that the text must not have.
macro_rules! visible {
    ($others:literal) => {
        concat!(
            "^[^",
            $others,
            "]*[^",
            r"\u0000-\u0020\u007F-\u00A0\u00AD\u034F\u061C\u115F\u1160\u1680\u17B4\u17B5\u180B-\u180F\u2000-\u200F",
            r"\u2028-\u202F\u205F-\u206F\u2800\u3000\u3164\uFE00-\uFE0F\uFEFF\uFFA0\uFFF0-\uFFFB",
            "][^",
            $others,
            "]*$"
        )
    };
}

/// A name, of a person or a token.
const NAME: &str = visible!(r"\u0000-\u001F\u007F-\u009F");

/// The text of a tweet, in which lines may break.
const TEXT: &str = visible!(r"\u0000-\u0008\u000B-\u001F\u007F-\u009F");

/// The forms that have such a text, and which member it is.
const VISIBLE: [(&str, &str, &str); 3] = [("NewAccount", "name", NAME), ("TokenForm", "name", NAME), ("TweetText", "text", TEXT)];

/// Says of the forms what their types don't.
pub fn refine(components: &mut Components) {
    for (name, member, pattern) in VISIBLE {
        property(form(components, name), member).pattern = Some(pattern.to_owned());
    }
    if let Some(RefOr::T(Schema::OneOf(expectation))) = components.schemas.get_mut("Expectation") {
        for kind in &mut expectation.items {
            if let RefOr::T(Schema::Object(kind)) = kind
                && kind.properties.contains_key("version")
            {
                property(kind, "version").pattern = Some(VERSION.to_owned());
            }
        }
    }
    let write = form(components, "WriteForm").clone();
    let kind = |without: Option<&str>, required: &str, deletes: bool| {
        let mut kind = write.clone();
        kind.description = None;
        without.map(|member| kind.properties.remove(member));
        kind.required = vec!["key".to_owned(), required.to_owned()];
        property(&mut kind, "delete").enum_values = Some(vec![json!(deletes)]);
        kind
    };
    let either = OneOfBuilder::new().item(kind(None, "value", false)).item(kind(Some("value"), "delete", true));
    let either = either.description(write.description.clone());
    components.schemas.insert("WriteForm".to_owned(), Schema::from(either.build()).into());
}

/// Where people log in by password, a log-in requires one.
pub fn require_password(components: &mut Components) {
    let credentials = form(components, "Credentials");
    credentials.required.push("password".to_owned());
    property(credentials, "password").schema_type = Type::String.into();
}

/// The pattern of a header's value.
pub fn of_header(name: &str) -> Option<&'static str> {
    match name {
        "If-Match" | "If-None-Match" => Some(ENTITY_TAGS),
        "Idempotency-Key" => Some(IDEMPOTENCY_KEY),
        _ => None,
    }
}

/// The schema of a form.
fn form<'a>(components: &'a mut Components, name: &str) -> &'a mut Object {
    match components.schemas.get_mut(name) {
        Some(RefOr::T(Schema::Object(form))) => form,
        _ => panic!("{name} is no form"),
    }
}

/// The schema of a member of a form.
fn property<'a>(form: &'a mut Object, name: &str) -> &'a mut Object {
    match form.properties.get_mut(name) {
        Some(RefOr::T(Schema::Object(property))) => property,
        _ => panic!("{name} is no plain member"),
    }
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;
    use crate::accounts::field;
    use crate::tweets::check_text;

    #[test]
    fn the_patterns_of_texts_say_what_is_taken() {
        let (name, text) = (Regex::new(NAME).unwrap(), Regex::new(TEXT).unwrap());
        for character in (0..0x1_0000).filter_map(char::from_u32) {
            for said in [character.to_string(), format!("a{character}"), format!("{character} \u{200b}")] {
                assert_eq!(name.is_match(&said), field::name(&said).is_none(), "a name of {said:?}");
                assert_eq!(text.is_match(&said), check_text(&said, 100).is_ok(), "a tweet of {said:?}");
            }
        }
    }
}
