// A scheduler on another libprocess: runs command tasks and tasks of its own executor, exchanges
// messages with them, kills one, reconciles, and prints what it saw as one line of JSON.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/gogo/protobuf/proto"
	log "github.com/golang/glog"
	mesos "github.com/mesos/mesos-go/api/v0/mesosproto"
	util "github.com/mesos/mesos-go/api/v0/mesosutil"
	sched "github.com/mesos/mesos-go/api/v0/scheduler"
)

const (
	cpus = 0.1
	mem  = 16.0
)

var (
	master    = flag.String("master", "127.0.0.1:5050", "address of the master")
	commands  = flag.Int("commands", 200, "command tasks to run")
	executors = flag.Int("executors", 50, "tasks of the own executor to run")
	binary    = flag.String("executor", "", "path of the own executor")
	limit     = flag.Duration("timeout", 3*time.Minute, "time for everything")
)

// What was seen; printed at the end.
type counts struct {
	Commands   int      `json:"commands"`
	Custom     int      `json:"custom"`
	Pongs      int      `json:"pongs"`
	Killed     int      `json:"killed"`
	Reconciled int      `json:"reconciled"`
	Lost       int      `json:"lost"`
	Slaves     int      `json:"slaves"`
	Problems   []string `json:"problems"`
}

type framework struct {
	mutex    sync.Mutex
	pending  []string // tasks to launch
	slaves   map[string]string
	pinged   map[string]bool
	seen     counts
	known    map[string]bool // slaves that ran something
	finished map[string]bool
	done     chan struct{}
	ended    bool
}

func (f *framework) problem(format string, values ...interface{}) {
	f.seen.Problems = append(f.seen.Problems, fmt.Sprintf(format, values...))
}

func (f *framework) check() {
	complete := f.seen.Commands == *commands && f.seen.Custom == *executors &&
		f.seen.Pongs == *executors && f.seen.Killed == 1 && f.seen.Reconciled >= 1 && f.seen.Lost == 1
	if (complete || len(f.seen.Problems) > 0) && !f.ended {
		f.ended = true
		close(f.done)
	}
}

func (f *framework) task(id string, offer *mesos.Offer) *mesos.TaskInfo {
	task := &mesos.TaskInfo{
		Name:      proto.String(id),
		TaskId:    util.NewTaskID(id),
		SlaveId:   offer.SlaveId,
		Resources: []*mesos.Resource{util.NewScalarResource("cpus", cpus), util.NewScalarResource("mem", mem)},
	}
	switch {
	case strings.HasPrefix(id, "custom"):
		// One executor for each slave: many tasks share it.
		command := &mesos.CommandInfo{Value: proto.String(*binary + " -logtostderr"), Shell: proto.Bool(true)}
		task.Executor = util.NewExecutorInfo(util.NewExecutorID("go-executor"), command)
		task.Executor.Name = proto.String("go executor")
	case id == "long":
		task.Command = &mesos.CommandInfo{Value: proto.String("sleep 1000")}
	default:
		task.Command = &mesos.CommandInfo{Value: proto.String("true")}
	}
	return task
}

func (f *framework) ResourceOffers(driver sched.SchedulerDriver, offers []*mesos.Offer) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	for _, offer := range offers {
		freeCpus, freeMem := 0.0, 0.0
		for _, resource := range offer.Resources {
			switch resource.GetName() {
			case "cpus":
				freeCpus += resource.GetScalar().GetValue()
			case "mem":
				freeMem += resource.GetScalar().GetValue()
			}
		}
		tasks := []*mesos.TaskInfo{}
		for len(f.pending) > 0 && freeCpus >= cpus && freeMem >= mem && len(tasks) < 10 {
			id := f.pending[0]
			f.pending = f.pending[1:]
			freeCpus, freeMem = freeCpus-cpus, freeMem-mem
			f.slaves[id] = offer.SlaveId.GetValue()
			f.known[offer.SlaveId.GetValue()] = true
			tasks = append(tasks, f.task(id, offer))
		}
		filters := &mesos.Filters{RefuseSeconds: proto.Float64(0.1)}
		if len(tasks) == 0 {
			driver.DeclineOffer(offer.Id, filters)
			continue
		}
		driver.LaunchTasks([]*mesos.OfferID{offer.Id}, tasks, filters)
	}
	f.seen.Slaves = len(f.known)
}

