//! Durations travel, absolute times never do: a moment by one machine's clock means nothing on another.

use leasehold_api::DESCRIPTORS;
use prost::Message;
use prost_types::{DescriptorProto, FileDescriptorSet};

/// The message types of other packages that the fields of these messages are made of.
fn foreign_types(messages: &[DescriptorProto]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for message in messages {
        for field in &message.field {
            let (kind, name) = (field.type_name(), field.name());
            if !kind.is_empty() && !kind.starts_with(".leasehold.") {
                found.push((format!("{}.{name}", message.name()), kind.to_owned()));
            }
        }
        found.extend(foreign_types(&message.nested_type));
    }
    found
}

#[test]
fn no_message_carries_an_absolute_time() {
    let set = FileDescriptorSet::decode(DESCRIPTORS).expect("written by our own build");
    let ours = set.file.iter().filter(|file| file.package().starts_with("leasehold."));
    let fields: Vec<_> = ours.flat_map(|file| foreign_types(&file.message_type)).collect();
    let of = |kind: &str| fields.iter().filter(|(_, of)| of == kind).count();
    assert!(of(".google.protobuf.Duration") >= 5, "this test cannot see durations: {fields:?}");
    for (field, kind) in &fields {
        assert_ne!(kind, ".google.protobuf.Timestamp", "{field}");
    }
}

#[test]
fn no_number_is_called_a_moment() {
    let set = FileDescriptorSet::decode(DESCRIPTORS).expect("written by our own build");
    let ours = set.file.iter().filter(|file| file.package().starts_with("leasehold."));
    let fields = ours.flat_map(|file| &file.message_type).flat_map(|message| &message.field);
    for name in fields.map(|field| field.name()) {
        assert!(!name.ends_with("_at"), "{name}");
        for word in ["timestamp", "unix", "epoch", "expires", "deadline"] {
            assert!(!name.contains(word), "{name}");
        }
    }
}
