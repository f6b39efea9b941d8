#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| token_exchange_gateway::fuzzing::forwarding(data));
