// Asynq's own client: URL of the server, jobs. It has no call for many. Prints its own cost as JSON.
package main

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hibiken/asynq"
)

func cpu() float64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return float64(used.Utime.Nano()+used.Stime.Nano()) / 1e9
}

func main() {
	opt, err := asynq.ParseRedisURI(os.Args[1])
	if err != nil {
		panic(err)
	}
	jobs, err := strconv.Atoi(os.Args[2])
	if err != nil {
		panic(err)
	}
	client := asynq.NewClient(opt)
	payload := []byte(`{"value":"` + strings.Repeat("x", 80) + `"}`)
	push := func() {
		if _, err := client.Enqueue(asynq.NewTask("work", payload), asynq.Queue("bench")); err != nil {
			panic(err)
		}
	}
	push()
	used, begun := cpu(), time.Now()
	for range jobs {
		push()
	}
	line, _ := json.Marshal(map[string]float64{
		"jobs": float64(jobs), "wall_s": time.Since(begun).Seconds(), "cpu_s": cpu() - used,
	})
	os.Stdout.Write(append(line, 10))
}

