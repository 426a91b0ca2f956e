package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

var sentKey = []byte("bench.peer/sent")

// lag returns the milliseconds since the stamp found in one event.
func lag(event []byte, skip int) (float64, bool) {
	i := bytes.Index(event, sentKey)
	if i < 0 {
		return 0, false
	}
	i += len(sentKey) + skip
	if i+19 > len(event) {
		return 0, false
	}
	t, err := strconv.ParseInt(string(event[i:i+19]), 10, 64)
	return float64(time.Now().UnixNano()-t) / 1e6, err == nil
}

// watcher reads one stream until it ends, counting events; a sampling watcher
// also records the delivery lag of each.
type watcher struct {
	events, bytes           atomic.Int64
	eventsTotal, bytesTotal *atomic.Int64 // of many watchers, or nil
	lags                    []float64
}

func (w *watcher) count(events, bytes int) {
	w.events.Add(int64(events))
	w.bytes.Add(int64(bytes))
	if w.eventsTotal != nil {
		w.eventsTotal.Add(int64(events))
		w.bytesTotal.Add(int64(bytes))
	}
}

func (w *watcher) run(body io.Reader, proto, sample bool) {
	if proto {
		br := bufio.NewReaderSize(body, 64<<10)
		var l [4]byte
		var frame []byte
		for {
			if _, err := io.ReadFull(br, l[:]); err != nil {
				return
			}
			n := int(binary.BigEndian.Uint32(l[:]))
			if sample {
				frame = slices.Grow(frame[:0], n)[:n]
				if _, err := io.ReadFull(br, frame); err != nil {
					return
				}
				if ms, ok := lag(frame, 2); ok {
					w.lags = append(w.lags, ms)
				}
			} else if _, err := br.Discard(n); err != nil {
				return
			}
			w.count(1, n+4)
		}
	}
	if sample {
		br := bufio.NewReaderSize(body, 256<<10)
		for {
			line, err := br.ReadSlice('\n')
			if err != nil {
				return
			}
			if ms, ok := lag(line, 3); ok {
				w.lags = append(w.lags, ms)
			}
			w.count(1, len(line))
		}
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := body.Read(buf)
		w.count(bytes.Count(buf[:n], []byte{'\n'}), n)
		if err != nil {
			return
		}
	}
}

func currentRV() string {
	resp, err := client.Get(*base + "/api/v1/pods?limit=1")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	var l struct {
		Metadata struct{ ResourceVersion string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&l); err != nil {
		log.Fatal(err)
	}
	return l.Metadata.ResourceVersion
}

// churned is what the loader says about its writes.
type churned struct {
	Puts   int64   `json:"puts"`
	Rate   float64 `json:"rate"`
	PutP50 float64 `json:"put_p50_ms"`
	PutP99 float64 `json:"put_p99_ms"`
}

// churn lets the loader update random pods, and waits until it is done.
func churn(load, rate string, d time.Duration) (c churned) {
	cmd := exec.Command("sh", "-c", fmt.Sprintf("exec %s -mode churn -kinds pods -rate %s -duration %s", load, rate, d))
	cmd.Stderr = os.Stderr
	o, err := cmd.Output()
	if err != nil {
		log.Fatalf("churn: %v", err)
	}
	if err := json.Unmarshal(o, &c); err != nil {
		log.Fatalf("churn output: %v: %s", err, o)
	}
	return c
}

// settle is how long a server without watchers gets to take in what was written last.
const settle = 500 * time.Millisecond

func measureWatch(n int, rate string, accept, load string, d time.Duration) row {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	rv := currentRV()
	ws := make([]watcher, n)
	var ended atomic.Int64
	var wg sync.WaitGroup
	gate := make(chan struct{}, 64)
	var opened sync.WaitGroup
	for i := range ws {
		opened.Add(1)
		wg.Go(func() {
			gate <- struct{}{}
			r, _ := http.NewRequestWithContext(ctx, "GET", *base+"/api/v1/pods?watch=1&resourceVersion="+rv, nil)
			r.Header.Set("Accept", "application/json")
			if accept == "protobuf" {
				r.Header.Set("Accept", protobufType+";stream=watch")
			}
			resp, err := client.Do(r)
			<-gate
			if err != nil || resp.StatusCode != 200 {
				log.Fatalf("watch: %v %v", resp, err)
			}
			opened.Done()
			defer resp.Body.Close()
			ws[i].run(resp.Body, accept == "protobuf", i%max(n/8, 1) == 0)
			ended.Add(1)
		})
	}
	opened.Wait()
	time.Sleep(300 * time.Millisecond)
	rss, _ := memMiB(*pid)
	total := func() (e, b int64) {
		for i := range ws {
			e += ws[i].events.Load()
			b += ws[i].bytes.Load()
		}
		return
	}
	m, t0 := startMeter(), time.Now()
	churn := churn(load, rate, d)
	want, last, changed := churn.Puts*int64(n), int64(-1), time.Now()
	for {
		e, _ := total()
		if e != last {
			last, changed = e, time.Now()
		}
		if e >= want || time.Since(changed) > 2*time.Second {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if n == 0 {
		time.Sleep(settle)
	}
	dt := changed.Sub(t0).Seconds()
	cpu, etcd, self, _ := m.stop()
	gone := ended.Load()
	_, peak := memMiB(*pid)
	rssEnd, _ := memMiB(*pid)
	cancel()
	wg.Wait()
	e, b := total()
	var lags []float64
	for i := range ws {
		lags = append(lags, ws[i].lags...)
	}
	r := row{Name: fmt.Sprintf("W=%d rate=%s %s", n, rate, accept)}
	r.set("writes/s", churn.Rate)
	r.set("events/s", float64(e)/dt)
	r.set("MB/s", float64(b)/dt/1e6)
	r.set("lag p50 ms", quantile(lags, 0.5))
	r.set("lag p99 ms", quantile(lags, 0.99))
	r.set("put p50 ms", churn.PutP50)
	r.set("put p99 ms", churn.PutP99)
	r.set("server CPU s", cpu)
	r.set("server CPU us/event", cpu/float64(max(e, 1))*1e6)
	r.set("server CPU us/write", cpu/float64(max(churn.Puts, 1))*1e6)
	r.set("client CPU s", self)
	r.set("etcd CPU s", etcd)
	r.set("missed", float64(want-e))
	r.set("ended watches", float64(gone))
	r.set("RSS MiB idle", rss)
	r.set("RSS MiB end", rssEnd)
	r.set("RSS MiB peak", peak)
	return r
}
