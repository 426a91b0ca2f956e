package main

import (
	"bufio"
	"io"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// goHeap forces a collection through pprof and reads the heap metrics of a Go
// server; zero where there are none.
func goHeap() (alloc, inuse float64) {
	for range 2 {
		if resp, err := client.Get(*base + "/debug/pprof/heap?gc=1"); err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	}
	resp, err := client.Get(*base + "/metrics")
	if err != nil {
		return
	}
	defer resp.Body.Close()
	sc := bufio.NewScanner(resp.Body)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		f := strings.Fields(sc.Text())
		if len(f) != 2 {
			continue
		}
		v, _ := strconv.ParseFloat(f[1], 64)
		switch f[0] {
		case "go_memstats_heap_alloc_bytes":
			alloc = v / (1 << 20)
		case "go_memstats_heap_inuse_bytes":
			inuse = v / (1 << 20)
		}
	}
	return
}

func memory(name string, pid int) row {
	rss, peak := memMiB(pid)
	alloc, inuse := goHeap()
	after, _ := memMiB(pid)
	r := row{Name: name}
	r.set("RSS MiB", rss)
	r.set("peak RSS MiB", peak)
	r.set("RSS MiB after GC", after)
	r.set("live heap MiB", alloc)
	r.set("heap in use MiB", inuse)
	return r
}

// measureStartup starts the server, waits for /readyz, reads one whole LIST of
// pods from the cache, and looks at the memory at rest; with formats, LISTs of
// every format follow, two at once, and the memory after them. Then it stops the server.
func measureStartup(command, accept string, rest time.Duration, formats bool) row {
	t0 := time.Now()
	cmd := exec.Command("sh", "-c", "exec "+command)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		log.Fatal(err)
	}
	server := cmd.Process.Pid
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	stop := func() {
		cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	}
	defer stop()
	interrupted := make(chan os.Signal, 1) // the server must not outlive this program
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(interrupted)
	go func() {
		if _, ok := <-interrupted; ok {
			stop()
			os.Exit(1)
		}
	}()
	for {
		resp, err := client.Get(*base + "/readyz")
		if err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode == 200 {
				break
			}
		}
		select {
		case <-ended:
			log.Fatal("the server ended before it was ready")
		case <-time.After(5 * time.Millisecond):
		}
		if time.Since(t0) > 5*time.Minute {
			stop()
			log.Fatal("not ready after five minutes")
		}
	}
	ready, cpu := time.Since(t0), cpuSeconds(server)
	n, _ := cell{accept: accept, rv: "0", scope: "all"}.fetch(0, make([]byte, 256<<10))
	first, listed := time.Since(t0), cpuSeconds(server)
	time.Sleep(rest)
	mem := memory("start", server)
	r := row{Name: "start"}
	r.set("ready ms", ready.Seconds()*1e3)
	r.set("first full LIST done ms", first.Seconds()*1e3)
	r.set("CPU s until ready", cpu)
	r.set("LIST MB", float64(n)/1e6)
	r.set("first LIST ms", (first-ready).Seconds()*1e3)
	r.set("first LIST CPU ms", (listed-cpu)*1e3)
	for _, c := range mem.Cols {
		r.set(c, mem.Vals[c])
	}
	if formats {
		for _, accept := range []string{"protobuf", "json"} {
			for _, gzip := range []bool{false, true} {
				cell{accept, "0", "all", gzip, 2}.measure(0, 4)
			}
		}
		rss, peak := memMiB(server)
		r.set("RSS MiB after LISTs", rss)
		r.set("peak RSS MiB in LISTs", peak)
	}
	return r
}
