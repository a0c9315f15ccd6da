//! Simulated clusters, multi-process clusters, foreign clients
