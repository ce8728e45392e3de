//! Whether the bytes of a head are such that the HTTP library takes them. The library answers a head that it can't read with a
//! status alone, so each one is looked at before, by the same parser, and a fault is told like every other: with the field, what is
//! wrong, and the bound. What tells where the body ends is looked at here, too, since the library decides on it by itself.

use http::Uri;
use httparse::{EMPTY_HEADER, Error, Header, Request, Status};

use super::head::{Fault, HEADER_BYTES_MAX, HEADERS_MAX, Refused, URI_BYTES_MAX};

/// Bytes of a head that are kept until it is whole: more than [`super::head`] allows, so that the fault is told precisely as long as
/// it is not far beyond the bounds.
pub const HEAD_BYTES_MAX: usize = 32 * 1024;

/// Checks a whole head, from the first byte to the empty line at its end.
///
/// # Errors
/// The first fault, naming the field and the bound.
pub fn check(head: &[u8]) -> Result<(), Refused> {
    let mut lines = [EMPTY_HEADER; HEADERS_MAX];
    let mut request = Request::new(&mut lines);
    match request.parse(head) {
        Ok(Status::Complete(length)) if length == head.len() => {}
        Ok(_) => return Err(Refused::malformed("headers", "they must end with an empty line")),
        Err(error) => return Err(fault(head, error)),
    }
    target(request.path.unwrap_or_default())?;
    length(request.version == Some(1), request.headers)
}

/// Checks the first bytes of a head. So one who speaks another protocol is told at once, and does not wait for the end of a head
/// that never comes.
///
/// # Errors
/// The fault, if it shows already.
pub fn check_beginning(bytes: &[u8]) -> Result<(), Refused> {
    let mut lines = [EMPTY_HEADER; HEADERS_MAX];
    let parsed = Request::new(&mut lines).parse(bytes);
    parsed.map(|_| ()).map_err(|error| fault(bytes, error))
}

/// What to say of a head that is longer than [`HEAD_BYTES_MAX`], of which this is the beginning.
pub fn too_long(beginning: &[u8]) -> Refused {
    let in_first_line = !beginning.trim_ascii_start().contains(&b'\n');
    let (fault, field, bound, what) = match in_first_line {
        true => (Fault::UriTooLong, "path", URI_BYTES_MAX, "bytes"),
        false => (Fault::HeadersTooLong, "headers", HEADER_BYTES_MAX, "bytes of names and values"),
    };
    Refused { fault, field, detail: format!("at most {bound} {what} are taken"), bound: Some(bound as u64) }
}

/// Finds the place of what the parser has found.
fn fault(head: &[u8], error: Error) -> Refused {
    if error == Error::TooManyHeaders {
        let (fault, bound) = (Fault::HeadersTooLong, Some(HEADERS_MAX as u64));
        return Refused { fault, field: "headers", detail: format!("at most {HEADERS_MAX} lines are taken"), bound };
    }
    let mut lines = head.trim_ascii_start().split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    if first.split(|byte| *byte == b' ').count() == 3 && error == Error::Version {
        return Refused::malformed("version", "must be HTTP/1.1 or HTTP/1.0");
    }
    if Request::new(&mut []).parse(&[first, b"\n\n"].concat()).is_ok() {
        for (at, line) in lines.enumerate() {
            if let Some(wrong) = wrong_in(line) {
                return Refused::malformed("headers", &format!("line {}: {wrong}", at + 1));
            }
        }
    }
    let detail = "must be a method, a target and HTTP/1.1, with a space between each two and no control characters";
    Refused::malformed("request line", detail)
}

/// What is wrong with one line of a header.
fn wrong_in(line: &[u8]) -> Option<&'static str> {
    let mut one = [EMPTY_HEADER];
    match httparse::parse_headers(&[line, b"\n\n"].concat(), &mut one) {
        Ok(_) => None,
        Err(Error::HeaderName) => {
            Some("it must begin with a name of letters, digits and !#$%&'*+-.^_`|~, with a colon right behind it")
        }
        Err(_) => Some("its value must not have control characters other than tab"),
    }
}

fn target(target: &str) -> Result<(), Refused> {
    if target.contains('#') {
        return Err(Refused::malformed("target", "it must not have a fragment"));
    }
    match target.parse::<Uri>() {
        Ok(_) => Ok(()),
        Err(_) => Err(Refused::malformed("target", "must be a path with or without a query, or an address with http or https")),
    }
}

