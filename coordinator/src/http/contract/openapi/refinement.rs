//! What the handlers' types can't say of requests: the patterns of headers and texts, that a write of a transaction has either a value
//! or takes one away, and that a log-in has a password where people have one. The server refuses what the document calls wrong, and
//! takes what it calls right; `tests/contract` holds the two against each other.

use serde_json::json;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{Components, Object, OneOfBuilder, Schema, Type};

use crate::visible::not_drawn;

/// Entity tags with commas between them, or a star.
const ENTITY_TAGS: &str = r#"^(\*|(W/)?"[!#-~]*"([ \t]*,[ \t]*(W/)?"[!#-~]*")*)$"#;

/// A version as this server writes it.
const VERSION: &str = "^(0|[1-9][0-9]{0,18})$";

/// Visible ASCII characters.
const IDEMPOTENCY_KEY: &str = "^[!-~]+$";

/// The control characters that a name, of a person or a token, must not have.
const NOT_IN_NAME: &str = r"\u0000-\u001F\u007F-\u009F";

/// Those that the text of a tweet must not have, in which lines may break.
const NOT_IN_TEXT: &str = r"\u0000-\u0008\u000B-\u001F\u007F-\u009F";

/// The pattern of a text with none of these control characters and at least one character that is drawn: see `visible.rs`. The ranges
/// are written out, since not all readers of schemas know Unicode's properties. Those beyond U+FFFF stand as they are: no way to escape
/// them is known to all readers.
fn visible(controls: &str) -> String {
    let escaped = |end: char| if u32::from(end) < 0x1_0000 { format!("\\u{:04X}", u32::from(end)) } else { end.to_string() };
    let ranges = not_drawn().into_iter().map(|(first, last)| match first == last {
        true => escaped(first),
        false => format!("{}-{}", escaped(first), escaped(last)),
    });
    format!("^[^{controls}]*[^{}][^{controls}]*$", ranges.collect::<String>())
}

/// The forms that have such a text, which member it is, and which control characters it must not have.
const VISIBLE: [(&str, &str, &str); 3] =
    [("NewAccount", "name", NOT_IN_NAME), ("TokenForm", "name", NOT_IN_NAME), ("TweetText", "text", NOT_IN_TEXT)];

/// Says of the forms what their types don't.
pub fn refine(components: &mut Components) {
    for (name, member, controls) in VISIBLE {
        property(form(components, name), member).pattern = Some(visible(controls));
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
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    use regex::Regex;

    use super::*;
    use crate::accounts::field;
    use crate::tweets::check_text;

    /// All characters below U+10000, those around the ends of each range, and some that are drawn from all others.
    fn characters() -> impl Iterator<Item = char> {
        let ends = not_drawn().into_iter().flat_map(|(first, last)| [u32::from(first), u32::from(last)]);
        let around = ends.flat_map(|end| end.saturating_sub(1)..=end + 1);
        let mut random = StdRng::seed_from_u64(1);
        let others = (0..10_000).map(move |_| random.random_range(0x1_0000..=u32::from(char::MAX)));
        (0..0x1_0000).chain(around).chain(others).filter_map(char::from_u32)
    }

    #[test]
    fn the_patterns_of_texts_say_what_is_taken() {
        let [name, text] = [NOT_IN_NAME, NOT_IN_TEXT].map(|controls| Regex::new(&visible(controls)).unwrap());
        for character in characters() {
            for said in [character.to_string(), format!("a{character}"), format!("{character} \u{200b}")] {
                assert_eq!(name.is_match(&said), field::name(&said).is_none(), "a name of {said:?}");
                assert_eq!(text.is_match(&said), check_text(&said, 100).is_ok(), "a tweet of {said:?}");
            }
        }
        let tag = "\u{E0041}";
        assert!(!name.is_match(tag) && !text.is_match(tag));
    }
}
