//! What a route answers without asking anybody: redirects, answers as written, mocks.

use super::Compiling;
use super::limits::LimitedRoute;
use crate::exchange::Redirect;
use crate::policy::answer::Answers;
use crate::policy::transform::{Scope, Value};
use crate::routing::Template;
use crate::snapshot::Action;
use crate::value::Spanned;
use http::StatusCode;

impl<'a> Compiling<'a> {
    /// What values of a route may name.
    pub(super) fn scope<'r>(&self, route: &LimitedRoute<'r>) -> Scope<'r>
    where
        'a: 'r,
    {
        Scope {
            captures: route.path.captures(),
            route: route.key,
            api: route.around.map_or("", |(name, _)| name),
            env: &self.loaded.config.env,
            answered: false,
        }
    }

    /// The answer of a route that has one of its own.
    pub(super) fn own_answer(&mut self, route: &LimitedRoute<'_>) -> Option<Action> {
        let (written, scope) = (route.written, self.scope(route));
        if let Some(redirect) = &written.redirect {
            let mut values = Vec::new();
            let (text, mut setup) = (&redirect.to, self.setup());
            let parsed = Template::parse_with(&text.value, route.path, &mut |name, at| {
                let named = Spanned::new(format!("{{{name}}}"), text.place.skip(at.saturating_sub(1)));
                values.push(Value::compile(&named, &scope, &mut setup));
                Some(values.len() - 1)
            });
            let to = self.pattern(text, parsed)?;
            let status = StatusCode::from_u16(redirect.status.value).unwrap_or(StatusCode::PERMANENT_REDIRECT);
            let values: Option<Vec<Value>> = values.into_iter().collect();
            return Some(Action::Redirect(Box::new(Redirect { status, to }), values?.into()));
        }
        let mut setup = self.setup();
        let answers = match (&written.respond, &written.mock) {
            (Some(respond), _) => Answers::respond(respond, &scope, &mut setup),
            (None, Some(mock)) => Answers::mock(mock, &scope, &mut setup),
            (None, None) => return None,
        };
        Some(Action::Respond(Box::new(answers)))
    }
}
