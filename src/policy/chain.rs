//! The compiled hooks of one route.

use super::{Decision, OnRequest, OnRequestBody, Stage};
use crate::request::{RequestCx, RequestView};
use std::sync::Arc;

/// Collects the policies of a route in any order and puts them into the order of their stages.
#[derive(Default)]
pub struct ChainBuilder {
    on_request: Vec<(Stage, Arc<dyn OnRequest>)>,
    on_request_body: Vec<(Stage, Arc<dyn OnRequestBody>)>,
}

impl ChainBuilder {
    /// Adds a hook on the head.
    pub fn on_request(&mut self, stage: Stage, hook: Arc<dyn OnRequest>) {
        self.on_request.push((stage, hook));
    }

    /// Adds a hook on the body.
    pub fn on_request_body(&mut self, stage: Stage, hook: Arc<dyn OnRequestBody>) {
        self.on_request_body.push((stage, hook));
    }

    /// The chain, sorted by stage.
    pub fn build(mut self) -> Chain {
        self.on_request.sort_by_key(|(stage, _)| *stage);
        self.on_request_body.sort_by_key(|(stage, _)| *stage);
        Chain {
            on_request: self.on_request.into_iter().map(|(_, hook)| hook).collect(),
            on_request_body: self.on_request_body.into_iter().map(|(_, hook)| hook).collect(),
        }
    }
}

/// The hooks of a route, by moment, in order. An empty list costs one comparison.
#[derive(Clone, Default)]
pub struct Chain {
    on_request: Box<[Arc<dyn OnRequest>]>,
    on_request_body: Box<[Arc<dyn OnRequestBody>]>,
}

impl Chain {
    /// Runs the hooks on the head until one replies.
    pub fn on_request(&self, cx: &mut RequestCx, request: &mut RequestView<'_>) -> Decision {
        for hook in &self.on_request {
            let decision = hook.on_request(cx, request);
            if decision != Decision::Continue {
                return decision;
            }
        }
        Decision::Continue
    }

    /// Runs the hooks on a piece of the body until one replies.
    pub fn on_request_body(&self, cx: &mut RequestCx, bytes: usize) -> Decision {
        for hook in &self.on_request_body {
            let decision = hook.on_request_body(cx, bytes);
            if decision != Decision::Continue {
                return decision;
            }
        }
        Decision::Continue
    }

    /// Whether the route looks at bodies on their way up.
    pub fn reads_request_body(&self) -> bool {
        !self.on_request_body.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::Reason;
    use http::HeaderMap;
    use std::time::Instant;

    struct Refuse(Reason);

    impl OnRequest for Refuse {
        fn on_request(&self, _cx: &mut RequestCx, _request: &mut RequestView<'_>) -> Decision {
            Decision::reply(self.0)
        }
    }

    #[test]
    fn the_earlier_stage_decides_first_whatever_the_order_of_adding() {
        let mut builder = ChainBuilder::default();
        builder.on_request(Stage::Limit, Arc::new(Refuse(Reason::Overloaded)));
        builder.on_request(Stage::Guard, Arc::new(Refuse(Reason::BodyTooLarge)));
        let mut headers = HeaderMap::new();
        let mut view = RequestView { method: "GET", host: "h", path: "/", query: None, headers: &mut headers };
        let decision = builder.build().on_request(&mut RequestCx::new(Instant::now()), &mut view);
        assert_eq!(decision, Decision::reply(Reason::BodyTooLarge));
    }
}
