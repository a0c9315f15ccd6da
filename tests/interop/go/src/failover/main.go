// A scheduler on another libprocess that proves who it is: it launches tasks and leaves without ending
// them, or comes back under the same id, asks what became of them, by name and all at once, and kills
// them. Prints what it saw as one line of JSON.
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
	"github.com/mesos/mesos-go/api/v0/auth"
	"github.com/mesos/mesos-go/api/v0/auth/sasl"
	"github.com/mesos/mesos-go/api/v0/auth/sasl/mech"
	_ "github.com/mesos/mesos-go/api/v0/auth/sasl/mech/crammd5"
	mesos "github.com/mesos/mesos-go/api/v0/mesosproto"
	util "github.com/mesos/mesos-go/api/v0/mesosutil"
	sched "github.com/mesos/mesos-go/api/v0/scheduler"
	"golang.org/x/net/context"
)

var (
	master    = flag.String("master", "127.0.0.1:5050", "address of the master")
	principal = flag.String("principal", "", "who this is")
	secret    = flag.String("secret", "", "what proves it")
	resume    = flag.String("resume", "", "id of the framework to go on with")
	tasks     = flag.Int("tasks", 3, "tasks to launch")
	limit     = flag.Duration("timeout", time.Minute, "time for everything")
)

// What was seen; printed at the end.
type report struct {
	Id       string   `json:"id"`
	Running  int      `json:"running"`
	Named    int      `json:"named"`
	All      int      `json:"all"`
	Killed   int      `json:"killed"`
	Problems []string `json:"problems"`
}

type framework struct {
	mutex    sync.Mutex
	seen     report
	launched int
	asked    string // which reconciliation is under way
	told     map[string]bool
	done     chan struct{}
	ended    bool
}

func (f *framework) end() {
	if !f.ended {
		f.ended = true
		close(f.done)
	}
}

func (f *framework) fail(format string, values ...interface{}) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if !f.ended {
		f.seen.Problems = append(f.seen.Problems, fmt.Sprintf(format, values...))
		f.end()
	}
}

func (f *framework) Registered(driver sched.SchedulerDriver, id *mesos.FrameworkID, _ *mesos.MasterInfo) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.seen.Id = id.GetValue()
	if *resume == "" {
		return
	}
	f.asked = "named"
	statuses := []*mesos.TaskStatus{}
	for n := 0; n < *tasks; n++ {
		id := util.NewTaskID(fmt.Sprintf("task-%d", n))
		statuses = append(statuses, &mesos.TaskStatus{TaskId: id, State: mesos.TaskState_TASK_STAGING.Enum()})
	}
	driver.ReconcileTasks(statuses)
}

func (f *framework) ResourceOffers(driver sched.SchedulerDriver, offers []*mesos.Offer) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	for _, offer := range offers {
		launch := []*mesos.TaskInfo{}
		for *resume == "" && f.launched < *tasks {
			id := fmt.Sprintf("task-%d", f.launched)
			f.launched++
			launch = append(launch, &mesos.TaskInfo{
				Name:    proto.String(id),
				TaskId:  util.NewTaskID(id),
				SlaveId: offer.SlaveId,
				Command: &mesos.CommandInfo{Value: proto.String("sleep 1000")},
				Resources: []*mesos.Resource{
					util.NewScalarResource("cpus", 0.1), util.NewScalarResource("mem", 16),
				},
			})
		}
		driver.LaunchTasks([]*mesos.OfferID{offer.Id}, launch, &mesos.Filters{RefuseSeconds: proto.Float64(5)})
	}
}

func (f *framework) StatusUpdate(driver sched.SchedulerDriver, status *mesos.TaskStatus) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	id, state := status.GetTaskId().GetValue(), status.GetState()
	reconciling := status.GetReason() == mesos.TaskStatus_REASON_RECONCILIATION
	switch {
	case state == mesos.TaskState_TASK_KILLED:
		f.seen.Killed++
		if f.seen.Killed == *tasks {
			f.end()
		}
	case state != mesos.TaskState_TASK_RUNNING:
		if state != mesos.TaskState_TASK_STARTING {
			f.seen.Problems = append(f.seen.Problems, fmt.Sprintf("%s is %s: %s", id, state, status.GetMessage()))
			f.end()
		}
	case *resume == "":
		f.seen.Running++
		if f.seen.Running == *tasks {
			f.end()
		}
	case reconciling && !f.told[f.asked+id]:
		f.told[f.asked+id] = true
		f.reconciled(driver)
	}
}

// An answer came: after those by name all are asked for, after these all are killed.
func (f *framework) reconciled(driver sched.SchedulerDriver) {
	if f.asked == "named" {
		f.seen.Named++
		if f.seen.Named == *tasks {
			f.asked = "all"
			driver.ReconcileTasks([]*mesos.TaskStatus{})
		}
		return
	}
	f.seen.All++
	if f.seen.All == *tasks {
		for n := 0; n < *tasks; n++ {
			driver.KillTask(util.NewTaskID(fmt.Sprintf("task-%d", n)))
		}
	}
}

func (f *framework) Reregistered(sched.SchedulerDriver, *mesos.MasterInfo)  {}
func (f *framework) OfferRescinded(sched.SchedulerDriver, *mesos.OfferID)   {}
func (f *framework) Disconnected(sched.SchedulerDriver)                     { f.fail("disconnected") }
func (f *framework) SlaveLost(_ sched.SchedulerDriver, id *mesos.SlaveID)   { f.fail("slave lost: %s", id) }
func (f *framework) Error(_ sched.SchedulerDriver, text string)             { f.fail("error: %s", text) }
func (f *framework) FrameworkMessage(sched.SchedulerDriver, *mesos.ExecutorID, *mesos.SlaveID, string) {}
func (f *framework) ExecutorLost(_ sched.SchedulerDriver, id *mesos.ExecutorID, _ *mesos.SlaveID, _ int) {
	f.fail("executor lost: %s", id)
}

func config(f *framework) sched.DriverConfig {
	info := &mesos.FrameworkInfo{
		User:            proto.String(""),
		Name:            proto.String("go failover"),
		FailoverTimeout: proto.Float64(600),
		Checkpoint:      proto.Bool(true),
	}
	if *resume != "" {
		info.Id = util.NewFrameworkID(*resume)
	}
	made := sched.DriverConfig{
		Scheduler:        f,
		Framework:        info,
		Master:           *master,
		BindingAddress:   net.ParseIP("127.0.0.1"),
		HostnameOverride: "localhost",
	}
	if *principal != "" {
		info.Principal = principal
		made.Credential = &mesos.Credential{Principal: principal, Secret: proto.String(*secret)}
		made.WithAuthContext = func(ctx context.Context) context.Context {
			ctx = auth.WithLoginProvider(ctx, sasl.ProviderName)
			return sasl.WithBindingAddress(ctx, net.ParseIP("127.0.0.1"))
		}
	}
	return made
}

func main() {
	flag.Parse()
	f := &framework{told: map[string]bool{}, done: make(chan struct{})}
	f.seen.Problems = []string{}
	log.Infof("mechanisms: %s", strings.Join(mech.ListSupported(), " "))
	driver, err := sched.NewMesosSchedulerDriver(config(f))
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
	// One that launched leaves its tasks to the next.
	driver.Stop(*resume == "" && len(f.seen.Problems) == 0)
	f.mutex.Lock()
	line, _ := json.Marshal(f.seen)
	fmt.Println(string(line))
	if len(f.seen.Problems) > 0 {
		os.Exit(1)
	}
}
