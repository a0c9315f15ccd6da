// An executor on another libprocess: reports a task running, answers the scheduler's message,
// reports it finished.
package main

import (
	"flag"
	"net"
	"os"
	"strings"
	"sync"

	log "github.com/golang/glog"
	exec "github.com/mesos/mesos-go/api/v0/executor"
	mesos "github.com/mesos/mesos-go/api/v0/mesosproto"
)

type answerer struct {
	mutex   sync.Mutex
	waiting map[string]bool
}

func (e *answerer) Registered(exec.ExecutorDriver, *mesos.ExecutorInfo, *mesos.FrameworkInfo, *mesos.SlaveInfo) {
}
func (e *answerer) Reregistered(exec.ExecutorDriver, *mesos.SlaveInfo) {}
func (e *answerer) Disconnected(exec.ExecutorDriver)                   {}
func (e *answerer) Shutdown(exec.ExecutorDriver)                       {}

func (e *answerer) update(driver exec.ExecutorDriver, id string, state mesos.TaskState) {
	status := &mesos.TaskStatus{TaskId: &mesos.TaskID{Value: &id}, State: state.Enum()}
	if _, err := driver.SendStatusUpdate(status); err != nil {
		log.Errorf("cannot send an update: %v", err)
	}
}

func (e *answerer) LaunchTask(driver exec.ExecutorDriver, task *mesos.TaskInfo) {
	id := task.GetTaskId().GetValue()
	e.mutex.Lock()
	e.waiting[id] = true
	e.mutex.Unlock()
	e.update(driver, id, mesos.TaskState_TASK_RUNNING)
}

func (e *answerer) KillTask(driver exec.ExecutorDriver, id *mesos.TaskID) {
	e.update(driver, id.GetValue(), mesos.TaskState_TASK_KILLED)
}

func (e *answerer) FrameworkMessage(driver exec.ExecutorDriver, text string) {
	id := strings.TrimPrefix(text, "ping:")
	e.mutex.Lock()
	known := e.waiting[id]
	delete(e.waiting, id)
	e.mutex.Unlock()
	if !known {
		return
	}
	if _, err := driver.SendFrameworkMessage("pong:" + id); err != nil {
		log.Errorf("cannot answer: %v", err)
	}
	e.update(driver, id, mesos.TaskState_TASK_FINISHED)
}

func (e *answerer) Error(_ exec.ExecutorDriver, text string) {
	log.Errorf("executor error: %s", text)
}

func main() {
	flag.Parse()
	driver, err := exec.NewMesosExecutorDriver(exec.DriverConfig{
		Executor:         &answerer{waiting: map[string]bool{}},
		BindingAddress:   net.ParseIP("127.0.0.1"),
		HostnameOverride: "localhost",
	})
	if err != nil {
		log.Errorf("cannot make a driver: %v", err)
		os.Exit(1)
	}
	if _, err := driver.Start(); err != nil {
		log.Errorf("cannot start the driver: %v", err)
		os.Exit(1)
	}
	driver.Join()
}
