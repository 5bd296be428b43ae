//! Reads a kept answer; what Pingora calls a hit handler.

use super::asked::Asked;
use super::body::{Broken, CodedAs, Position, Reader};
use super::disk::{Reading, Unreadable};
use super::object::Object;
use super::store::Store;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use pingora_cache::CacheKey;
use pingora_cache::storage::{HandleHit, Storage};
use pingora_cache::trace::SpanHandle;
use pingora_core::{Error, ErrorType, Result};
use std::any::Any;
use std::sync::Arc;

/// Longer bodies are coded as they go out, each time: to code them at once would hold up other requests.
const LONGEST_CODED: u64 = 1 << 20;

/// Reads an answer.
pub struct Hit {
    object: Arc<Object>,
    from: From,
    /// How many bytes are left of a range.
    left: Option<u64>,
    store: &'static Store,
    asked: Arc<Asked>,
}

/// Where a body is read from.
enum From {
    Memory(Reader, Position),
    File(Box<Reading>),
    /// What is kept of it in a coding, until it has been given.
    Coded(Option<Bytes>),
}

impl Hit {
    pub(super) fn new(store: &'static Store, asked: &Arc<Asked>, object: Arc<Object>) -> Self {
        let from = From::Memory(Reader::Other, Position::default());
        Self { object, from, left: None, store, asked: Arc::clone(asked) }
    }

    /// The same for the one for whom it is fetched.
    pub(super) fn of_first(mut self) -> Self {
        self.from = From::Memory(Reader::First, Position::default());
        self
    }

    /// Reads an answer from its file; into memory, where it is short. `None` where it cannot be had: a file that is no good
    /// is forgotten, one that a busy disk does not give is kept.
    pub(super) async fn of_file(store: &'static Store, asked: &Arc<Asked>, object: Arc<Object>) -> Option<Self> {
        let key = &asked.key;
        let reading = match (store.disk(), object.file.get()) {
            (Some(disk), Some(file)) => disk.open(file).await,
            _ => Err(Unreadable::Missing),
        };
        let reading = match reading {
            Ok(reading) => reading,
            Err(why) => {
                if why.is_lasting() {
                    store.take_out(key, &object);
                }
                return None;
            }
        };
        Some(match reading.whole() {
            Some(body) => Self::new(store, asked, store.promote(key, &object, body.clone())),
            None => Self { from: From::File(Box::new(reading)), ..Self::new(store, asked, object) },
        })
    }

    /// The answer that is read.
    pub fn object(&self) -> &Arc<Object> {
        &self.object
    }

    /// Gives the body in a coding instead, and how long that is: what is kept of it, else what is made of it now, which is
    /// kept. `None` where the body is not whole in memory, or too long to be coded at once: nothing was made.
    ///
    /// # Errors
    /// What `make` says.
    pub fn recode<E>(
        &mut self,
        coding: CodedAs,
        make: impl FnOnce(Bytes) -> std::result::Result<Bytes, E>,
    ) -> std::result::Result<Option<u64>, E> {
        let body = &self.object.body;
        let coded = match (body.coded(coding), body.whole()) {
            (Some(coded), _) => coded,
            (None, Some(pieces)) if body.length() <= LONGEST_CODED => {
                let coded = make(one_piece(pieces))?;
                body.keep_coded(coding, coded.clone());
                self.store.weigh_again(&self.asked.key, &self.object);
                coded
            }
            _ => return Ok(None),
        };
        let length = coded.len() as u64;
        self.from = From::Coded(Some(coded));
        Ok(Some(length))
    }

    async fn next(&mut self) -> Result<Option<Bytes>> {
        let cut_off = |why| Error::explain(ErrorType::ReadError, why).into_up();
        match &mut self.from {
            From::Memory(reader, position) => self.object.body.read(position, *reader).await.map_err(|broken| {
                cut_off(match broken {
                    Broken::CutOff => "the answer was cut off",
                    Broken::Silent => "the answer stopped arriving",
                    Broken::Outrun => "the answer is too long to be kept for a slow reader",
                })
            }),
            From::File(reading) => match reading.next().await {
                Ok(piece) => Ok(piece),
                Err(why) => {
                    if why.is_lasting() {
                        self.store.take_out(&self.asked.key, &self.object);
                    }
                    Err(cut_off("the file of the answer cannot be read"))
                }
            },
            From::Coded(coded) => Ok(coded.take()),
        }
    }
}

