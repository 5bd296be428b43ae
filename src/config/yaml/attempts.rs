//! A node that is read until everything wrong with it has been set aside; see `value::written`.

use super::deserialize::NodeReader;
use super::error::ReadError;
use super::tree::Kind;
use crate::value::written::{Head, Shape};
use serde::de::value::BytesDeserializer;
use serde::de::{DeserializeSeed, SeqAccess};

/// Answers with the head of a node, then with the node as often as it is asked for.
pub(super) struct Attempts<'n> {
    reader: NodeReader<'n>,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Head,
    Node,
}

impl<'n> Attempts<'n> {
    pub fn new(reader: NodeReader<'n>) -> Attempts<'n> {
        Attempts { reader, stage: Stage::Head }
    }

    fn head(&self) -> Head {
        let node = self.reader.node;
        let shape = match node.kind {
            Kind::Null => Shape::Nothing,
            Kind::Scalar(..) => Shape::Scalar,
            Kind::List(..) => Shape::List,
            Kind::Map(..) => Shape::Map,
        };
        Head { place: node.place, shape }
    }
}

impl<'de> SeqAccess<'de> for Attempts<'_> {
    type Error = ReadError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ReadError> {
        if self.stage == Stage::Head {
            self.stage = Stage::Node;
            let head = self.head().to_bytes();
            return seed.deserialize(BytesDeserializer::new(&head)).map(Some);
        }
        let NodeReader { node, reading } = self.reader;
        if node.is_aside() {
            return Err(ReadError::Recorded);
        }
        let before = reading.count_aside();
        match seed.deserialize(self.reader) {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                let error = reading.settle(node, error);
                // Without anything new set aside, the next attempt would end the same way.
                if node.is_aside() || reading.count_aside() == before || reading.is_full() {
                    reading.set_aside(node);
                    return Err(error);
                }
                Ok(None)
            }
        }
    }
}
