//! What a GraphQL document asks for (GraphQL specification, October 2021, §2): operations and fragments.
//!
//! Strict: types, fragment variables and descriptions are refused, names stand once. Nesting is bounded, so that no
//! document takes the stack. A library's parser (apollo-parser) mends what is broken and goes on, as editors want it; what
//! guards a service must not read on where another reader may read something else.

use super::lex::{Lexer, Token};
use super::refused::Refused;

/// How deep sets, values and types may stand in one another.
pub const NEST: u32 = 128;

/// A document.
#[derive(Debug, Default)]
pub struct Document<'t> {
    /// What it asks for: at least one.
    pub operations: Vec<Operation<'t>>,
    /// What its operations spread, by name.
    pub fragments: Vec<(&'t str, Vec<Selection<'t>>)>,
    /// Whether it asks for `__schema` or `__type` anywhere.
    pub introspects: bool,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Reads.
    Query,
    /// Changes something.
    Mutation,
    /// Listens.
    Subscription,
}

/// An operation.
#[derive(Debug)]
pub struct Operation<'t> {
    /// What it does.
    pub kind: Kind,
    /// Its name.
    pub name: Option<&'t str>,
    /// The variables that have a default.
    pub defaults: Vec<(&'t str, Value<'t>)>,
    /// What it selects.
    pub selections: Vec<Selection<'t>>,
}

