//! Numbers as text: the same bytes on every machine, and never `NaN`.

use edgemaxx_contract::shown_text::decimals;

/// What an undefined number prints as.
pub(crate) const UNDEFINED: &str = "—";

/// `value` with `digits` decimals ([`decimals`]) and a true minus sign; [`UNDEFINED`] unless finite.
pub(crate) fn fixed(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return UNDEFINED.to_owned();
    }
    let text = decimals(value.abs(), digits);
    let zero = text.bytes().all(|b| matches!(b, b'0' | b'.'));
    if value < 0.0 && !zero { format!("−{text}") } else { text }
}

/// `value` through `format`, or [`UNDEFINED`].
pub(crate) fn optional(value: Option<f64>, format: impl Fn(f64) -> String) -> String {
    value.filter(|v| v.is_finite()).map_or_else(|| UNDEFINED.to_owned(), format)
}

/// `value` with about `digits` significant digits, never in exponent form.
pub(crate) fn significant(value: f64, digits: usize) -> String {
    if value == 0.0 || !value.is_finite() {
        return fixed(value, 0);
    }
    let magnitude = value.abs().log10().floor();
    let decimals = (digits as f64 - 1.0 - magnitude).clamp(0.0, 12.0);
    fixed(value, decimals as usize)
}

/// A speedup: `1.434×`.
pub(crate) fn speedup(value: f64) -> String {
    if !value.is_finite() {
        return UNDEFINED.to_owned();
    }
    let digits = if value.abs() >= 100.0 {
        0
    } else if value.abs() >= 10.0 {
        2
    } else {
        3
    };
    fixed(value, digits) + "×"
}

/// A share: `12.3%`.
pub(crate) fn percent(value: f64, digits: usize) -> String {
    if value.is_finite() { fixed(value * 100.0, digits) + "%" } else { UNDEFINED.to_owned() }
}

/// An interval; an open end prints as infinite.
pub(crate) fn interval(lower: Option<f64>, upper: Option<f64>, format: impl Fn(f64) -> String) -> String {
    let finite = |v: Option<f64>| v.filter(|v| v.is_finite());
    match (finite(lower), finite(upper)) {
        (None, None) => UNDEFINED.to_owned(),
        (Some(lower), None) => format!("≥ {}", format(lower)),
        (None, Some(upper)) => format!("≤ {}", format(upper)),
        (Some(lower), Some(upper)) => format!("{} … {}", format(lower), format(upper)),
    }
}

/// A duration given in milliseconds, in ms or s.
pub(crate) fn millis(value: f64) -> String {
    if !value.is_finite() {
        UNDEFINED.to_owned()
    } else if value.abs() >= 10_000.0 {
        significant(value / 1000.0, 4) + " s"
    } else {
        significant(value, 4) + " ms"
    }
}

/// Bytes in MiB or GiB.
pub(crate) fn bytes(value: u64) -> String {
    const MIB: f64 = 1_048_576.0;
    let mib = value as f64 / MIB;
    if mib >= 1024.0 { significant(mib / 1024.0, 4) + " GiB" } else { significant(mib, 4) + " MiB" }
}

/// A whole number with narrow spaces between groups of three digits.
pub(crate) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A coordinate: at most one decimal, no needless characters; 0 unless finite.
pub(crate) fn coordinate(value: f64) -> String {
    let tenths = if value.is_finite() { (value.clamp(-1e6, 1e6) * 10.0).round() as i64 } else { 0 };
    let (sign, whole, tenth) = (if tenths < 0 { "-" } else { "" }, tenths.abs() / 10, tenths.abs() % 10);
    if tenth == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{tenth}") }
}

/// A wall-clock time in UTC, to the minute. Days to civil date after Howard Hinnant's
/// `civil_from_days`.
pub(crate) fn utc(unix_ms: u64) -> String {
    let minutes = unix_ms / 60_000;
    let (days, minute) = ((minutes / 1440) as i64, minutes % 1440);
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", minute / 60, minute % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undefined_is_a_dash_and_zero_has_no_sign() {
        assert_eq!(fixed(f64::NAN, 2), "—");
        assert_eq!(speedup(f64::INFINITY), "—");
        assert_eq!(optional(Some(f64::NAN), speedup), "—");
        assert_eq!(interval(None, None, speedup), "—");
        assert_eq!(fixed(-0.001, 2), "0.00");
        assert_eq!(fixed(-1.25, 1), "−1.2");
        assert_eq!(coordinate(f64::NAN), "0");
    }

    #[test]
    fn numbers_are_short_and_exact() {
        assert_eq!(speedup(1.43449), "1.434×");
        assert_eq!(significant(0.012345, 3), "0.0123");
        assert_eq!(significant(1234.5, 3), "1234");
        assert_eq!(percent(-1.5e150, 2), "−1.5e152%", "nobody reads 150 digits");
        assert_eq!(millis(532.123), "532.1 ms");
        assert_eq!(millis(12_345.6), "12.35 s");
        assert_eq!(bytes(314_572_800), "300.0 MiB");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(coordinate(-3.17), "-3.2");
        assert_eq!(coordinate(12.0), "12");
        assert_eq!(interval(Some(1.4), Some(1.5), speedup), "1.400× … 1.500×");
    }

    #[test]
    fn time_is_utc() {
        // date -u -d @1795363380 '+%F %R'
        assert_eq!(utc(1_795_363_380_000), "2026-11-22 16:03 UTC");
        // date -u -d @951782400 '+%F %R'
        assert_eq!(utc(951_782_400_000), "2000-02-29 00:00 UTC");
    }
}
