//! The strict client against the scripted upstream, with nothing between: what the other tests stand on is proven here.

mod client;
mod clients_of_others;
mod h2;
mod origin;
mod tls;
