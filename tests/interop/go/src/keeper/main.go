// A scheduler on another libprocess that keeps a number of tasks running across failovers of
// masters, and counts all it is told. What it has seen is at /seen; /drain lets the tasks end.
package main

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"math/rand"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/gogo/protobuf/proto"
	log "github.com/golang/glog"
	_ "github.com/mesos/mesos-go/api/v0/detector/zoo"
	mesos "github.com/mesos/mesos-go/api/v0/mesosproto"
	util "github.com/mesos/mesos-go/api/v0/mesosutil"
	sched "github.com/mesos/mesos-go/api/v0/scheduler"
)

var (
	master  = flag.String("master", "", "URL of the masters: zk://...")
	address = flag.String("address", "127.0.0.1", "address to listen on")
	show    = flag.Int("show", 0, "port of /seen")
	wanted  = flag.Int("tasks", 100, "tasks to keep running")
	longest = flag.Duration("longest", 40*time.Second, "longest time that a task takes")
	binary  = flag.String("executor", "", "path of the executor")
)

type task struct {
	slave    string
	launched time.Time
	ran      bool
	over     bool
	asked    bool // while it was not over
	end      mesos.TaskState
}

// What was seen.
type seen struct {
	Running      int      `json:"running"`
	Launched     int      `json:"launched"`
	Finished     int      `json:"finished"`
	NeverStarted int      `json:"never_started"`
	Open         int      `json:"open"`
	Updates      int      `json:"updates"`
	Repeated     int      `json:"repeated"`
	Registered   int      `json:"registered"`
	Reregistered int      `json:"reregistered"`
	Disconnected int      `json:"disconnected"`
	Offers       int      `json:"offers"`
	Masters      []string `json:"masters"`
	OfferMillis  int64    `json:"first_offer_ms"` // of the present master; since the epoch
	Problems     []string `json:"problems"`
}

type keeper struct {
	mutex    sync.Mutex
	driver   sched.SchedulerDriver
	tasks    map[string]*task
	uuids    map[string]bool
	seen     seen
	draining bool
	next     int
}

func (k *keeper) problem(format string, values ...interface{}) {
	k.seen.Problems = append(k.seen.Problems, fmt.Sprintf(format, values...))
}

func (k *keeper) open() int {
	count := 0
	for _, t := range k.tasks {
		if !t.over {
			count++
		}
	}
	return count
}

func (k *keeper) launch(offer *mesos.Offer) *mesos.TaskInfo {
	k.next++
	id := fmt.Sprintf("task-%d", k.next)
	slave := offer.SlaveId.GetValue()
	k.tasks[id] = &task{slave: slave, launched: time.Now()}
	k.seen.Launched++
	at := offer.GetHostname()
	command := &mesos.CommandInfo{
		Value: proto.String("exec " + *binary + " -logtostderr -address=" + at), Shell: proto.Bool(true)}
	executor := util.NewExecutorInfo(util.NewExecutorID("sleeper"), command)
	executor.Name = proto.String("sleeper")
	millis := 5000 + rand.Int63n(int64(*longest/time.Millisecond)-5000)
	return &mesos.TaskInfo{
		Name: proto.String(id), TaskId: util.NewTaskID(id), SlaveId: offer.SlaveId, Executor: executor,
		Data: []byte(strconv.FormatInt(millis, 10)),
		Resources: []*mesos.Resource{
			util.NewScalarResource("cpus", 0.1), util.NewScalarResource("mem", 16)},
	}
}

// How many tasks fit into an offer.
func room(offer *mesos.Offer) int {
	cpus, mem := 0.0, 0.0
	for _, resource := range offer.Resources {
		switch resource.GetName() {
		case "cpus":
			cpus += resource.GetScalar().GetValue()
		case "mem":
			mem += resource.GetScalar().GetValue()
		}
	}
	return int(math.Min(cpus/0.1, mem/16))
}

func (k *keeper) ResourceOffers(driver sched.SchedulerDriver, offers []*mesos.Offer) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if k.seen.OfferMillis == 0 {
		k.seen.OfferMillis = time.Now().UnixNano() / 1000000
	}
	soon := &mesos.Filters{RefuseSeconds: proto.Float64(0.2)}
	for _, offer := range offers {
		k.seen.Offers++
		tasks, room := []*mesos.TaskInfo{}, room(offer)
		for !k.draining && k.open() < *wanted && len(tasks) < (*wanted+2)/3 && len(tasks) < room {
			tasks = append(tasks, k.launch(offer))
		}
		if len(tasks) == 0 {
			driver.DeclineOffer(offer.Id, soon)
		} else {
			driver.LaunchTasks([]*mesos.OfferID{offer.Id}, tasks, soon)
		}
	}
}

