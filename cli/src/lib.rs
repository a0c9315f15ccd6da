//! mesos-local, mesos-execute and the other tools
