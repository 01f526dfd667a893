//! `google.protobuf.Duration`, checked.

use std::time::Duration;

use leasehold_types::BadField;

/// A wire duration from a std one; what does not fit in `i64` seconds is the largest that does.
pub fn duration_from_std(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}

/// A wire duration from milliseconds.
pub fn duration_from_ms(ms: u64) -> prost_types::Duration {
    duration_from_std(Duration::from_millis(ms))
}

/// A std duration from a wire one.
///
/// # Errors
/// [`BadField`] naming `field` for a negative duration or nanoseconds outside a second.
pub fn std_from_duration(
    field: &'static str,
    duration: &prost_types::Duration,
) -> Result<Duration, BadField> {
    let complaint = || {
        let got = format!("{} s and {} ns", duration.seconds, duration.nanos);
        BadField::new(field, got, "a duration of zero or more, nanoseconds below a second")
    };
    let seconds = u64::try_from(duration.seconds).map_err(|_| complaint())?;
    match u32::try_from(duration.nanos) {
        Ok(nanos) if nanos < 1_000_000_000 => Ok(Duration::new(seconds, nanos)),
        _ => Err(complaint()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(seconds: i64, nanos: i32) -> Result<Duration, BadField> {
        std_from_duration("ttl", &prost_types::Duration { seconds, nanos })
    }

    #[test]
    fn a_duration_is_zero_or_more_and_its_nanoseconds_below_a_second() {
        assert_eq!(read(0, 0), Ok(Duration::ZERO));
        assert_eq!(read(2, 999_999_999), Ok(Duration::new(2, 999_999_999)));
        assert_eq!(read(i64::MAX, 0).map(|read| read.as_secs()), Ok(i64::MAX.unsigned_abs()));
        for (seconds, nanos) in [(-1, 0), (0, -1), (0, 1_000_000_000), (i64::MIN, i32::MIN)] {
            assert_eq!(read(seconds, nanos).expect_err("no duration").field, "ttl");
        }
    }

    #[test]
    fn a_duration_survives_its_message() {
        for duration in [Duration::ZERO, Duration::new(7, 1), Duration::from_millis(86_400_001)] {
            assert_eq!(std_from_duration("ttl", &duration_from_std(duration)), Ok(duration));
        }
        assert_eq!(duration_from_ms(1_500), duration_from_std(Duration::new(1, 500_000_000)));
    }
}