func (k *keeper) StatusUpdate(_ sched.SchedulerDriver, status *mesos.TaskStatus) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	id, state := status.GetTaskId().GetValue(), status.GetState()
	t := k.tasks[id]
	if t == nil {
		k.problem("%s, which was never launched, is %s", id, state)
		return
	}
	if len(status.Uuid) > 0 {
		k.seen.Updates++
		uuid := hex.EncodeToString(status.Uuid)
		if k.uuids[uuid] {
			k.seen.Repeated++
			return
		}
		k.uuids[uuid] = true
	}
	if t.over {
		// An answer to a question may come before the updates themselves.
		late := state == mesos.TaskState_TASK_RUNNING && !t.ran
		t.ran = t.ran || late
		// Nor does a master know a task any more whose end was acknowledged while the question was
		// on its way.
		forgotten := t.asked && state == mesos.TaskState_TASK_LOST &&
			status.GetReason() == mesos.TaskStatus_REASON_RECONCILIATION
		if state != t.end && !late && !forgotten {
			k.problem("%s is %s after it was %s: %s", id, state, t.end, status.GetReason())
		}
		return
	}
	t.end = state
	switch state {
	case mesos.TaskState_TASK_STAGING, mesos.TaskState_TASK_STARTING:
	case mesos.TaskState_TASK_RUNNING:
		t.ran = true
	case mesos.TaskState_TASK_FINISHED:
		// An answer to a question may spare the update before it, which then comes later.
		if !t.ran && status.GetReason() != mesos.TaskStatus_REASON_RECONCILIATION {
			k.problem("%s finished but was never told running", id)
		}
		t.over = true
		k.seen.Finished++
	default:
		// A launch that a dying master got never reached a slave.
		if state == mesos.TaskState_TASK_LOST && !t.ran {
			k.seen.NeverStarted++
		} else {
			k.problem("%s is %s: %s %s", id, state, status.GetReason(), status.GetMessage())
		}
		t.over = true
	}
}

func (k *keeper) connected(master *mesos.MasterInfo) {
	k.seen.Masters = append(k.seen.Masters, master.GetPid())
	k.seen.OfferMillis = 0
	statuses := []*mesos.TaskStatus{}
	for id, t := range k.tasks {
		if !t.over {
			statuses = append(statuses, question(id, t))
		}
	}
	if len(statuses) > 0 {
		go k.driver.ReconcileTasks(statuses)
	}
}

func question(id string, t *task) *mesos.TaskStatus {
	t.asked = true
	return &mesos.TaskStatus{
		TaskId: util.NewTaskID(id), SlaveId: util.NewSlaveID(t.slave),
		State: mesos.TaskState_TASK_STAGING.Enum()}
}

// Asks for tasks of which nothing was heard for long.
func (k *keeper) chase() {
	for range time.Tick(5 * time.Second) {
		k.mutex.Lock()
		statuses := []*mesos.TaskStatus{}
		for id, t := range k.tasks {
			late := time.Since(t.launched) > 15*time.Second && !t.ran
			if !t.over && (late || time.Since(t.launched) > *longest+20*time.Second) {
				statuses = append(statuses, question(id, t))
			}
		}
		k.mutex.Unlock()
		if len(statuses) > 0 {
			k.driver.ReconcileTasks(statuses)
		}
	}
}

func (k *keeper) Registered(_ sched.SchedulerDriver, _ *mesos.FrameworkID, master *mesos.MasterInfo) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	k.seen.Registered++
	k.connected(master)
}

func (k *keeper) Reregistered(_ sched.SchedulerDriver, master *mesos.MasterInfo) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	k.seen.Reregistered++
	k.connected(master)
}

func (k *keeper) Disconnected(sched.SchedulerDriver) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	k.seen.Disconnected++
}

func (k *keeper) Error(_ sched.SchedulerDriver, text string) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	k.problem("error: %s", text)
}

func (k *keeper) SlaveLost(_ sched.SchedulerDriver, id *mesos.SlaveID) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	k.problem("slave lost: %s", id.GetValue())
}

func (k *keeper) ExecutorLost(_ sched.SchedulerDriver, _ *mesos.ExecutorID, id *mesos.SlaveID, status int) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if !k.draining {
		k.problem("executor lost on %s: %d", id.GetValue(), status)
	}
}

func (k *keeper) OfferRescinded(sched.SchedulerDriver, *mesos.OfferID) {}
func (k *keeper) FrameworkMessage(sched.SchedulerDriver, *mesos.ExecutorID, *mesos.SlaveID, string) {
}

func (k *keeper) serve(writer http.ResponseWriter, request *http.Request) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if request.URL.Path == "/drain" {
		k.draining = true
	}
	k.seen.Running, k.seen.Open = 0, k.open()
	for _, t := range k.tasks {
		if t.ran && !t.over {
			k.seen.Running++
		}
	}
	json.NewEncoder(writer).Encode(k.seen)
}

func main() {
	flag.Parse()
	k := &keeper{tasks: map[string]*task{}, uuids: map[string]bool{}}
	k.seen.Problems, k.seen.Masters = []string{}, []string{}
	driver, err := sched.NewMesosSchedulerDriver(sched.DriverConfig{
		Scheduler: k,
		Framework: &mesos.FrameworkInfo{
			User: proto.String(""), Name: proto.String("keeper"),
			Checkpoint: proto.Bool(true), FailoverTimeout: proto.Float64(3600)},
		Master:           *master,
		BindingAddress:   net.ParseIP(*address),
		HostnameOverride: *address,
	})
	if err != nil {
		log.Errorf("cannot make a driver: %v", err)
		os.Exit(1)
	}
	k.driver = driver
	if _, err := driver.Start(); err != nil {
		log.Errorf("cannot start the driver: %v", err)
		os.Exit(1)
	}
	go k.chase()
	http.HandleFunc("/", k.serve)
	log.Fatal(http.ListenAndServe(net.JoinHostPort(*address, strconv.Itoa(*show)), nil))
}
