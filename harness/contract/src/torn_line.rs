//! What is done with a torn last line of a log, one without its line feed: a crash cut it off, or it is still being
//! written. It counts nowhere, and whoever goes on with the log cuts it off.

/// How many bytes of a log its whole lines are; what follows is a torn last line.
pub fn whole_lines(log: impl AsRef<[u8]>) -> usize {
    log.as_ref().iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_its_end_is_none() {
        for (log, whole) in [("", 0), ("{}", 0), ("{}\n", 3), ("{}\n{", 3), ("{}\n{}\n", 6), ("\n", 1)] {
            assert_eq!(whole_lines(log), whole, "{log:?}");
        }
        assert_eq!(whole_lines(&"{}\nä".as_bytes()[..4]), 3, "torn within a letter");
    }
}
