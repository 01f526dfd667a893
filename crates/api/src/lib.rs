//! Generated gRPC code and the only conversions between wire and checked types.
