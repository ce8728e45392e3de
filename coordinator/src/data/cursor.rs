//! Where a page of data ends: its last key, as text that is opaque to clients (base64url without padding). A cursor needs no
//! state at the server and stays good while data comes and goes, because it names a place in the order of keys.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::DataKey;

/// Writes the cursor of the page that ends with this key.
#[must_use]
pub fn write(last: &DataKey) -> String {
    URL_SAFE_NO_PAD.encode(last.as_str())
}

/// Reads a cursor of pages of this prefix; `None` if the text is none.
#[must_use]
pub fn read(text: &str, prefix: &str) -> Option<DataKey> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    DataKey::parse(String::from_utf8(bytes).ok()?).ok().filter(|key| key.as_str().starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_what_it_writes_and_nothing_else() {
        let key = DataKey::parse("users/1").unwrap();
        assert_eq!(read(&write(&key), "users/"), Some(key.clone()));
        assert_eq!(read(&write(&key), "other/"), None);
        for wrong in ["", "=", "a", "_w", "dXNlcnM+", &format!("{}*", write(&key))] {
            assert_eq!(read(wrong, ""), None, "{wrong:?} was taken");
        }
    }
}