/// A body comes as it is, with one length, or in chunks; no other coding is taken.
fn length(in_chunks_allowed: bool, headers: &[Header<'_>]) -> Result<(), Refused> {
    let values =
        |name: &'static str| headers.iter().filter(move |line| line.name.eq_ignore_ascii_case(name)).map(|line| line.value);
    let mut codings = values("transfer-encoding");
    let in_chunks = match (codings.next(), codings.next()) {
        (None, _) => false,
        (Some(value), None) if value.eq_ignore_ascii_case(b"chunked") && in_chunks_allowed => true,
        _ => return Err(Refused::malformed("Transfer-Encoding", "must be absent or exactly chunked, which needs HTTP/1.1")),
    };
    let mut first = None;
    for value in values("content-length") {
        let digits = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let length = digits.and_then(|digits| digits.parse::<u64>().ok());
        if length.is_none() || in_chunks || *first.get_or_insert(length) != length {
            return Err(Refused::malformed("Content-Length", "must be one number, and absent where there is Transfer-Encoding"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(head: &str) -> Option<&'static str> {
        check(head.as_bytes()).err().map(|refused| refused.field)
    }

    fn of(lines: &str) -> Option<&'static str> {
        wrong(&format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"))
    }

    #[test]
    fn a_body_comes_in_chunks_or_as_it_is() {
        for lines in
            ["", "Transfer-Encoding: Chunked\r\n", "Content-Length: 1\r\n", "Content-Length: 1\r\nContent-Length: 01\r\n"]
        {
            assert_eq!(of(lines), None, "{lines:?}");
        }
        for coding in ["gzip, chunked", "chunked\r\nTransfer-Encoding: chunked", "chunked, chunked", "identity", "gzip", ""] {
            assert_eq!(of(&format!("transfer-encoding: {coding}\r\n")), Some("Transfer-Encoding"), "{coding:?}");
        }
        assert_eq!(wrong("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), Some("Transfer-Encoding"));
        for length in
            ["1\r\nContent-Length: 2", "-1", "+1", "1, 1", "x", "", "99999999999999999999", "1\r\nTransfer-Encoding: chunked"]
        {
            assert_eq!(of(&format!("Content-Length: {length}\r\n")), Some("Content-Length"), "{length:?}");
        }
    }

    #[test]
    fn what_the_parser_finds_is_told_with_its_place() {
        let said = |head: &[u8]| check(head).map_err(|refused| (refused.field, refused.detail)).unwrap_err();
        for (line, place) in
            [("Two Words: x", "line 2"), ("X : y", "line 2"), (" folded", "line 2"), ("no colon", "line 2"), (": x", "line 2")]
        {
            let (field, detail) = said(format!("GET / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n").as_bytes());
            assert!(field == "headers" && detail.starts_with(place) && detail.contains("colon"), "{line:?}: {field}: {detail}");
        }
        let (field, detail) = said(b"\r\nGET / HTTP/1.1\nHost: a\nX: a\0b\n\n");
        assert!(field == "headers" && detail.starts_with("line 2") && detail.contains("control"), "{field}: {detail}");
        for line in ["GET / HTTP/2.0", "GET / HTTP/9.9", "PRI * HTTP/2.0", "GET / http/1.1"] {
            assert_eq!(said(format!("{line}\r\n\r\n").as_bytes()).0, "version", "{line:?}");
        }
        for line in ["GET /", "/ HTTP/1.1", "G\u{e4}T / HTTP/1.1", "GET /a b HTTP/1.1", "GET  / HTTP/1.1", "GET /\u{1} HTTP/1.1"]
        {
            assert_eq!(said(format!("{line}\r\nHost: a\r\n\r\n").as_bytes()).0, "request line", "{line:?}");
        }
        for target in ["/a#b", "/?a#", "http://a:b:c/", "http:///"] {
            assert_eq!(wrong(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")), Some("target"), "{target}");
        }
        let many: String = (0..=HEADERS_MAX).map(|number| format!("X-{number}: y\r\n")).collect();
        let refused = check(format!("GET / HTTP/1.1\r\n{many}\r\n").as_bytes()).unwrap_err();
        assert_eq!((refused.fault, refused.bound), (Fault::HeadersTooLong, Some(HEADERS_MAX as u64)));
    }

    #[test]
    fn another_protocol_shows_in_its_first_bytes() {
        for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"SKEIN\n\x01", b"\r\n\r\n\0\0"] {
            assert_eq!(check_beginning(bytes).unwrap_err().field, "request line");
        }
        for bytes in [&b""[..], b"G", b"GET / HTT", b"GET / HTTP/1.1\r\nHos", b"\r\n"] {
            assert_eq!(check_beginning(bytes), Ok(()));
        }
        assert_eq!(too_long(b"\r\nGET /aaaa").field, "path");
        assert_eq!(too_long(b"\r\nGET / HTTP/1.1\r\nX: aaaa").field, "headers");
    }
}
