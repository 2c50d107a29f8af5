//! See `sansio_sse_fuzz::streamable`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sansio_sse_fuzz::streamable(data));
