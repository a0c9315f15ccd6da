//! The slave: runs the tasks that frameworks launch on its host
