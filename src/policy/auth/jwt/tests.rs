//! What is written, accepted and refused; tokens, hostile ones among them.
