//! Where a page of records ends whose keys end with an id in the order of time: that id, as text that is opaque to clients
//! (base64url without padding). A cursor needs no state at the server and stays good while records come and go, because it names
//! a place in the order of keys and not a row.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

/// Writes the cursor of the page that ends with this id.
#[must_use]
pub fn write(last: Uuid) -> String {
    URL_SAFE_NO_PAD.encode(last.as_bytes())
}

/// Reads a cursor; `None` if the text is none.
#[must_use]
pub fn read(text: &str) -> Option<Uuid> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    Uuid::from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_what_it_writes_and_nothing_else() {
        let id = Uuid::now_v7();
        assert_eq!(read(&write(id)), Some(id));
        for wrong in ["", "x", "AAAA", "====", "AZqYdxl-dmC7Wq8nnIxZ+Q", &format!("{}A", write(id))] {
            assert_eq!(read(wrong), None, "{wrong:?} was taken");
        }
    }
}
