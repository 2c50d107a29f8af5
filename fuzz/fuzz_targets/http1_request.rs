//! See `sansio_sse_fuzz::http1_request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sansio_sse_fuzz::http1_request(data));
