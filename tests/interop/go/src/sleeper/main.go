// An executor on another libprocess whose tasks sleep for the milliseconds that their data say.
package main

import (
	"flag"
	"net"
	"os"
	"strconv"
	"time"

	log "github.com/golang/glog"
	exec "github.com/mesos/mesos-go/api/v0/executor"
	mesos "github.com/mesos/mesos-go/api/v0/mesosproto"
)

var address = flag.String("address", "127.0.0.1", "address to listen on")

type sleeper struct{}

func (sleeper) Registered(exec.ExecutorDriver, *mesos.ExecutorInfo, *mesos.FrameworkInfo, *mesos.SlaveInfo) {
}
func (sleeper) Reregistered(exec.ExecutorDriver, *mesos.SlaveInfo) {}
func (sleeper) Disconnected(exec.ExecutorDriver)                   {}
func (sleeper) Shutdown(exec.ExecutorDriver)                       {}
func (sleeper) FrameworkMessage(exec.ExecutorDriver, string)       {}
func (sleeper) Error(_ exec.ExecutorDriver, text string)           { log.Errorf("error: %s", text) }
func (s sleeper) KillTask(driver exec.ExecutorDriver, id *mesos.TaskID) {
	update(driver, id, mesos.TaskState_TASK_KILLED)
}

func update(driver exec.ExecutorDriver, id *mesos.TaskID, state mesos.TaskState) {
	status := &mesos.TaskStatus{TaskId: id, State: state.Enum()}
	if _, err := driver.SendStatusUpdate(status); err != nil {
		log.Errorf("cannot send an update: %v", err)
	}
}

func (sleeper) LaunchTask(driver exec.ExecutorDriver, task *mesos.TaskInfo) {
	millis, err := strconv.Atoi(string(task.Data))
	if err != nil {
		update(driver, task.TaskId, mesos.TaskState_TASK_FAILED)
		return
	}
	update(driver, task.TaskId, mesos.TaskState_TASK_RUNNING)
	time.AfterFunc(time.Duration(millis)*time.Millisecond, func() {
		update(driver, task.TaskId, mesos.TaskState_TASK_FINISHED)
	})
}

func main() {
	flag.Parse()
	driver, err := exec.NewMesosExecutorDriver(exec.DriverConfig{
		Executor:         sleeper{},
		BindingAddress:   net.ParseIP(*address),
		HostnameOverride: *address,
	})
	if err != nil {
		log.Errorf("cannot make a driver: %v", err)
		os.Exit(1)
	}
	if _, err := driver.Start(); err != nil {
		log.Errorf("cannot start the driver: %v", err)
		os.Exit(1)
	}
	if _, err := driver.Join(); err != nil {
		os.Exit(1)
	}
}
