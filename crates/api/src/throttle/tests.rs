use model::Operation as _;
use model::pinpoint::{CreateSegment, GetApp, PutEvents};
use model::sms_voice_v2::{PutOptedOutNumber, SendTextMessage};

use super::*;

fn account(name: &str) -> AccountId {
    AccountId::new(name)
}

#[test]
fn rates_are_those_of_the_table() {
    assert_eq!(per_second(PutEvents::SPEC).to_string(), "7000");
    assert_eq!(per_second(GetApp::SPEC).to_string(), "300");
    assert_eq!(per_second(SendTextMessage::SPEC).to_string(), "1");
    assert_eq!(per_second(PutOptedOutNumber::SPEC).to_string(), "10");
    for (name, _) in PER_SECOND {
        assert!(model::pinpoint::OPERATIONS.iter().any(|spec| spec.name == name), "{name}");
    }
    for (name, _) in SMS_VOICE_V2_PER_SECOND {
        assert!(model::sms_voice_v2::OPERATIONS.iter().any(|spec| spec.name == name), "{name}");
    }
}

#[test]
fn a_bucket_holds_a_second_of_calls_and_fills_again() {
    let throttles = Throttles::default();
    let take = |now_ms| throttles.take(&account("1"), CreateSegment::SPEC, 1.0, now_ms);
    for _ in 0..25 {
        take(1_000).unwrap();
    }
    assert_eq!(take(1_000), Err(Duration::from_millis(40)));
    assert_eq!(take(1_020), Err(Duration::from_millis(20)));
    take(1_040).unwrap();
    take(1_040).unwrap_err();
    // Never more than the burst, however long it was quiet; and a clock that stands still changes nothing.
    for _ in 0..25 {
        take(90_000).unwrap();
    }
    take(90_000).unwrap_err();
}

#[test]
fn bytes_are_paid_for_afterwards() {
    let throttles = Throttles::default();
    let take = |bytes, now_ms| throttles.take_bytes(&account("1"), bytes, 1_000, now_ms);
    take(999, 0).unwrap();
    // What is left is one byte: enough for any body, and then there is a debt.
    take(5_001, 0).unwrap();
    assert_eq!(take(1, 0), Err(Duration::from_millis(5_001)));
    assert_eq!(take(1, 4_000), Err(Duration::from_millis(1_001)));
    take(1, 5_001).unwrap();
    // Other accounts, and calls, are counted for themselves.
    throttles.take_bytes(&account("2"), 1, 1_000, 0).unwrap();
    throttles.take(&account("1"), PutEvents::SPEC, 1.0, 5_001).unwrap();
}

#[test]
fn accounts_and_operations_do_not_share_a_bucket() {
    let throttles = Throttles::default();
    let take = |name, operation| throttles.take(&account(name), operation, 0.004, 0);
    take("1", PutEvents::SPEC).unwrap();
    take("1", CreateSegment::SPEC).unwrap();
    take("1", CreateSegment::SPEC).unwrap_err();
    take("2", CreateSegment::SPEC).unwrap();
    take("1", GetApp::SPEC).unwrap();
}
