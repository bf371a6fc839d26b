//! `strftime_now`: `datetime.now().strftime(format)` of Python.

use jiff::Zoned;
use jiff::civil::DateTime;
use jiff::fmt::strtime::{BrokenDownTime, Config};
use minijinja::{Error, ErrorKind};

/// Formats `now`, or this moment in the system's time zone (UTC where the system names none).
pub(super) fn strftime(format: &str, now: Option<DateTime>) -> Result<String, Error> {
    let now = now.unwrap_or_else(|| Zoned::now().datetime());
    // Python's `now()` has no zone, for which these two print nothing.
    let format = format.replace("%z", "").replace("%Z", "");
    BrokenDownTime::from(now)
        .to_string_with_config(&Config::new().lenient(true), &format)
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, format!("strftime_now(\"{format}\"): {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_python_writes_them() {
        let now = Some(jiff::civil::date(2025, 3, 7).at(9, 5, 2, 0));
        for (format, expected) in [
            ("%d %b %Y", "07 Mar 2025"),
            ("%Y-%m-%d", "2025-03-07"),
            ("%A, %B %-d, %Y", "Friday, March 7, 2025"),
            ("%H:%M:%S%z", "09:05:02"),
            ("%I %p %j %%", "09 AM 066 %"),
        ] {
            assert_eq!(strftime(format, now).unwrap(), expected);
        }
    }

    #[test]
    fn now_is_a_date() {
        let year = strftime("%Y", None).unwrap();
        assert!(year.len() == 4 && year.as_str() >= "2025", "{year}");
    }
}
