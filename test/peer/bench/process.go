package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// cpuSeconds returns user+system time of a process; 0 if it is not measured.
func cpuSeconds(pid int) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if pid == 0 || err != nil {
		return 0
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+2:]))
	u, _ := strconv.ParseFloat(f[11], 64)
	s, _ := strconv.ParseFloat(f[12], 64)
	return (u + s) / 100
}

// memMiB reads VmRSS and VmHWM.
func memMiB(pid int) (rss, peak float64) {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for _, l := range strings.Split(string(b), "\n") {
		f := strings.Fields(l)
		if len(f) < 2 {
			continue
		}
		v, _ := strconv.ParseFloat(f[1], 64)
		switch f[0] {
		case "VmRSS:":
			rss = v / 1024
		case "VmHWM:":
			peak = v / 1024
		}
	}
	return
}

// meter measures what server, etcd and this client spend between start and stop.
type meter struct {
	server, etcd, self float64
	at                 time.Time
}

func startMeter() meter {
	return meter{cpuSeconds(*pid), cpuSeconds(*etcdPid), cpuSeconds(os.Getpid()), time.Now()}
}

// stop returns the differences since m, in seconds.
func (m meter) stop() (server, etcd, self, wall float64) {
	return cpuSeconds(*pid) - m.server, cpuSeconds(*etcdPid) - m.etcd, cpuSeconds(os.Getpid()) - m.self, time.Since(m.at).Seconds()
}

// setCPU sets three columns: the CPU of each process over n of the unit, scaled (1e3: ms, 1e6: us).
func (r *row) setCPU(unit string, scale, n, server, etcd, self float64) {
	r.set("server CPU "+unit, server/n*scale)
	r.set("client CPU "+unit, self/n*scale)
	r.set("etcd CPU "+unit, etcd/n*scale)
}

// resetPeak makes VmHWM start again from what is resident now, where the kernel lets us.
func resetPeak(pid int) {
	if pid != 0 {
		os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
	}
}
