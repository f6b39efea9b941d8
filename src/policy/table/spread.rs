/// The most buckets that one rule stands in, unless its lists hold more names than that.
const MOST: usize = 64;

/// Which of three lists, of these lengths, to multiply: as many as stay within the bound, and of those the shortest.
pub(super) fn spread(lengths: [usize; 3]) -> [bool; 3] {
    let bound = lengths.iter().fold(0, |sum: usize, length| sum.saturating_add(*length)).max(MOST);
    let choices = (0..8).map(|left_out| [1, 2, 4].map(|bit| left_out & bit == 0));
    let buckets = |chosen: &[bool; 3]| {
        let lengths = lengths.iter().zip(chosen).filter(|(_, chosen)| **chosen);
        lengths.fold(1, |product: usize, (length, _)| product.saturating_mul(*length))
    };
    let best = choices.filter(|chosen| buckets(chosen) <= bound).min_by_key(|chosen| {
        let left_out = chosen.iter().filter(|chosen| !**chosen).count();
        (left_out, buckets(chosen))
    });
    best.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_multiply_up_to_a_bound_that_goes_by_what_they_hold() {
        for (lengths, expected) in [
            ([1, 1, 1], [true, true, true]),
            ([8, 8, 1], [true, true, true]),
            ([1, 50_000, 1], [true, true, true]),
            // Once too often: the two that come to fewer.
            ([5, 4, 4], [false, true, true]),
            ([9, 9, 1], [false, true, true]),
            ([9, 3, 9], [false, true, true]),
            ([40, 40, 40], [false, false, true]),
            ([1000, 2, 900], [false, true, true]),
            // An empty list never matches and stands nowhere.
            ([0, 1000, 1000], [true, true, true]),
        ] {
            let chosen = spread(lengths);
            let buckets = (0..3).filter(|at| chosen[*at]).fold(1_usize, |all, at| all.saturating_mul(lengths[at]));
            let bound = lengths.iter().fold(0_usize, |sum, length| sum.saturating_add(*length)).max(MOST);
            assert!(buckets <= bound, "{lengths:?}");
            assert_eq!(chosen, expected, "{lengths:?}");
        }
    }
}
