//! Amounts for people.

/// An amount of RAO in TAO (or a subnet's own coin), the billionfold; nothing is rounded.
pub fn tao(rao: u64) -> String {
    let (whole, rest) = (rao / 1_000_000_000, rao % 1_000_000_000);
    let digits = format!("{rest:09}");
    let digits = digits.trim_end_matches('0');
    if digits.is_empty() { whole.to_string() } else { format!("{whole}.{digits}") }
}

#[cfg(test)]
mod tests {
    use super::tao;

    #[test]
    fn amounts_are_exact() {
        assert_eq!([0, 1, 1_000_000_000, 1_234_500_000_000].map(tao), ["0", "0.000000001", "1", "1234.5"]);
        assert_eq!(tao(u64::MAX), "18446744073.709551615");
    }
}
