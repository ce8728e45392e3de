//! Arbitrary bytes as a stranger would send them: first as a greeting, then as a stream of frames, then as the body of a frame
//! whose checksum is right, since no fuzzer finds checksums. What is decoded must read back as it was after encoding it again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use skein_runtime::transport::frame::replay;

fuzz_target!(|bytes: &[u8]| replay(bytes));
