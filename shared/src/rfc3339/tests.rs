//! Times written and read.

use super::*;

#[test]
fn moments_are_written_in_beijing_time_and_read_in_any() {
    let moment = Timestamp::from_unix_seconds(1_699_261_011);
    assert_eq!(format(moment), "2023-11-06T16:56:51+08:00");
    assert_eq!(format_utc(moment), "2023-11-06T08:56:51Z");
    for text in [
        "2023-11-06T16:56:51+08:00",
        "2023-11-06T08:56:51Z",
        "2023-11-06T08:56:51.999+00:00",
        "2023-11-06t16:56:51+08:00",
        "2023-11-06t08:56:51z",
        "2023-11-06 16:56:51+08:00",
    ] {
        assert_eq!(parse(text), Some(moment), "{text}");
    }
    for text in [
        "",
        "1699261011",
        "2023-11-06",
        "2023-11-06T16:56:51",
        "2023-13-06T16:56:51+08:00",
        "2023-11-06X16:56:51+08:00",
        "2023-11-06_16:56:51+08:00",
        "2023-11-06\u{a0}16:56:51+08:00",
        "2023-11-0616:56:51+08:00",
        "2023-11-06-16:56:51+08:00",
        "2023-11-06\n16:56:51+08:00",
        "2023-11-06Ｔ16:56:51+08:00",
        "2023-11-06T16.56.51+08:00",
        "2023_11_06T16:56:51+08:00",
        "2023-11-06T16:56:51,5+08:00",
        "2023-11-06T16:56:51 08:00",
        "2023-11-06T16:56:51+0800",
        "2023-11-06T16:56:51+08_00",
        "2023-11-06T16:56:51+08:00 ",
        "+2023-11-06T16:56:51+08:00",
    ] {
        assert_eq!(parse(text), None, "{text}");
    }
    // The day turns at Beijing's midnight.
    assert_eq!(
        beijing_day(Timestamp::from_unix_seconds(1_699_286_399)),
        "20231106"
    );
    assert_eq!(
        beijing_day(Timestamp::from_unix_seconds(1_699_286_400)),
        "20231107"
    );
    for extreme in [i64::MIN, i64::MAX, 253_402_300_799, -377_705_116_800] {
        // The nearest moment that can be written stands for them; nothing panics.
        let moment = Timestamp::from_unix_seconds(extreme);
        let (ours, utc) = (format(moment), format_utc(moment));
        assert!(
            parse(&ours).is_some() && parse(&ours) == parse(&utc),
            "{ours}"
        );
        assert_eq!(beijing_day(moment).len(), 8);
    }
}

#[test]
fn a_day_is_read_as_it_is_written() {
    let day = BeijingDay::of(Timestamp::from_unix_seconds(1_767_196_800));
    assert_eq!(parse_day("2026-01-01"), Some(day));
    assert_eq!(format_day(day), "2026-01-01");
    assert_eq!(format_day(day.before()), "2025-12-31");
    for text in [
        "",
        "2026-02-30",
        "2026-1-01",
        "20260101",
        "2026-01-01 ",
        "2026-01-01T00:00:00Z",
    ] {
        assert_eq!(parse_day(text), None, "{text}");
    }
}
