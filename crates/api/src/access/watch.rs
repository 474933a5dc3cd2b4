//! Replies on their way: they end when the token is removed that they were opened with, and while they go on, their
//! connection is in use.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use llcm_access::{Token, TokenFile};

use crate::connection::Answering;

/// The largest piece that is handed on, in bytes: as long as one is left, the reply goes on.
const PIECE: usize = 16 * 1024;

/// A reply's body. Before each piece of a reply without an announced length the token is looked at again, which is one
/// call of the system; when it is gone, the reply breaks off, as any reader of it can tell.
pub(super) struct Watched<B> {
    body: Pin<Box<B>>,
    rest: Bytes,
    watch: Option<(Token, Arc<TokenFile>)>,
    _answering: Option<Answering>,
}

impl<B: MessageBody> Watched<B> {
    pub(super) fn new(body: B, watch: Option<(Token, Arc<TokenFile>)>, answering: Option<Answering>) -> Self {
        let watch = watch.filter(|_| body.size() == BodySize::Stream);
        Self { body: Box::pin(body), rest: Bytes::new(), watch, _answering: answering }
    }
}

impl<B: MessageBody> MessageBody for Watched<B> {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.rest.is_empty() {
            match self.body.as_mut().poll_next(context) {
                Poll::Ready(Some(Ok(piece))) => self.rest = piece,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error.into()))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
        if let Some((token, tokens)) = &self.watch
            && !tokens.holds(token).unwrap_or(false)
        {
            return Poll::Ready(Some(Err("the token was removed".into())));
        }
        let length = self.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(self.rest.split_to(length))))
    }
}
