#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| docyard_fuzz::recipient_csv(data));
