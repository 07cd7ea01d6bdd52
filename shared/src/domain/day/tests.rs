//! Days begin and end at Beijing's midnight.

use super::*;

const fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

#[test]
fn a_day_is_from_midnight_to_midnight_in_beijing() {
    // 2023-11-06T23:59:59+08:00 and the second after it.
    let (last, next) = (at(1_699_286_399), at(1_699_286_400));
    let day = BeijingDay::of(last);
    assert_eq!(day.last_second(), last);
    assert_eq!(day.first_second(), at(1_699_200_000));
    assert_eq!(BeijingDay::of(day.first_second()), day);
    assert!(BeijingDay::of(next) > day);
    assert_eq!(BeijingDay::of(next).first_second(), next);
    // Before 1970, too; and at the ends of time nothing panics.
    let early = BeijingDay::of(at(-28_801));
    assert_eq!(early.last_second(), at(-28_801));
    assert!(BeijingDay::of(at(i64::MIN)) < BeijingDay::of(at(i64::MAX)));
    BeijingDay::of(at(i64::MAX)).last_second();
    BeijingDay::of(at(i64::MIN)).first_second();
}
