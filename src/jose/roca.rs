//! The test for RSA keys whose private key can be computed because a faulty library made them (ROCA, CVE-2017-15361).

/// The small primes of the test. The modulus of a weak key is a power of the generator modulo each of these primes.
const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109,
    113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];
const GENERATOR: u32 = 65537;

/// Returns whether a modulus, as big-endian bytes, is a power of 65537 modulo each of the small primes. For a key of a
/// correct library, the probability is about 1 in 100 million.
pub(super) fn is_weak(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|prime| {
        let rest = modulus.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime);
        let mut power = 1;
        loop {
            if power == rest {
                return true;
            }
            power = power * (GENERATOR % prime) % prime;
            if power == 1 {
                return false;
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_powers_of_the_generator_are_weak() {
        for weak in [1_u128, 65537, 65537_u128.pow(2), 65537_u128.pow(7)] {
            assert!(is_weak(&weak.to_be_bytes()), "{weak}");
        }
        for other in [0_u128, 2, 3, 65539, 65537_u128.pow(7) + 2, u128::MAX] {
            assert!(!is_weak(&other.to_be_bytes()), "{other}");
        }
    }
}
