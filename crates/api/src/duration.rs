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
