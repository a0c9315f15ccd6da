// A scheduler on another libprocess whose tasks outlive their slave: command tasks that write their
// process ids down and wait for a file, and one of an executor of its own that waits for a message.
// Prints what it saw as one line of JSON.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/gogo/protobuf/proto"
	log "github.com/golang/glog"
	mesos "github.com/mesos/mesos-go/api/v0/mesosproto"
	util "github.com/mesos/mesos-go/api/v0/mesosutil"
	sched "github.com/mesos/mesos-go/api/v0/scheduler"
)

var (
	master   = flag.String("master", "127.0.0.1:5050", "address of the master")
	commands = flag.Int("commands", 3, "command tasks to run")
	binary   = flag.String("executor", "", "path of the own executor")
	notes    = flag.String("directory", "", "where tasks write and what they wait for")
	limit    = flag.Duration("timeout", 3*time.Minute, "time for everything")
)

type counts struct {
	Running  int      `json:"running"`
	Finished int      `json:"finished"`
	Pongs    int      `json:"pongs"`
	Problems []string `json:"problems"`
}

type framework struct {
	mutex    sync.Mutex
	pending  []string
	slave    *mesos.SlaveID
	running  map[string]bool
	finished map[string]bool
	seen     counts
	done     chan struct{}
	ended    bool
}

func (f *framework) problem(text string) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if !f.ended {
		f.seen.Problems = append(f.seen.Problems, text)
		f.end()
	}
}

func (f *framework) end() {
	if !f.ended {
		f.ended = true
		close(f.done)
	}
}

func (f *framework) task(id string, offer *mesos.Offer) *mesos.TaskInfo {
	task := &mesos.TaskInfo{
		Name:      proto.String(id),
		TaskId:    util.NewTaskID(id),
		SlaveId:   offer.SlaveId,
		Resources: []*mesos.Resource{util.NewScalarResource("cpus", 0.1), util.NewScalarResource("mem", 16)},
	}
	if id == "custom" {
		command := &mesos.CommandInfo{Value: proto.String("exec " + *binary + " -logtostderr"), Shell: proto.Bool(true)}
		task.Executor = util.NewExecutorInfo(util.NewExecutorID("go-executor"), command)
		task.Executor.Name = proto.String("go executor")
		return task
	}
	line := fmt.Sprintf("echo $$ > %s/%s.pid; while ! test -e %s/go; do sleep 0.1; done", *notes, id, *notes)
	task.Command = &mesos.CommandInfo{Value: proto.String(line)}
	return task
}

func (f *framework) ResourceOffers(driver sched.SchedulerDriver, offers []*mesos.Offer) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	for _, offer := range offers {
		filters := &mesos.Filters{RefuseSeconds: proto.Float64(0.1)}
		if len(f.pending) == 0 {
			driver.DeclineOffer(offer.Id, filters)
			continue
		}
		tasks := []*mesos.TaskInfo{}
		for _, id := range f.pending {
			tasks = append(tasks, f.task(id, offer))
		}
		f.pending, f.slave = nil, offer.SlaveId
		driver.LaunchTasks([]*mesos.OfferID{offer.Id}, tasks, filters)
	}
}

func (f *framework) StatusUpdate(driver sched.SchedulerDriver, status *mesos.TaskStatus) {
	id, state := status.GetTaskId().GetValue(), status.GetState()
	switch state {
	case mesos.TaskState_TASK_STARTING:
	case mesos.TaskState_TASK_RUNNING:
		f.mutex.Lock()
		f.running[id] = true
		f.seen.Running = len(f.running)
		all := f.seen.Running == *commands+1
		f.mutex.Unlock()
		if all {
			if file, err := os.Create(*notes + "/running"); err == nil {
				file.Close()
			}
		}
	case mesos.TaskState_TASK_FINISHED:
		f.mutex.Lock()
		f.finished[id] = true
		f.seen.Finished = len(f.finished)
		last, all := f.seen.Finished == *commands, f.seen.Finished == *commands+1
		if all {
			f.end()
		}
		f.mutex.Unlock()
		if last {
			// The executor of our own is the last; it is told through the new slave.
			driver.SendFrameworkMessage(util.NewExecutorID("go-executor"), f.slave, "ping:custom")
		}
	default:
		f.problem(fmt.Sprintf("task %s: %s %s", id, state, status.GetMessage()))
	}
}

func (f *framework) FrameworkMessage(sched.SchedulerDriver, *mesos.ExecutorID, *mesos.SlaveID, string) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.seen.Pongs++
}

func (f *framework) Registered(sched.SchedulerDriver, *mesos.FrameworkID, *mesos.MasterInfo) {}
func (f *framework) Reregistered(sched.SchedulerDriver, *mesos.MasterInfo)                   {}
func (f *framework) OfferRescinded(sched.SchedulerDriver, *mesos.OfferID)                    {}
func (f *framework) Disconnected(sched.SchedulerDriver)                                      { f.problem("disconnected") }

func (f *framework) SlaveLost(_ sched.SchedulerDriver, id *mesos.SlaveID) {
	f.problem("slave lost: " + id.GetValue())
}

func (f *framework) ExecutorLost(_ sched.SchedulerDriver, id *mesos.ExecutorID, _ *mesos.SlaveID, status int) {
	f.problem(fmt.Sprintf("executor lost: %s, status %d", id.GetValue(), status))
}

func (f *framework) Error(_ sched.SchedulerDriver, text string) { f.problem("error: " + text) }

func main() {
	flag.Parse()
	f := &framework{running: map[string]bool{}, finished: map[string]bool{}, done: make(chan struct{})}
	f.seen.Problems = []string{}
	f.pending = []string{"custom"}
	for n := 0; n < *commands; n++ {
		f.pending = append(f.pending, fmt.Sprintf("command-%d", n))
	}
	driver, err := sched.NewMesosSchedulerDriver(sched.DriverConfig{
		Scheduler: f,
		Framework: &mesos.FrameworkInfo{
			User: proto.String(""), Name: proto.String("go upgrade"), Checkpoint: proto.Bool(true),
		},
		Master:           *master,
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
	select {
	case <-f.done:
	case <-time.After(*limit):
		f.problem("out of time")
	}
	driver.Stop(false)
	f.mutex.Lock()
	line, _ := json.Marshal(f.seen)
	fmt.Println(string(line))
	if len(f.seen.Problems) > 0 {
		os.Exit(1)
	}
}
