//! See `sansio_sse_fuzz::last_event_id`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sansio_sse_fuzz::last_event_id(data));
