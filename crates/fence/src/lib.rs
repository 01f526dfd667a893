//! The high-water rule: refuse a fencing token smaller than one already seen.
