//! For every operation: what a client writes of any value, a server reads as that value, and the other way round.

use std::borrow::Cow;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;

use model::{Operation, OperationVisitor, RequestParts, pinpoint, sms_voice_v2};

use crate::generate::generate;

const SEEDS: u64 = 24;

struct RoundTrip {
    operations: usize,
}

impl OperationVisitor for RoundTrip {
    fn visit<O: Operation>(&mut self) {
        self.operations += 1;
        for seed in 1..=SEEDS {
            let name = O::SPEC.name;

            let input: O::Input = generate(seed);
            let request = O::encode_input(&input).expect("an input that cannot be written");
            assert_labels_are_those_of_the_path::<O>(&request);
            let read = O::decode(&request).unwrap_or_else(|error| panic!("{name}, seed {seed}: {error}"));
            assert_eq!(read, input, "input of {name}, seed {seed}");

            let output: O::Output = generate(seed);
            let body = O::encode(&output).expect("an output that cannot be written");
            assert_eq!(body.is_empty(), O::SPEC.status == 204, "{name}");
            let read = O::decode_output(&body).unwrap_or_else(|error| panic!("{name}, seed {seed}: {error}"));
            assert_eq!(read, output, "output of {name}, seed {seed}");
        }
    }
}

#[test]
fn pinpoint() {
    let mut visitor = RoundTrip { operations: 0 };
    pinpoint::visit_operations(&mut visitor);
    assert_eq!(visitor.operations, pinpoint::OPERATIONS.len());
}

#[test]
fn sms_voice_v2() {
    let mut visitor = RoundTrip { operations: 0 };
    sms_voice_v2::visit_operations(&mut visitor);
    assert_eq!(visitor.operations, sms_voice_v2::OPERATIONS.len());
}

/// The shapes that only errors are made of: no operation leads to them.
#[test]
fn what_errors_say() {
    fn words<T>(all: &[T])
    where
        T: Copy + PartialEq + std::fmt::Debug + std::fmt::Display + Serialize + DeserializeOwned + FromStr,
    {
        assert!(!all.is_empty());
        for word in all {
            let written = serde_json::to_string(word).expect("a word");
            assert_eq!(written, format!("\"{word}\""));
            assert_eq!(serde_json::from_str::<T>(&written).expect("a word"), *word);
            assert_eq!(word.to_string().parse::<T>().ok(), Some(*word));
        }
        assert!("not a word".parse::<T>().is_err() && serde_json::from_str::<T>("\"not a word\"").is_err());
    }
    words(sms_voice_v2::AccessDeniedExceptionReason::ALL);
    words(sms_voice_v2::ConflictExceptionReason::ALL);
    words(sms_voice_v2::ResourceType::ALL);
    words(sms_voice_v2::ServiceQuotaExceededExceptionReason::ALL);
    words(sms_voice_v2::ValidationExceptionReason::ALL);
    for seed in 1..=SEEDS {
        let field: sms_voice_v2::ValidationExceptionField = generate(seed);
        let written = serde_json::to_string(&field).expect("a field");
        assert_eq!(
            serde_json::from_str::<sms_voice_v2::ValidationExceptionField>(&written).ok(),
            Some(field)
        );
    }
}

/// Members that this model does not know, anywhere at the top of a body, change nothing.
#[test]
fn unknown_members_are_ignored() {
    struct Unknown;
    impl OperationVisitor for Unknown {
        fn visit<O: Operation>(&mut self) {
            let input: O::Input = generate(7);
            let mut request = O::encode_input(&input).expect("an input that cannot be written");
            if request.body.is_empty() {
                return;
            }
            let mut body: serde_json::Value = serde_json::from_slice(&request.body).expect("a body is JSON");
            body["SomethingNew"] = serde_json::json!({"Nested": [1, null, "x"]});
            request.body = Cow::Owned(body.to_string().into_bytes());
            assert_eq!(O::decode(&request).as_ref(), Ok(&input), "{}", O::SPEC.name);
        }
    }
    pinpoint::visit_operations(&mut Unknown);
    sms_voice_v2::visit_operations(&mut Unknown);
}

fn assert_labels_are_those_of_the_path<O: Operation>(request: &RequestParts<'_>) {
    let mut expected: Vec<&str> = O::SPEC
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{').and_then(|part| part.strip_suffix('}')))
        .collect();
    let mut labels: Vec<&str> = request.labels.iter().map(|(label, _)| *label).collect();
    expected.sort_unstable();
    labels.sort_unstable();
    assert_eq!(labels, expected, "{}", O::SPEC.name);
}
