//! However a connection's bytes are cut, the same requests come out of them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use libprocess::real::fuzzing::requests;

fuzz_target!(|bytes: &[u8]| {
    let (whole, whole_broke) = requests(bytes, usize::MAX);
    for size in [1, 3, 7] {
        let (pieces, broke) = requests(bytes, size);
        assert_eq!(whole, pieces);
        // A head that is too long shows only once it is too long.
        assert!(whole_broke || !broke || bytes.len() > 4096);
    }
});