fn one_piece(pieces: &[Bytes]) -> Bytes {
    match pieces {
        [only] => only.clone(),
        pieces => pieces
            .iter()
            .fold(BytesMut::new(), |mut all, piece| {
                all.extend_from_slice(piece);
                all
            })
            .freeze(),
    }
}

#[async_trait]
impl HandleHit for Hit {
    async fn read_body(&mut self) -> Result<Option<Bytes>> {
        if self.left == Some(0) {
            return Ok(None);
        }
        let Some(mut piece) = self.next().await? else {
            let sign = self.left.is_none() && self.asked.gives_sign();
            return Ok(sign.then(Bytes::new));
        };
        if let Some(left) = &mut self.left {
            piece.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= piece.len() as u64;
        }
        Ok(Some(piece))
    }

    async fn finish(self: Box<Self>, _: &'static (dyn Storage + Sync), _: &CacheKey, _: &SpanHandle) -> Result<()> {
        Ok(())
    }

    fn can_seek(&self) -> bool {
        true
    }

    fn seek(&mut self, start: usize, end: Option<usize>) -> Result<()> {
        if end.is_some_and(|end| end < start) {
            return Error::e_explain(ErrorType::InternalError, "a range that ends before it begins");
        }
        match &mut self.from {
            From::Memory(_, position) => *position = Position::at(start as u64),
            From::File(reading) => reading.seek(start as u64),
            From::Coded(_) => return Error::e_explain(ErrorType::InternalError, "a range of a coded body"),
        }
        self.left = end.map(|end| (end - start) as u64);
        Ok(())
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }

    fn as_any_mut(&mut self) -> &mut (dyn Any + Send + Sync) {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Found;
    use crate::cache::body::Body;
    use crate::cache::object::{Facts, Times};
    use crate::cache::tests::plan;
    use http::HeaderMap;
    use pingora_http::ResponseHeader;
    use std::convert::Infallible;
    use std::time::SystemTime;

    fn hit(body: Body) -> Hit {
        let store: &'static Store = Box::leak(Box::default());
        let now = SystemTime::now();
        let times = Times { made: now, fresh_until: now, while_revalidating: 0, if_error: 0 };
        let header = ResponseHeader::build(200, None).unwrap();
        let object = Object::new(header, times, Arc::new(Facts::default()), Arc::new(body));
        let found = Found { object: None, request: &HeaderMap::new(), epoch: 0 };
        let asked = Asked::new(Arc::new(plan(|_| {})), store.key(b"key".to_vec()), now, found);
        Hit::new(store, &Arc::new(asked), Arc::new(object))
    }

    #[tokio::test]
    async fn a_body_is_coded_once_for_each_coding_and_level() {
        let mut hit = hit(Body::of(Bytes::from_static(b"body")));
        let mut made = 0;
        for (coding, expected) in [(("gzip", 4), 1), (("gzip", 4), 1), (("gzip", 5), 2), (("br", 4), 3), (("br", 4), 3)]
        {
            let length = hit.recode(coding, |whole| {
                made += 1;
                Ok::<_, Infallible>([&whole[..], coding.0.as_bytes()].concat().into())
            });
            assert_eq!((length, made), (Ok(Some(4 + coding.0.len() as u64)), expected));
            let coded = Bytes::from(["body", coding.0].concat());
            assert_eq!((hit.read_body().await.unwrap(), hit.read_body().await.unwrap()), (Some(coded), None));
        }
    }

    #[test]
    fn what_still_arrives_or_is_long_is_not_coded_at_once() {
        let never = |_| Err::<Bytes, _>("made");
        let arriving = Body::default();
        arriving.push(Bytes::from_static(b"half"));
        let long = Body::of(vec![0; LONGEST_CODED as usize + 1].into());
        for body in [arriving, long, Body::elsewhere(10)] {
            assert_eq!(hit(body).recode(("gzip", 4), never), Ok(None));
        }
    }

    #[tokio::test]
    async fn who_asks_for_it_is_told_the_end() {
        let mut hit = hit(Body::of(Bytes::from_static(b"body")));
        hit.asked.ask_for_end();
        assert_eq!(hit.read_body().await.unwrap(), Some(Bytes::from_static(b"body")));
        assert!(!hit.asked.has_ended());
        assert_eq!(hit.read_body().await.unwrap(), Some(Bytes::new()));
        assert!(hit.asked.has_ended());
        assert_eq!(hit.read_body().await.unwrap(), None);
    }
}
