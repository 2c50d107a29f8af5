//! See `sansio_sse_fuzz::event_stream`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sansio_sse_fuzz::event_stream(data));
