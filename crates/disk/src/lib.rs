//! Durable files: the record stream, atomic replace, the identity file.
