//! Hierarchical DRF allocator and the trait to replace it
