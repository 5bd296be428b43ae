//! Reply templates, from their files or from the text.

use super::Compiling;
use crate::config::ReplyTemplate;
use crate::reply::{Reason, Template, Templates};
use crate::value::{Named, suggest};
use http::StatusCode;
use std::sync::Arc;

impl Compiling<'_> {
    /// The gateway's own templates.
    pub(super) fn gateway_replies(&mut self) -> Arc<Templates> {
        let written = &self.loaded.config.replies;
        Arc::new(self.replies(written))
    }

    /// The templates of one level, with those of the level around it where it says nothing.
    pub(super) fn replies_within(&mut self, written: &Named<ReplyTemplate>, outer: &Arc<Templates>) -> Arc<Templates> {
        if written.is_empty() {
            return Arc::clone(outer);
        }
        let mut own = self.replies(written);
        own.inherit(outer);
        Arc::new(own)
    }

    fn replies(&mut self, written: &Named<ReplyTemplate>) -> Templates {
        let mut templates = Templates::default();
        for (name, reply) in written.iter() {
            let reason = match name.as_str() {
                "default" => None,
                slug => match Reason::from_slug(slug) {
                    Some(reason) => Some(reason),
                    None => {
                        let known = Reason::ALL.iter().map(|reason| reason.slug()).chain(["default"]);
                        let hint = suggest(slug, known).map(|near| format!("did you mean `{near}`?"));
                        self.problems.error(name.place, format!("no reply is made for `{slug}`")).hint_if(hint);
                        continue;
                    }
                },
            };
            if let Some(template) = self.template(reply) {
                templates.set(reason, template);
            }
        }
        templates
    }

    fn template(&mut self, reply: &ReplyTemplate) -> Option<Template> {
        let (place, body) = match (&reply.body, &reply.file) {
            (Some(body), None) => (body.place, body.value.clone()),
            (None, Some(file)) => {
                let path = self.sources().resolve(file.place, &file.value);
                match std::fs::read_to_string(&path) {
                    Ok(text) => (file.place, text),
                    Err(error) => {
                        self.problems.error(file.place, format!("{} cannot be read: {error}", path.display()));
                        return None;
                    }
                }
            }
            _ => return None, // said by the written type's check
        };
        let status = reply.status.and_then(|status| StatusCode::from_u16(status.value).ok());
        match Template::parse(&reply.content_type, &body, status) {
            Ok(template) => Some(template),
            Err(error) => {
                self.problems.error(place, error.message);
                None
            }
        }
    }
}
