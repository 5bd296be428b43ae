//! How written types ask the configuration reader for more than serde offers.
//!
//! serde hands a type its value, not its place, nor a second try. The reader (`config::yaml`) recognises the newtype
//! names below and answers with a sequence: first a [`Head`] (place and shape of the node), then the node itself, as
//! often as it is asked for, as whatever type it is asked for. `None` from it means: what was wrong has been recorded
//! and set aside, ask again; an error means that nothing can be made of the node, and that this has been recorded.
//! Under any other deserializer the types read plainly, without places.

use super::Place;
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// The newtype name that asks for a node in this way.
pub(crate) const NODE: &str = "$tollgate::node";
/// The same for a node whose text must never be shown.
pub(crate) const SECRET_NODE: &str = "$tollgate::secret";

/// What kind of node stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A single value: text, number, boolean.
    Scalar,
    /// A list.
    List,
    /// A map.
    Map,
    /// No value at all.
    Nothing,
}

/// Place and shape of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub place: Place,
    pub shape: Shape,
}

impl Head {
    /// The head as bytes, for the passage through serde.
    pub fn to_bytes(self) -> [u8; 21] {
        let mut bytes = [0; 21];
        let shape = match self.shape {
            Shape::Scalar => 0,
            Shape::List => 1,
            Shape::Map => 2,
            Shape::Nothing => 3,
        };
        if let Some((last, place)) = bytes.split_last_mut() {
            place.copy_from_slice(&self.place.to_bytes());
            *last = shape;
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Head> {
        let (shape, place) = bytes.split_last()?;
        let shape = match shape {
            0 => Shape::Scalar,
            1 => Shape::List,
            2 => Shape::Map,
            _ => Shape::Nothing,
        };
        Some(Head { place: Place::from_bytes(place)?, shape })
    }
}

impl<'de> Deserialize<'de> for Head {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Head, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Head;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("the head of a node")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Head, E> {
                Head::from_bytes(bytes).ok_or_else(|| E::custom("the head of a node is malformed"))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// A node that can be read as a type of the reader's choosing.
pub(crate) trait Node<'de> {
    /// Why it could not be read.
    type Error: Error;

    /// Reads it, setting aside what is wrong within it; an error means that nothing remains.
    fn value<T: Deserialize<'de>>(&mut self) -> Result<T, Self::Error>;
}

/// Makes a value from a node, knowing its place and shape.
pub(crate) trait ReadNode<'de> {
    /// What it makes.
    type Value;

    /// Makes it.
    fn read<N: Node<'de>>(self, head: Head, node: N) -> Result<Self::Value, N::Error>;
}

/// Asks the reader for the node and has `read` make a value of it. `name` is [`NODE`] or [`SECRET_NODE`].
pub(crate) fn read_node<'de, D, R>(deserializer: D, name: &'static str, read: R) -> Result<R::Value, D::Error>
where
    D: Deserializer<'de>,
    R: ReadNode<'de>,
{
    deserializer.deserialize_newtype_struct(name, NodeVisitor(read))
}

struct NodeVisitor<R>(R);

impl<'de, R: ReadNode<'de>> Visitor<'de> for NodeVisitor<R> {
    type Value = R::Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut attempts: A) -> Result<R::Value, A::Error> {
        let head = attempts.next_element::<Head>()?.ok_or_else(|| A::Error::custom("a node has no head"))?;
        self.0.read(head, Attempts(attempts))
    }
}

struct Attempts<A>(A);

impl<'de, A: SeqAccess<'de>> Node<'de> for Attempts<A> {
    type Error = A::Error;

    fn value<T: Deserialize<'de>>(&mut self) -> Result<T, A::Error> {
        loop {
            if let Some(value) = self.0.next_element::<T>()? {
                return Ok(value);
            }
        }
    }
}

/// A value, or nothing where it was so wrong that nothing remains; what was wrong has been recorded.
/// What holds many (lists, maps of names) reads its entries as this, so that one bad entry costs no other.
pub(crate) struct Salvaged<T>(pub Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Salvaged<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Salvage<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> ReadNode<'de> for Salvage<T> {
            type Value = Option<T>;

            fn read<N: Node<'de>>(self, _: Head, mut node: N) -> Result<Option<T>, N::Error> {
                Ok(node.value().ok())
            }
        }
        read_node(deserializer, NODE, Salvage(PhantomData)).map(Salvaged)
    }
}

/// For `#[serde(deserialize_with)]` on lists of the file itself: finds every bad element at once.
pub(crate) fn each<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let elements: Vec<Salvaged<T>> = recovering(deserializer)?;
    Ok(elements.into_iter().filter_map(|element| element.0).collect())
}

/// For `#[serde(deserialize_with)]` on the large parts of a file: finds everything wrong within the part at once,
/// so that the file around it is not read again for each.
pub(crate) fn recovering<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Recover<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> ReadNode<'de> for Recover<T> {
        type Value = T;

        fn read<N: Node<'de>>(self, _: Head, mut node: N) -> Result<T, N::Error> {
            node.value()
        }
    }
    read_node(deserializer, NODE, Recover(PhantomData))
}
