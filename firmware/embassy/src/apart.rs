//! Futures that keep a stack frame of their own.
//!
//! The compiler makes one function of a task and all that it awaits, and gives it the stack of all its parts together: what
//! a start needs for a moment would lie under every handshake later. A part that is polled through here has its frame only
//! while it runs.

use core::{
    pin::Pin,
    task::{Context, Poll},
};

/// The future, polled by a function of its own.
pub(crate) fn apart<F: Future>(future: Pin<&mut F>) -> impl Future<Output = F::Output> {
    Apart(future)
}

struct Apart<'a, F>(Pin<&'a mut F>);

impl<F: Future> Future for Apart<'_, F> {
    type Output = F::Output;

    #[inline(never)]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.0.as_mut().poll(context)
    }
}