func (f *framework) StatusUpdate(driver sched.SchedulerDriver, status *mesos.TaskStatus) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	id, state := status.GetTaskId().GetValue(), status.GetState()
	reconciling := status.GetReason() == mesos.TaskStatus_REASON_RECONCILIATION
	switch {
	case id == "nobody":
		if state == mesos.TaskState_TASK_LOST {
			f.seen.Lost++
		} else {
			f.problem("unknown task reconciled as %s", state)
		}
	case id == "long" && reconciling && state == mesos.TaskState_TASK_RUNNING:
		f.seen.Reconciled++
		driver.KillTask(status.TaskId)
	case id == "long" && state == mesos.TaskState_TASK_RUNNING:
		f.reconcile(driver, status)
	case id == "long" && state == mesos.TaskState_TASK_KILLED:
		f.seen.Killed++
	case state == mesos.TaskState_TASK_RUNNING && strings.HasPrefix(id, "custom"):
		slave := util.NewSlaveID(f.slaves[id])
		driver.SendFrameworkMessage(util.NewExecutorID("go-executor"), slave, "ping:"+id)
	case state == mesos.TaskState_TASK_FINISHED && !f.finished[id]:
		f.finished[id] = true
		if strings.HasPrefix(id, "custom") {
			f.seen.Custom++
		} else {
			f.seen.Commands++
		}
	case state == mesos.TaskState_TASK_FAILED, state == mesos.TaskState_TASK_ERROR, state == mesos.TaskState_TASK_LOST:
		f.problem("task %s: %s %s", id, state, status.GetMessage())
	}
	f.check()
}

// Asks for a task that runs and for one that nobody knows.
func (f *framework) reconcile(driver sched.SchedulerDriver, running *mesos.TaskStatus) {
	unknown := &mesos.TaskStatus{TaskId: util.NewTaskID("nobody"), State: mesos.TaskState_TASK_RUNNING.Enum()}
	known := &mesos.TaskStatus{TaskId: running.TaskId, State: mesos.TaskState_TASK_STAGING.Enum()}
	driver.ReconcileTasks([]*mesos.TaskStatus{known, unknown})
}

func (f *framework) FrameworkMessage(_ sched.SchedulerDriver, _ *mesos.ExecutorID, _ *mesos.SlaveID, text string) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	id := strings.TrimPrefix(text, "pong:")
	if f.pinged[id] {
		return
	}
	f.pinged[id] = true
	f.seen.Pongs++
	f.check()
}

func (f *framework) Registered(sched.SchedulerDriver, *mesos.FrameworkID, *mesos.MasterInfo) {}
func (f *framework) Reregistered(sched.SchedulerDriver, *mesos.MasterInfo)                   {}
func (f *framework) OfferRescinded(sched.SchedulerDriver, *mesos.OfferID)                    {}

func (f *framework) Disconnected(sched.SchedulerDriver) { f.fail("disconnected") }

func (f *framework) SlaveLost(_ sched.SchedulerDriver, id *mesos.SlaveID) {
	f.fail("slave lost: " + id.GetValue())
}

func (f *framework) ExecutorLost(_ sched.SchedulerDriver, id *mesos.ExecutorID, _ *mesos.SlaveID, status int) {
	f.fail(fmt.Sprintf("executor lost: %s, status %d", id.GetValue(), status))
}

func (f *framework) Error(_ sched.SchedulerDriver, text string) { f.fail("error: " + text) }

func (f *framework) fail(text string) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if !f.ended {
		f.problem("%s", text)
		f.check()
	}
}

func main() {
	flag.Parse()
	f := &framework{
		slaves: map[string]string{}, pinged: map[string]bool{}, known: map[string]bool{},
		finished: map[string]bool{}, done: make(chan struct{}),
	}
	f.seen.Problems = []string{}
	f.pending = append(f.pending, "long")
	for n := 0; n < *commands || n < *executors; n++ {
		if n < *executors {
			f.pending = append(f.pending, fmt.Sprintf("custom-%d", n))
		}
		if n < *commands {
			f.pending = append(f.pending, fmt.Sprintf("command-%d", n))
		}
	}
	driver, err := sched.NewMesosSchedulerDriver(sched.DriverConfig{
		Scheduler:        f,
		Framework:        &mesos.FrameworkInfo{User: proto.String(""), Name: proto.String("go interop")},
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
		f.fail("out of time")
	}
	driver.Stop(false)
	f.mutex.Lock()
	line, _ := json.Marshal(f.seen)
	fmt.Println(string(line))
	if len(f.seen.Problems) > 0 {
		os.Exit(1)
	}
}