/// One thing selected.
#[derive(Debug)]
pub enum Selection<'t> {
    /// A field.
    Field {
        /// Whether it goes by another name.
        aliased: bool,
        /// Its arguments.
        arguments: Vec<(&'t str, Value<'t>)>,
        /// What is selected beneath.
        selections: Vec<Selection<'t>>,
    },
    /// A fragment, by name.
    Spread(&'t str),
    /// An inline fragment.
    Inline(Vec<Selection<'t>>),
}

/// A value in a document.
#[derive(Debug)]
pub enum Value<'t> {
    /// A whole number, as it is written.
    Int(&'t str),
    /// `null`.
    Null,
    /// A variable.
    Variable(&'t str),
    /// An object.
    Object(Vec<(&'t str, Value<'t>)>),
    /// A list.
    List(Vec<Value<'t>>),
    /// Anything else.
    Other,
}

impl<'t> Document<'t> {
    /// Reads a document of at most so many tokens.
    ///
    /// # Errors
    /// It is none, or too large.
    pub fn parse(text: &'t str, tokens: u32) -> Result<Self, Refused> {
        let mut lexer = Lexer::new(text, tokens);
        let next = lexer.token()?;
        let mut parser = Parser { lexer, next, nest: 0, introspects: false };
        let mut document = Self::default();
        while parser.next != Token::End {
            parser.definition(&mut document)?;
        }
        document.introspects = parser.introspects;
        if document.operations.is_empty() {
            return Err(Refused::bad("it holds no operation"));
        }
        let alone = document.operations.len() == 1;
        let mut names: Vec<&str> = document.operations.iter().filter_map(|operation| operation.name).collect();
        if !alone && names.len() < document.operations.len() {
            return Err(Refused::bad("of several operations each must have a name"));
        }
        let mut fragments: Vec<&str> = document.fragments.iter().map(|(name, _)| *name).collect();
        if is_twice(&mut names) || is_twice(&mut fragments) {
            return Err(Refused::bad("two operations or two fragments have the same name"));
        }
        Ok(document)
    }
}

fn is_twice(names: &mut [&str]) -> bool {
    names.sort_unstable();
    names.windows(2).any(|pair| matches!(pair, [one, other] if one == other))
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    next: Token<'t>,
    nest: u32,
    introspects: bool,
}

impl<'t> Parser<'t> {
    fn bump(&mut self) -> Result<Token<'t>, Refused> {
        let next = self.lexer.token()?;
        Ok(std::mem::replace(&mut self.next, next))
    }

    /// Whether that mark came; it is taken.
    fn took(&mut self, mark: u8) -> Result<bool, Refused> {
        let here = self.next == Token::Mark(mark);
        if here {
            self.bump()?;
        }
        Ok(here)
    }

    fn expect(&mut self, mark: u8) -> Result<(), Refused> {
        if self.took(mark)? {
            return Ok(());
        }
        Err(Refused::bad(format!("`{}` should stand where something else does", char::from(mark))))
    }

    fn name(&mut self) -> Result<&'t str, Refused> {
        match self.bump()? {
            Token::Name(name) => Ok(name),
            _ => Err(Refused::bad("a name should stand where something else does")),
        }
    }

    /// Goes one level down.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Refused>) -> Result<T, Refused> {
        self.nest += 1;
        if self.nest > NEST {
            return Err(Refused::limit("nesting", None, NEST.into()));
        }
        let value = read(self)?;
        self.nest -= 1;
        Ok(value)
    }

    fn definition(&mut self, document: &mut Document<'t>) -> Result<(), Refused> {
        if self.next == Token::Mark(b'{') {
            let selections = self.selections()?;
            document.operations.push(Operation { kind: Kind::Query, name: None, defaults: Vec::new(), selections });
            return Ok(());
        }
        let kind = match self.bump()? {
            Token::Name("query") => Kind::Query,
            Token::Name("mutation") => Kind::Mutation,
            Token::Name("subscription") => Kind::Subscription,
            Token::Name("fragment") => {
                let name = self.name()?;
                if name == "on" || self.name()? != "on" {
                    return Err(Refused::bad("a fragment is `fragment NAME on TYPE`"));
                }
                self.name()?;
                self.directives()?;
                let selections = self.selections()?;
                document.fragments.push((name, selections));
                return Ok(());
            }
            _ => return Err(Refused::bad("only operations and fragments may stand in it")),
        };
        let name = if matches!(self.next, Token::Name(_)) { Some(self.name()?) } else { None };
        let defaults = if self.next == Token::Mark(b'(') { self.variables()? } else { Vec::new() };
        self.directives()?;
        let selections = self.selections()?;
        document.operations.push(Operation { kind, name, defaults, selections });
        Ok(())
    }

    fn variables(&mut self) -> Result<Vec<(&'t str, Value<'t>)>, Refused> {
        self.expect(b'(')?;
        let mut defaults = Vec::new();
        while !self.took(b')')? {
            self.expect(b'$')?;
            let name = self.name()?;
            self.expect(b':')?;
            self.nested(Self::kind)?;
            if self.took(b'=')? {
                defaults.push((name, self.value()?));
            }
            self.directives()?;
        }
        Ok(defaults)
    }

    fn kind(&mut self) -> Result<(), Refused> {
        if self.took(b'[')? {
            self.nested(Self::kind)?;
            self.expect(b']')?;
        } else {
            self.name()?;
        }
        self.took(b'!').map(|_| ())
    }

    fn directives(&mut self) -> Result<(), Refused> {
        while self.took(b'@')? {
            self.name()?;
            self.arguments()?;
        }
        Ok(())
    }

    fn arguments(&mut self) -> Result<Vec<(&'t str, Value<'t>)>, Refused> {
        let mut arguments = Vec::new();
        if self.took(b'(')? {
            while !self.took(b')')? {
                arguments.push(self.member()?);
            }
        }
        Ok(arguments)
    }

    fn member(&mut self) -> Result<(&'t str, Value<'t>), Refused> {
        let name = self.name()?;
        self.expect(b':')?;
        Ok((name, self.value()?))
    }

    fn value(&mut self) -> Result<Value<'t>, Refused> {
        Ok(match self.bump()? {
            Token::Int(digits) => Value::Int(digits),
            Token::Name("null") => Value::Null,
            Token::Float | Token::Text | Token::Name(_) => Value::Other,
            Token::Mark(b'$') => Value::Variable(self.name()?),
            Token::Mark(b'[') => self.nested(|parser| {
                let mut items = Vec::new();
                while !parser.took(b']')? {
                    items.push(parser.value()?);
                }
                Ok(Value::List(items))
            })?,
            Token::Mark(b'{') => self.nested(|parser| {
                let mut members = Vec::new();
                while !parser.took(b'}')? {
                    members.push(parser.member()?);
                }
                Ok(Value::Object(members))
            })?,
            _ => return Err(Refused::bad("a value should stand where something else does")),
        })
    }

    fn selections(&mut self) -> Result<Vec<Selection<'t>>, Refused> {
        self.expect(b'{')?;
        self.nested(|parser| {
            let mut selections = Vec::new();
            while !parser.took(b'}')? {
                selections.push(parser.selection()?);
            }
            match selections.is_empty() {
                true => Err(Refused::bad("a pair of braces selects nothing")),
                false => Ok(selections),
            }
        })
    }

    fn selection(&mut self) -> Result<Selection<'t>, Refused> {
        if self.next == Token::Spread {
            self.bump()?;
            return match self.next {
                Token::Name(name) if name != "on" => {
                    self.bump()?;
                    self.directives()?;
                    Ok(Selection::Spread(name))
                }
                Token::Name(_) => {
                    self.bump()?;
                    self.name()?;
                    self.directives()?;
                    self.selections().map(Selection::Inline)
                }
                _ => {
                    self.directives()?;
                    self.selections().map(Selection::Inline)
                }
            };
        }
        let mut name = self.name()?;
        let aliased = self.took(b':')?;
        if aliased {
            name = self.name()?;
        }
        self.introspects |= matches!(name, "__schema" | "__type");
        let arguments = self.arguments()?;
        self.directives()?;
        let selections = if self.next == Token::Mark(b'{') { self.selections()? } else { Vec::new() };
        Ok(Selection::Field { aliased, arguments, selections })
    }
}
