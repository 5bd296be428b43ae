//! Keys and sets of them, from documents as issuers publish them.
