//! What a reader can see of a text. A name or a tweet that is made of white space, of characters that are not drawn by themselves, or
//! of those that only change the direction of others, says nothing and can pass for another's, so that it is refused. The app asks the same
//! of what people type (`web/src/ui/visible.ts`); `visible.json` has texts that both must judge alike.

use std::sync::LazyLock;

use regex::Regex;
use regex_syntax::hir::{Class, HirKind};

/// A character that is drawn by itself: no white space, no control character, none that Unicode has programs ignore where they don't
/// know it (zero width, fillers, changes of direction, variation selectors, tags), no mark that is drawn only together with another
/// character, no noncharacter. The rest are empty by design: Braille without dots, annotation marks, the place of an object,
/// the musical null notehead, and the controls and blanks of Egyptian hieroglyphs.
const DRAWN: &str = concat!(
    r"[^\p{White_Space}\p{Cc}\p{Default_Ignorable_Code_Point}\p{M}\p{Noncharacter_Code_Point}",
    r"\x{2800}\x{FFF9}-\x{FFFC}\x{13430}-\x{13442}\x{1D159}]"
);

/// Whether there is anything to see.
#[must_use]
pub fn is_visible(text: &str) -> bool {
    static REGEX: LazyLock<Regex> = LazyLock::new(|| Regex::new(DRAWN).expect("a fixed expression"));
    REGEX.is_match(text)
}

/// The ranges of characters that are not drawn by themselves, in their order: for those who don't know Unicode's properties.
#[must_use]
pub fn not_drawn() -> Vec<(char, char)> {
    let drawn = regex_syntax::parse(DRAWN).expect("a fixed expression");
    let HirKind::Class(Class::Unicode(mut class)) = drawn.into_kind() else { panic!("the expression is one class") };
    class.negate();
    class.iter().map(|range| (range.start(), range.end())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts that are visible, and texts that are not.
    #[derive(serde::Deserialize)]
    struct Cases {
        visible: Vec<String>,
        invisible: Vec<String>,
    }

    #[test]
    fn what_the_app_refuses_is_refused_here_and_nothing_else() {
        let cases: Cases = serde_json::from_str(include_str!("visible.json")).unwrap();
        assert!(cases.visible.len() > 5 && cases.invisible.len() > 10);
        for text in cases.visible {
            assert!(is_visible(&text), "{text:?} was refused");
        }
        for text in cases.invisible {
            assert!(!is_visible(&text), "{text:?} was taken");
        }
    }
}
