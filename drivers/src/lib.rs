//! Scheduler and executor drivers: what a framework links
